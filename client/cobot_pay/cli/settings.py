"""What `cobot-pay` is told: one folder, in it `config.toml`, and a few words of the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cobot_pay.spending.limits import DEFAULT, NONE, Amounts, BudgetLimits, Limits

HOME_VARIABLE, WALLET_VARIABLE = "COBOT_PAY_HOME", "COBOT_PAY_WALLET"
_MSAT_PER_SAT, _MICRO = 1_000, 1_000_000
_SPANS = ("request", "hour", "day")
_NAMES = frozenset(f"{span}_{unit}" for span in _SPANS for unit in ("sat", "usd"))


class BadSettings(Exception):
    """A sentence that says which setting is wrong, and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where everything is kept, which wallet pays, and how much may be spent."""

    home: Path
    wallet: str = ""
    limits: BudgetLimits = field(default_factory=BudgetLimits)

    @property
    def book(self) -> Path:
        """The file of payments, tokens and keys."""
        return self.home / "payments.sqlite"


def read_client_settings(environment: Mapping[str, str], home: str | None) -> ClientSettings:
    """From the folder that is given, that the environment names, or `~/.cobot-pay`.

    Raises BadSettings.
    """
    named = home or environment.get(HOME_VARIABLE) or "~/.cobot-pay"
    folder = Path(named).expanduser()
    document = _document(folder / "config.toml")
    unknown = sorted(set(document) - {"wallet", "budget"})
    if unknown:
        raise BadSettings(f"config.toml knows `wallet` and `[budget]`, not `{unknown[0]}`")
    wallet = environment.get(WALLET_VARIABLE) or document.get("wallet", "")
    if not isinstance(wallet, str):
        raise BadSettings('`wallet` is a text, such as "dev:http://127.0.0.1:8404"')
    return ClientSettings(home=folder, wallet=wallet, limits=_budget(document.get("budget", {})))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise BadSettings(f"cannot read {path}: {fault.strerror}") from fault
    except ValueError as fault:
        raise BadSettings(f"{path} is no TOML: {fault}") from fault


def _budget(table: object) -> BudgetLimits:
    """`[budget]` over all hosts, `[budget.each_host]`, and `[budget.hosts."b.example"]`."""
    found = _table(table, "[budget]")
    hosts = _table(found.pop("hosts", {}), "[budget.hosts]")
    each_host = found.pop("each_host", None)
    return BudgetLimits(
        all_hosts=_limits(found, "[budget]") if found else DEFAULT,
        each_host=NONE if each_host is None else _limits(each_host, "[budget.each_host]"),
        hosts={host: _limits(limits, f'[budget.hosts."{host}"]') for host, limits in hosts.items()},
    )


def _limits(table: object, name: str) -> Limits:
    found = _table(table, name)
    unknown = sorted(set(found) - _NAMES)
    if unknown:
        known = ", ".join(sorted(_NAMES))
        raise BadSettings(f"{name} knows {known}, not `{unknown[0]}`")
    return Limits(
        msat=_amounts(found, "sat", name, scale=_MSAT_PER_SAT),
        micro_usd=_amounts(found, "usd", name, scale=_MICRO),
    )


def _amounts(table: Mapping[str, Any], unit: str, name: str, *, scale: int) -> Amounts:
    given = {}
    for span in _SPANS:
        value = table.get(f"{span}_{unit}")
        given[span] = None if value is None else read_amount(value, f"{name} {span}_{unit}", scale)
    return Amounts(**given)


def read_amount(value: object, name: str, scale: int) -> int:
    """The number in msat or millionths of a USD, rounded down, since it is a limit."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise BadSettings(f"{name} is a number of 0 or more, not {value!r}")
    return int(amount * scale)


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadSettings(f"{name} is a table")
    return dict(value)
