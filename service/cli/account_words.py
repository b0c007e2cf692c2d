"""One sentence on what is left upstream. Must not know: where the figures come from."""

from __future__ import annotations

from service.domain.money import usd_text
from service.domain.upstream_accounts import UpstreamAccount


def account_words(account: UpstreamAccount) -> str:
    """What our key and account may still spend, and when the key's limit starts anew."""
    said = []
    if account.credit_left_pusd is not None:
        said.append(f"{_usd(account.credit_left_pusd)} USD of credit left")
    if account.limit_pusd is None:
        said.append("the key has no limit")
    else:
        left = _usd(account.limit_remaining_pusd or 0)
        reset = f", {account.limit_reset} (UTC)" if account.limit_reset else ", once"
        said.append(f"the key has {left} of {_usd(account.limit_pusd)} USD left{reset}")
    if account.usage_daily_pusd is not None:
        said.append(f"{_usd(account.usage_daily_pusd)} USD spent today")
    if account.credit_left_pusd is None:
        said.append("the account's credit is shown to management keys only")
    return "; ".join(said)


def _usd(pusd: int) -> str:
    return f"-{usd_text(-pusd)}" if pusd < 0 else usd_text(pusd)
