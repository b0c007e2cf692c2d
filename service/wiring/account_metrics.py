"""What the flows watch, read whenever the metrics are. Must not know: who reads them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from service.domain.upstream_accounts import UpstreamAccount
from service.flows.compare_costs import CompareCosts
from service.flows.sweep_node import SweepNode
from service.flows.watch_account import WatchAccount

UNKNOWN = -1
Read = Callable[[UpstreamAccount], int | None]


def watch_account(registry: CollectorRegistry, account: WatchAccount) -> None:
    """Gauges in pico-USD, -1 for what is unlimited or unknown."""
    told: dict[str, tuple[str, Read]] = {
        "credit": ("Credit left in the account", lambda found: found.credit_left_pusd),
        "key_limit": ("The key's own limit", lambda found: found.limit_pusd),
        "key_left": ("What is left of the key's limit", lambda found: found.limit_remaining_pusd),
        "key_used_today": ("Spent by the key this UTC day", lambda found: found.usage_daily_pusd),
    }
    for name, (what, read) in told.items():
        _gauge(registry, f"{name}_pusd", what).set_function(_reader(account, read))
    in_flight = _gauge(registry, "in_flight_pusd", "Ceilings of what the last look has not seen")
    in_flight.set_function(lambda: account.in_flight_pusd)
    low = _gauge(registry, "credit_low", "1 while asks are refused for want of credit")
    low.set_function(lambda: account.low)


def watch_usage(registry: CollectorRegistry, costs: CompareCosts) -> None:
    """1 while the usage that the upstream tells cannot be compared with our books."""
    alarm = _gauge(registry, "usage_alarm", "1 while its usage figure cannot be compared")
    alarm.set_function(lambda: costs.alarm is not None)


def watch_sweep(registry: CollectorRegistry, sweep: SweepNode) -> None:
    """What the node was paid and the books did not know."""
    found = Gauge(
        "cobot_meter_payments_found",
        "Payments that were in no book and were credited, since the start",
        registry=registry,
    )
    found.set_function(lambda: sweep.found)
    unnamed = Gauge(
        "cobot_meter_payments_unnamed",
        "Payments in no book that name no caller: nothing is sold while there is one",
        registry=registry,
    )
    unnamed.set_function(lambda: len(sweep.last.unnamed) if sweep.last else 0)


def _reader(account: WatchAccount, read: Read) -> Callable[[], int]:
    def value() -> int:
        found = read(account.account) if account.account else None
        return UNKNOWN if found is None else found

    return value


def _gauge(registry: CollectorRegistry, name: str, what: str) -> Gauge:
    return Gauge(f"cobot_meter_upstream_{name}", what, registry=registry)
