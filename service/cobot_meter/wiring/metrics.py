"""Counters for operators, and gauges that are read whenever the metrics are.

Must not know: callers, prompts or anything of high cardinality.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from cobot_meter.adapters.storage.sqlite.files import free_bytes
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import TransferKind
from cobot_meter.domain.money import PUSD_PER_USD, usd_text
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.flows.offer.gates import WatchAccount, WatchedAccount
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.flows.operate.compare_costs import CompareCosts
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.unwritten_facts import UnwrittenFacts
from cobot_meter.ports.exchange_rate import RateStanding
from cobot_meter.wiring.settings.settings import Settings

LOG = logging.getLogger(__name__)
# The kinds of entries that a cost comes with.
_COSTS = frozenset({"cost_known", "completion_costed", "cost_confirmed"})


class TaskCounters:
    """How far tasks come, and what their sellers earn."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """All at zero."""
        self._states = Counter(
            "cobot_meter_tasks",
            "Tasks of sellers that came to this state; `open` counts those that were opened",
            ["state"],
            registry=registry,
        )
        self._fees = Counter(
            "cobot_meter_task_fees_msat",
            "Fees that sellers of tasks were credited",
            registry=registry,
        )

    def observe(self, transition: Transition) -> None:
        """Where a task has come to, once for each state that it comes to."""
        task = transition.escrow
        if task is None or not (transition.opens or "state" in transition.changed):
            return
        self._states.labels(task.task_state).inc()
        if task.state is EscrowState.RELEASED:
            self._fees.inc(task.fee_msat)


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
        self._overruns = Counter(
            "cobot_meter_overruns",
            "Runs that cost more than their ceiling, or are said to: somebody has to look",
            registry=self.registry,
        )
        self._refused = Counter(
            "cobot_meter_refused_before_a_route",
            "Requests and connections that never reached a route, by why",
            ["why"],
            registry=self.registry,
        )
        self._unconfirmed = Counter(
            "cobot_meter_unconfirmed_captures",
            "Answers on credit whose cost nobody looks up, as the operator has chosen",
            registry=self.registry,
        )
        self._unconfirmed_usd = Counter(
            "cobot_meter_unconfirmed_captures_usd",
            "What those answers said that they cost, in US dollars",
            registry=self.registry,
        )
        self._tasks = TaskCounters(self.registry)
        self._by_kind: dict[str, Counter] = {}
        self._by_account: dict[tuple[str, str], Counter] = {}
        self._rate = self._gauge("rate_usd_micro_per_btc", "1e-6 USD per bitcoin; 0 without one")
        self._rate_age = self._gauge("rate_age_seconds", "Age of the rate; -1 without one")
        self._rate_agreeing = self._gauge("rate_agreeing_sources", "Sources behind the rate")
        self._rate_paused = self._gauge("rate_paused", "1 while a jump pauses post-paid asks")
        self._circuits = self._gauge("open_circuits", "Models that fail now and come last")
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

    def watch_alarms(
        self,
        *,
        stopped: Callable[[], bool],
        quarantined: Callable[[], int],
        parted: Callable[[], bool],
    ) -> None:
        """Read whenever the metrics are; the counters of transitions tell how often."""
        what = "1 while nothing is sold or released, because the books contradict themselves"
        self._gauge("releases_stopped", what).set_function(stopped)
        what = "Escrows and top-ups that cannot be booked, and wait for the operator"
        self._gauge("quarantined", what).set_function(quarantined)
        what = "1 while the wall clock was set, and things end later than it says"
        self._gauge("clock_parted", what).set_function(parted)

    def circuit(self, _model_id: str, is_open: bool) -> None:  # noqa: FBT001 - a callback
        """A model has begun to fail, or has answered again."""
        if is_open:
            self._circuits.inc()
        else:
            self._circuits.dec()

    def observe(self, transition: Transition) -> None:
        """Count one new transition and what it posted to operator accounts."""
        self._event(transition.kind).inc()
        if transition.kind in _COSTS:
            self._overrun(transition)
            self._never_confirmed(transition)
        if transition.seller_id is not None:
            self._tasks.observe(transition)
        for transfer in transition.transfers:
            if transfer.kind is TransferKind.POSTED or transfer.kind is TransferKind.POST:
                if not transfer.debit.exact:
                    self._posted(transfer.debit, "debit").inc(transfer.amount)
                if not transfer.credit.exact:
                    self._posted(transfer.credit, "credit").inc(transfer.amount)

    def _never_confirmed(self, transition: Transition) -> None:
        escrow, captured = transition.escrow, transition.kind == "completion_costed"
        if captured and escrow is not None and escrow.run.lookup_at_ms is None:
            self._unconfirmed.inc()
            self._unconfirmed_usd.inc(escrow.cost_pusd / PUSD_PER_USD)

    def _overrun(self, transition: Transition) -> None:
        """A run that cost more than its ceiling is ours, and somebody has to look at why."""
        escrow = transition.escrow
        if escrow is not None and escrow.cost_pusd > escrow.run_ceiling_pusd:
            self._overruns.inc()
            LOG.error(
                "overrun: %s of %s cost $%s, and its ceiling was $%s",
                escrow.run.generation_id,
                escrow.model,
                usd_text(escrow.cost_pusd),
                usd_text(escrow.run_ceiling_pusd),
            )

    def doubted(self, escrow: Escrow, cost_pusd: int) -> None:
        """A cost that is too far over its ceiling to be believed: it is looked up again."""
        self._overruns.inc()
        LOG.error(
            "overrun: %s of %s is said to have cost $%s, and its ceiling was $%s: not believed; "
            "it stays unknown and is looked up again",
            escrow.run.generation_id,
            escrow.model,
            usd_text(cost_pusd),
            usd_text(escrow.run_ceiling_pusd),
        )

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

    def refused(self, why: str) -> None:
        """Count one request or connection that was refused at the bytes."""
        self._refused.labels(why).inc()

    def fault(self, name: str) -> None:
        """Count one fault of background work."""
        self._faults.labels(name).inc()


UNKNOWN = -1
Read = Callable[[UpstreamAccount], int | None]


def watch_account(registry: CollectorRegistry, watched: WatchAccount) -> None:
    """Gauges in pico-USD by upstream, -1 for what is unlimited or unknown."""
    told: dict[str, tuple[str, Read]] = {
        "credit": ("Credit left in the account", lambda found: found.credit_left_pusd),
        "key_limit": ("The key's own limit", lambda found: found.limit_pusd),
        "key_left": ("What is left of the key's limit", lambda found: found.limit_remaining_pusd),
        "key_used_today": ("Spent by the key this UTC day", lambda found: found.usage_daily_pusd),
    }
    in_flight = "Ceilings of what the last look has not seen"
    low = "1 while asks are refused for want of credit"
    gauges = {
        name: _by_upstream(registry, f"{name}_pusd", what) for name, (what, _) in told.items()
    }
    in_flight_gauge = _by_upstream(registry, "in_flight_pusd", in_flight)
    low_gauge = _by_upstream(registry, "credit_low", low)
    for upstream, account in watched.by_upstream.items():
        for name, (_, read) in told.items():
            gauges[name].labels(upstream).set_function(_reader(account, read))
        in_flight_gauge.labels(upstream).set_function(partial(_in_flight, account))
        low_gauge.labels(upstream).set_function(partial(_low, account))


def _in_flight(account: WatchedAccount) -> int:
    return account.in_flight_pusd


def _low(account: WatchedAccount) -> bool:
    return account.low


def watch_usage(registry: CollectorRegistry, compare_costs: CompareCosts) -> None:
    """1 while the usage that the upstream tells cannot be compared with our books."""
    alarm = _gauge(registry, "usage_alarm", "1 while its usage figure cannot be compared")
    alarm.set_function(lambda: compare_costs.alarm is not None)


def watch_sweep(registry: CollectorRegistry, sweep_node: SweepNode) -> None:
    """What the node was paid and the books did not know."""
    found = Gauge(
        "cobot_meter_payments_found",
        "Payments that were in no book and were credited, since the start",
        registry=registry,
    )
    found.set_function(lambda: sweep_node.found)
    unnamed = Gauge(
        "cobot_meter_payments_unnamed",
        "Payments in no book that name no caller: nothing is sold while there is one",
        registry=registry,
    )
    unnamed.set_function(lambda: len(sweep_node.last.unnamed) if sweep_node.last else 0)


def _reader(account: WatchedAccount, read: Read) -> Callable[[], int]:
    def value() -> int:
        found = read(account.account) if account.account else None
        return UNKNOWN if found is None else found

    return value


def _gauge(registry: CollectorRegistry, name: str, what: str) -> Gauge:
    return Gauge(f"cobot_meter_upstream_{name}", what, registry=registry)


def _by_upstream(registry: CollectorRegistry, name: str, what: str) -> Gauge:
    return Gauge(f"cobot_meter_upstream_{name}", what, ("upstream",), registry=registry)


def watch_books(
    registry: CollectorRegistry, settings: Settings, away_s: Callable[[], float]
) -> None:
    """For how long the books take no writes, and what is free on the disk of the data."""
    away = Gauge(
        "cobot_meter_books_away_seconds",
        "For how long the books have taken no writes; 0 while they do",
        registry=registry,
    )
    away.set_function(away_s)
    free = Gauge(
        "cobot_meter_data_free_bytes",
        "Free on the disk of the data directory, where SQLite's books are; -1 if unknown",
        registry=registry,
    )
    free.set_function(lambda: free_bytes(settings.data_dir))


def watch_unwritten(registry: CollectorRegistry, unwritten: UnwrittenFacts) -> None:
    """How many finished answers wait for the books."""
    waiting = Gauge(
        "cobot_meter_unwritten_answers",
        "Finished runs that wait in memory until the books take writes",
        registry=registry,
    )
    waiting.set_function(lambda: unwritten.count)


def watch_body_keys(registry: CollectorRegistry, keeping: KeepBodyKeys) -> None:
    """Whether the keys of the day are there."""
    missing = Gauge(
        "cobot_meter_body_keys_missing",
        "Keys of the day that sealed bodies need and that are not there",
        registry=registry,
    )
    missing.set_function(lambda: len(keeping.missing))
    unusable = Gauge(
        "cobot_meter_body_keys_unusable",
        "1 while nothing is sold because the keys of the day are not there or cannot be kept",
        registry=registry,
    )
    unusable.set_function(lambda: keeping.stopped)
