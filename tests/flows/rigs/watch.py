"""What must hold whatever happens, read off the journal as it grows.

It adds up the journal's transfers by itself and believes neither counters nor rows where it can
count.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.ports.ledger_reports import JournalEntry
from tests.fakes.books import FakeBooks
from tests.fakes.upstream import FakeUpstream

S = Progress
PAID = frozenset({S.SETTLED, S.RELEASED, S.REFUNDED})
ENDED = frozenset({S.RELEASED, S.REFUNDED, S.EXPIRED, S.FAILED})
UNKNOWING = frozenset({"outcome_unknown", "cost_not_found", "quarantined"})


@dataclass(slots=True)
class Watch:
    """`check` after every rule; `check_end` when everything is over.

    `set_apart` are the escrows that stood in quarantine while costs were compared: no comparison
    waits for those, so what they took is unattributed by then, and on no day.
    """

    books: FakeBooks
    upstream: FakeUpstream
    exposure: ExposureTerms
    read: int = 0
    unknowing: bool = False
    claimed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    net: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    caps: dict[str, int | None] = field(default_factory=dict)
    lapsed: set[str] = field(default_factory=set)
    in_time: set[str] = field(default_factory=set)
    paid: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    parked: set[str] = field(default_factory=set)
    set_apart: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Everything that is true at any time."""
        entries = list(self.books.rows.journal.values())
        for entry in entries[self.read :]:
            self._told(entry)
        if len(entries) == self.read:
            return
        self.read = len(entries)
        self._check_balance()
        self._check_spend()
        assert len(self.upstream.runs) <= len(self.books.rows.views), "a run was repeated"
        if self.net[chart.COST_UNATTRIBUTED.code]:
            assert self.unknowing, "unattributed cost, and nothing was ever unknown"

    def check_costs(self) -> None:
        """Σ of the cost accounts is what the upstream took; so after every comparison."""
        booked = sum(self.net[account.code] for account in chart.COST_ACCOUNTS)
        assert booked == self.upstream.spent_pusd

    def check_end(self) -> None:
        """Over: all escrows have ended, and nothing is left on the way."""
        self.check()
        self.check_costs()
        assert self.books.rows.ledger.open_reservations() == {}
        assert self.net[chart.UNEARNED.code] == 0
        for escrow in self.books.rows.escrows.values():
            assert escrow.progress in ENDED
            assert escrow.key_id is None or escrow.invoice is None
            assert self.net[chart.receivable(escrow.at_risk_id).code] == 0

    def _told(self, entry: JournalEntry) -> None:
        for transfer in entry.transfers:
            moved = 0 if transfer.kind == "pending" else transfer.amount
            reserved = transfer.amount if transfer.kind == "pending" else -transfer.held
            self.net[transfer.debit] += moved
            self.net[transfer.credit] -= moved
            self.claimed[transfer.debit] += moved + reserved
            self.claimed[transfer.credit] -= moved
        match entry.kind:
            case "opened" | "fell_back" | "reservation_extended" | "task_run_begun":
                self._check_opened(entry)
            case "caller_changed":
                cap = entry.facts["cap_msat"]
                self.caps[str(entry.caller_id)] = None if cap is None else int(cap)
            case "invoice_canceled":
                self.lapsed.add(entry.subject_id)
            case "invoice_settled" if entry.subject_id not in self.lapsed:
                self.in_time.add(entry.subject_id)
                self.paid.add(entry.subject_id)
            case "covered_by_credit" | "late_purchase":
                self.paid.add(entry.subject_id)
            case "completion_delivered" | "completion_costed":
                self._check_delivered(entry)
        self.unknowing = self.unknowing or _unknowing(entry)
        self._quarantine_told(entry)

    def _quarantine_told(self, entry: JournalEntry) -> None:
        match entry.kind:
            case "quarantined":
                self.parked.add(entry.subject_id)
            case "quarantine_lifted" | "written_off":
                self.parked.discard(entry.subject_id)
            case "usage_compared":
                self.set_apart |= self.parked

    def _check_opened(self, entry: JournalEntry) -> None:
        """Whoever was let in was within every limit at that moment; another run, on its days.

        So was whatever has more reserved.
        """
        escrow = self.books.rows.escrows[entry.subject_id]
        quote = escrow.quote
        assert self.claimed[chart.available(escrow.caller_id).code] <= 0
        if escrow.key_id is not None:
            self._check_key(escrow, escrow.key_id)
        if quote.covered:
            assert escrow.reserved_msat <= quote.ceiling_msat
            overrun = self.claimed[chart.overrun(quote.day).code]
            assert overrun <= self.exposure.overrun_day_pusd
            return
        if entry.kind == "opened":
            self._check_cap(escrow.at_risk_id)
        budget = chart.day_budget(quote.day, newcomer=quote.newcomer)
        limit = self.exposure.day_budget_pusd(newcomer=quote.newcomer)
        assert self.claimed[budget.code] <= limit
        if quote.newcomer:
            address = chart.address_budget(escrow.ask.address, quote.day)
            assert self.claimed[address.code] <= self.exposure.address_day_pusd

    def _check_key(self, escrow: Escrow, key_id: str) -> None:
        """Credit pays all of it, and neither limit of the key was passed by it."""
        key, quote = self.books.rows.api_keys[key_id], escrow.quote
        assert quote.covered
        for account, limit in (
            (chart.key_spent(key_id), key.limits.limit_msat),
            (chart.key_day(key_id, quote.day), key.limits.day_limit_msat),
        ):
            assert limit is None or self.claimed[account.code] <= limit

    def _check_cap(self, caller_id: str) -> None:
        cap = self.caps.get(caller_id)
        if cap is None:
            cap = self.exposure.cap.cap_msat(
                settled_msat=self.net[chart.settled(caller_id).code],
                lapsed_msat=self.net[chart.lapsed(caller_id).code],
            )
        assert self.claimed[chart.receivable(caller_id).code] <= cap

    def _check_delivered(self, entry: JournalEntry) -> None:
        """Released because paid, and released once: by escrow and by preimage."""
        captured = entry.kind == "completion_costed"
        assert captured or entry.subject_id in self.paid, "released without settle"
        escrow = self.books.rows.escrows[entry.subject_id]
        assert escrow.price_msat - escrow.fee_msat <= escrow.most_msat, "a price beyond its ceiling"
        if captured and escrow.task is not None:
            return  # one run of it: nothing is paid for, and what is sold is another text
        names = {entry.subject_id}
        if escrow.payment_hash is not None:
            names.add(f"preimage of {escrow.payment_hash}")
        assert not names & self.delivered, "released twice"
        self.delivered |= names

    def _check_balance(self) -> None:
        ledger = self.books.rows.ledger
        for commodity in Commodity:
            posted = pending = 0
            for code, counters in ledger.counters.items():
                if ledger.accounts[code].commodity is commodity:
                    posted += counters.net
                    pending += counters.debits_pending - counters.credits_pending
                    assert counters.net == self.net[code], "a counter is not what was journalled"
                    assert min(counters) >= 0
            assert posted == pending == 0
        for code, claimed in self.claimed.items():
            if code.endswith("/available"):
                assert claimed <= 0, "credit was spent twice"

    def _check_spend(self) -> None:
        """What the upstream took and nobody paid is within what the day's budgets count."""
        escrows = self.books.rows.views
        generations = {
            escrow.run.generation_id: escrow for escrow in escrows if escrow.run.generation_id
        }
        least = min((_most(escrow) for escrow in escrows), default=0)
        unpaid = overbooked = 0
        for run in self.upstream.runs:
            escrow = generations.get(run.generation_id)
            if escrow is None:
                unpaid += min(run.cost_pusd, least)
                continue
            overbooked += _overbooked(escrow, run.cost_pusd)
            sold = escrow.run.has_answered if escrow.task else not escrow.looks_back
            unsold = not sold or escrow.progress not in PAID
            if unsold and _budgeted(escrow) and escrow.escrow_id not in self.set_apart:
                unpaid += run.cost_pusd - _beyond(escrow, run.cost_pusd)
        unbudgeted = sum(
            escrow.quote.ceiling_pusd
            for escrow in escrows
            if escrow.run.generation_id is None and not _budgeted(escrow)
        )
        counted = sum(
            claimed for code, claimed in self.claimed.items() if code.startswith("exposure/unpaid/")
        )
        assert unpaid <= counted + unbudgeted + overbooked, "unpaid spend that no budget counts"


