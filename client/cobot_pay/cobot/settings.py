"""What a cobot's owner writes under `cobot-meter:` in `cobot.yml`, read and judged once.

Must not know: cobot, HTTP, or how anything is bought.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import expandvars
from pathlib import Path
from typing import Any

from cobot_pay.cli.sellers import Seller, seller_of
from cobot_pay.cli.settings import BadSettings, read_amount
from cobot_pay.spending.limits import DEFAULT, Amounts, BudgetLimits, Limits

SECTION = "cobot-meter"
OF_THE_COBOT = "cobot"  # `wallet: cobot`: whatever wallet plugin the cobot has
CHAIN_MAX = 8
TIMEOUT_S, TIMEOUT_S_MAX = 120.0, 600.0
_MSAT_PER_SAT, _MICRO = 1_000, 1_000_000
_SPANS = {"request": "call", "hour": "hour", "day": "day"}
_HINTS = {"task": "X-Cobot-Task", "privacy": "X-Cobot-Privacy", "downgrade": "X-Cobot-Downgrade"}
_BUDGETS = tuple(f"budget_{unit}_{span}" for unit in ("sat", "usd") for span in _SPANS.values())
_KNOWN = frozenset(
    {"url", "model", "api_key", "wallet", "node", "lnd", "nwc", "home", "timeout_s", "max_cost_sat"}
    | {"others", "budget_on_key", "zone", *_HINTS, *_BUDGETS}
)
_PLAIN = re.compile(r"[A-Za-z0-9 _.:/+-]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """One cobot's purchases: where, which models, paid with what, and how much of it.

    `models` is the chain in its order. `call_msat` is the most that one call may cost. `others`
    are the only services that `ask_other_cobot` may ask, by origin; None lets it ask any.
    `key_budget_zone` is the time zone of the daily limit as a budget of the key; empty for none.
    """

    seller: Seller
    models: tuple[str, ...]
    api_key: str
    wallet: str
    limits: BudgetLimits
    call_msat: int
    hints: Mapping[str, str]
    home: Path
    timeout_s: float
    others: Mapping[str, str] | None
    key_budget_zone: str = ""

    @property
    def book(self) -> Path:
        """The file of payments, which all cobots and programs with this home share."""
        return self.home / "payments.sqlite"


def read_meter_settings(config: Mapping[str, Any]) -> MeterSettings:
    """From the whole of `cobot.yml`. Raises BadSettings with a sentence that says what to write."""
    table = config.get(SECTION)
    if not isinstance(table, dict):
        raise BadSettings(
            f'write a block `{SECTION}: {{url: "http://127.0.0.1:8402/v1", model: '
            "openai/gpt-5-mini, wallet: development}` into cobot.yml"
        )
    unknown = sorted(str(name) for name in table if name not in _KNOWN)
    if unknown:
        raise BadSettings(f"{SECTION} knows {', '.join(sorted(_KNOWN))}, not `{unknown[0]}`")
    limits = _limits(table)
    call_msat = limits.msat.request or 0
    if "max_cost_sat" in table:
        call_msat = min(call_msat, _amount(table, "max_cost_sat", _MSAT_PER_SAT))
    return MeterSettings(
        seller=seller_of(_text(table, "url")),
        models=_models(table.get("model")),
        api_key=_secret(table, "api_key"),
        wallet=wallet_setting(table),
        limits=BudgetLimits(all_hosts=limits),
        call_msat=call_msat,
        hints={header: _hint(table, name) for name, header in _HINTS.items() if table.get(name)},
        home=Path(str(table.get("home") or "~/.cobot-pay")).expanduser(),
        timeout_s=_timeout_s(table.get("timeout_s", TIMEOUT_S)),
        others=_others(table.get("others")),
        key_budget_zone=_key_budget_zone(table),
    )


def wallet_setting(table: Mapping[str, Any]) -> str:
    """The wallet as `cobot-pay` writes it, `cobot` for the cobot's own, or nothing.

    Raises BadSettings.
    """
    named = _secret(table, "wallet")
    match named:
        case "development":
            return f"dev:{table.get('node') or 'http://127.0.0.1:8404'}"
        case "nwc":
            if not table.get("nwc"):
                raise BadSettings(
                    f'{SECTION}: `wallet: nwc` needs `nwc: "nostr+walletconnect://…"`'
                )
            return _secret(table, "nwc")
        case "lnd":
            return _lnd(table.get("lnd"))
        case _ if named in {"", OF_THE_COBOT} or ":" in named:
            return named
        case _:
            raise BadSettings(f"{SECTION}: wallet is development, lnd, nwc or cobot, not {named!r}")


def _lnd(found: object) -> str:
    names = ("address", "tls", "macaroon")
    if not isinstance(found, dict) or not all(found.get(name) for name in names):
        raise BadSettings(
            f"{SECTION}: `wallet: lnd` needs "
            "`lnd: {address: HOST:PORT, tls: FILE, macaroon: FILE}`"
        )
    return f"lnd:{found['address']}?tls={found['tls']}&macaroon={found['macaroon']}"


def _limits(table: Mapping[str, Any]) -> Limits:
    """The owner's limits; those in sat that are not written are the usual ones, never none.

    A seller names the exchange rate, so a limit in USD alone is one that it has a word in.
    """
    sat = {
        span: _budget(table, f"budget_sat_{name}", _MSAT_PER_SAT) for span, name in _SPANS.items()
    }
    usd = {span: _budget(table, f"budget_usd_{name}", _MICRO) for span, name in _SPANS.items()}
    usual = {span: DEFAULT.msat.of(span) if sat[span] is None else sat[span] for span in _SPANS}
    return Limits(msat=Amounts(**usual), micro_usd=Amounts(**usd))


def _budget(table: Mapping[str, Any], name: str, scale: int) -> int | None:
    return _amount(table, name, scale) if table.get(name) is not None else None


def _amount(table: Mapping[str, Any], name: str, scale: int) -> int:
    return read_amount(table.get(name), f"{SECTION}: {name}", scale)


def _models(found: object) -> tuple[str, ...]:
    models = [found] if isinstance(found, str) else found
    if (
        not isinstance(models, list)
        or not 1 <= len(models) <= CHAIN_MAX
        or not all(isinstance(one, str) and one for one in models)
    ):
        raise BadSettings(
            f"{SECTION}: model is a model id, or a list of up to {CHAIN_MAX} that are asked in turn"
        )
    return tuple(models)


def _hint(table: Mapping[str, Any], name: str) -> str:
    text = str(table[name])
    if not _PLAIN.fullmatch(text):
        raise BadSettings(f"{SECTION}: {name} is a short plain word, not {text[:80]!r}")
    return text


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise BadSettings(f"{SECTION}: {name} is missing; see docs/cobot.md")
    return value


def _secret(table: Mapping[str, Any], name: str) -> str:
    """A text in which `${NAME}` stands for a variable of the environment."""
    value = table.get(name) or ""
    if not isinstance(value, str):
        raise BadSettings(f"{SECTION}: {name} is a text")
    expanded = expandvars(value)
    if "${" in expanded:
        raise BadSettings(f"{SECTION}: {name} names a variable that the environment does not have")
    return expanded


def _timeout_s(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(float(str(value))):
        raise BadSettings(f"{SECTION}: timeout_s is a number of seconds, not {value!r}")
    seconds = float(str(value))
    if not 1 <= seconds <= TIMEOUT_S_MAX:
        raise BadSettings(f"{SECTION}: timeout_s is from 1 to {TIMEOUT_S_MAX:.0f}, not {value!r}")
    return seconds


def _key_budget_zone(table: Mapping[str, Any]) -> str:
    """The zone of the key's budget: the one that is written, else that of this machine."""
    wanted, zone = table.get("budget_on_key", False), table.get("zone")
    if not isinstance(wanted, bool):
        raise BadSettings(f"{SECTION}: budget_on_key is true or false, not {wanted!r}")
    if zone is not None and not (isinstance(zone, str) and _is_zone(zone)):
        raise BadSettings(
            f"{SECTION}: zone is a time zone by its IANA name, such as Europe/Berlin, not {zone!r}"
        )
    if not wanted:
        return ""
    if not table.get("api_key"):
        raise BadSettings(f"{SECTION}: budget_on_key limits a key, so it needs an `api_key`")
    return zone or machine_zone()


def machine_zone() -> str:
    """The IANA name of this machine's time zone, as far as it says one; else UTC."""
    zone = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    return zone if zone and _is_zone(zone) else "UTC"


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only whoever names a zone loads it

    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False
    return True


def _others(found: object) -> Mapping[str, str] | None:
    if found is None:
        return None
    if not isinstance(found, list):
        raise BadSettings(
            f"{SECTION}: others is a list of addresses that may be asked, [] for none"
        )
    sellers = [seller_of(str(one)) for one in found]
    return {one.origin: one.url for one in sellers}
