"""What `doctor` says of our account upstream."""

from __future__ import annotations

import pytest

from cobot_meter.cli.wording import account_words
from cobot_meter.domain.upstream.accounts import UpstreamAccount

USD = 10**12


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (
            UpstreamAccount(usage_pusd=0),
            "the key has no limit; the account's credit is shown to management keys only",
        ),
        (
            UpstreamAccount(
                usage_pusd=5 * USD,
                usage_daily_pusd=USD // 2,
                limit_pusd=2 * USD,
                limit_remaining_pusd=3 * USD // 2,
                limit_reset="daily",
                credit_left_pusd=-USD // 4,
            ),
            (
                "-0.25 USD of credit left; the key has 1.5 of 2 USD left, daily (UTC); "
                "0.5 USD spent today"
            ),
        ),
        (
            UpstreamAccount(
                usage_pusd=0, limit_pusd=USD, limit_remaining_pusd=0, credit_left_pusd=0
            ),
            "0 USD of credit left; the key has 0 of 1 USD left, once",
        ),
    ],
)
def test_one_sentence_on_what_is_left(account: UpstreamAccount, words: str) -> None:
    """Credit, the key's limit with its reset, and today's usage, as far as they are told."""
    assert account_words(account) == words
