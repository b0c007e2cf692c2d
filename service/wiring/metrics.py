"""Counters for operators. Must not know: callers, prompts or anything of high cardinality."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.domain.accounts import Account
from service.domain.ledger import TransferKind, Transition
from service.ports.exchange_rate import RateStanding


class Metrics:
    """One registry per service, so that tests and replicas never share one."""

    def __init__(self) -> None:
        """All at zero."""
        self.registry = CollectorRegistry()
        self._transitions = Counter(
            "cobot_meter_transitions",
            "Transitions booked, by the event that caused them",
            ["kind"],
            registry=self.registry,
        )
        self._transfers = Counter(
            "cobot_meter_posted",
            "Amounts posted to operator accounts (msat or pico-USD), by side",
            ["account", "commodity", "side"],
            registry=self.registry,
        )
        self._faults = Counter(
            "cobot_meter_background_faults",
            "Faults of background work, by its name",
            ["name"],
            registry=self.registry,
        )
        self._by_kind: dict[str, Counter] = {}
        self._by_account: dict[tuple[str, str], Counter] = {}
        self._rate = self._gauge("rate_usd_micro_per_btc", "1e-6 USD per bitcoin; 0 without one")
        self._rate_age = self._gauge("rate_age_seconds", "Age of the rate; -1 without one")
        self._rate_agreeing = self._gauge("rate_agreeing_sources", "Sources behind the rate")
        self._rate_paused = self._gauge("rate_paused", "1 while a jump pauses post-paid asks")
        self.active_runs = Gauge(
            "cobot_meter_active_runs",
            "Escrows being driven right now",
            registry=self.registry,
        )

    def watch_rate(self, standing: Callable[[], RateStanding], now_ms: Callable[[], int]) -> None:
        """Read the exchange rate's standing whenever the metrics are read."""

        def level() -> int:
            rate = standing().rate
            return rate.usd_micro_per_btc if rate else 0

        def age_s() -> int:
            rate = standing().rate
            return (now_ms() - rate.fetched_at_ms) // 1_000 if rate else -1

        self._rate.set_function(level)
        self._rate_age.set_function(age_s)
        self._rate_agreeing.set_function(lambda: standing().agreeing)
        self._rate_paused.set_function(lambda: standing().paused_at_ms is not None)

    def observe(self, transition: Transition) -> None:
        """Count one new transition and what it posted to operator accounts."""
        self._event(transition.kind).inc()
        for transfer in transition.transfers:
            if transfer.kind is TransferKind.POSTED or transfer.kind is TransferKind.POST:
                if not transfer.debit.exact:
                    self._posted(transfer.debit, "debit").inc(transfer.amount)
                if not transfer.credit.exact:
                    self._posted(transfer.credit, "credit").inc(transfer.amount)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"cobot_meter_{name}", what, registry=self.registry)

    def _event(self, kind: str) -> Counter:
        """Looked up once per kind: labels() costs more than counting does."""
        child = self._by_kind.get(kind)
        if child is None:
            child = self._by_kind[kind] = self._transitions.labels(kind)
        return child

    def _posted(self, account: Account, side: str) -> Counter:
        child = self._by_account.get((account.code, side))
        if child is None:
            child = self._transfers.labels(account.code, account.commodity, side)
            self._by_account[account.code, side] = child
        return child

    def fault(self, name: str) -> None:
        """Count one fault of background work."""
        self._faults.labels(name).inc()
