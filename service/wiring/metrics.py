"""Counters for operators. Must not know: callers, prompts or anything of high cardinality."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.domain.accounts import Account
from service.domain.ledger import TransferKind, Transition


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
        self.active_runs = Gauge(
            "cobot_meter_active_runs",
            "Escrows being driven right now",
            registry=self.registry,
        )

    def observe(self, transition: Transition) -> None:
        """Count one new transition and what it posted to operator accounts."""
        self._event(transition.kind).inc()
        for transfer in transition.transfers:
            if transfer.kind is TransferKind.POSTED or transfer.kind is TransferKind.POST:
                if not transfer.debit.exact:
                    self._posted(transfer.debit, "debit").inc(transfer.amount)
                if not transfer.credit.exact:
                    self._posted(transfer.credit, "credit").inc(transfer.amount)

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
