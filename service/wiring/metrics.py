"""Counters for operators. Must not know: callers, prompts or anything of high cardinality."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.domain.accounts import Commodity
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
        self.active_runs = Gauge(
            "cobot_meter_active_runs",
            "Escrows being driven right now",
            registry=self.registry,
        )

    def observe(self, transition: Transition) -> None:
        """Count one new transition and what it posted to operator accounts."""
        self._transitions.labels(transition.kind).inc()
        for transfer in transition.transfers:
            if transfer.kind not in {TransferKind.POSTED, TransferKind.POST}:
                continue
            for account, side in ((transfer.debit, "debit"), (transfer.credit, "credit")):
                if not account.exact:
                    commodity: Commodity = account.commodity
                    self._transfers.labels(account.code, commodity, side).inc(transfer.amount)

    def fault(self, name: str) -> None:
        """Count one fault of background work."""
        self._faults.labels(name).inc()