def _budgeted(escrow: Escrow) -> bool:
    return not escrow.quote.covered


def _most(escrow: Escrow) -> int:
    """What its run may cost at most."""
    most_pusd = escrow.run.most_pusd
    return escrow.quote.ceiling_pusd if most_pusd is None else most_pusd


def _overbooked(escrow: Escrow, truth_pusd: int) -> int:
    """What a provisional cost says too much, and A13 then finds missing for the others."""
    if escrow.run.cost is None or escrow.run.cost.standing is CostStanding.CONFIRMED:
        return 0
    return max(escrow.cost_pusd - truth_pusd, 0)


def _beyond(escrow: Escrow, truth_pusd: int) -> int:
    """What the books cannot count yet: past the ceiling, or past a cost that is provisional."""
    if escrow.run.cost is None:
        return max(truth_pusd - _most(escrow), 0)
    provisional = escrow.run.cost.standing is CostStanding.PROVISIONAL
    return max(truth_pusd - escrow.cost_pusd, 0) if provisional else 0


def _unknowing(entry: JournalEntry) -> bool:
    """Whether from here on the upstream may have taken what no generation explains."""
    match entry.kind:
        case "upstream_failed":
            return bool(entry.facts["charged"])
        case "fell_back":
            return entry.facts["charged"] is not False
        case "cost_lookup_missed":
            return entry.facts["lookup_at_ms"] is None
        case _:
            return entry.kind in UNKNOWING
