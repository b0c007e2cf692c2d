"""Audit: live every escrow again from its journal and hold rows and postings against that life.

Only what an escrow was opened with (ask, quote, caller) is taken from its row, and that is checked
against the facts of its first entry. Must not know: accounts' balances or the node. Memory is
bounded by the number of escrows: about 2 KB for each.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.consensus.panel import panel_fault, read_panel
from cobot_meter.domain.errors import IllegalTransition, LedgerUnbalanced
from cobot_meter.domain.escrow.bookings import bookings
from cobot_meter.domain.escrow.events import (
    ClaimLapsed,
    EscrowEvent,
    QuarantineBegun,
    QuarantineLifted,
    WrittenOff,
)
from cobot_meter.domain.escrow.record import Escrow, Opening
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.money import msat_from_pusd
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.routing.recheck import route_fault
from cobot_meter.domain.run.events import CompletionCosted, CostAttributed, CostKnown, RunEvent
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.transitions.escrows import Book, escrow_transition, open_escrow
from cobot_meter.domain.transitions.event_facts import event_kind, event_of
from cobot_meter.domain.transitions.row_digests import ROW, UPSTREAM
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.flows.audit.exposure import ExposureReplay
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer

OPENED = "opened"
QUARANTINE = frozenset(map(event_kind, (QuarantineBegun, QuarantineLifted, WrittenOff)))
_TERMS = ExposureTerms(cap=CapTerms())


class EscrowReplay:
    """`lives` holds every escrow as its journal leaves it.

    `kept_msat` is what lapsed claims left us, by caller, `attributed_pusd` what failed runs were
    found to have cost, by upstream; `exposure` counts the days' budgets.
    """

    def __init__(self, findings: Findings, *, retention: Retention, book: Book = bookings) -> None:
        """No escrow yet; `book` is what the service books with."""
        self.lives: dict[str, Escrow] = {}
        self.kept_msat: Counter[str] = Counter()
        self.attributed_pusd: Counter[str] = Counter()
        self.exposure = ExposureReplay()
        self._book = book
        self._findings = findings
        self._retention = retention
        self._waiting: dict[str, Escrow] = {}
        self._broken: set[str] = set()
        self._compared: set[str] = set()
        self._entries: Counter[str] = Counter()

    def expect_run(self, run: Run) -> None:
        """A run's row, after its escrow's: the first run of each opened along with it."""
        waiting = self._waiting.get(run.run_id)
        if (
            waiting is not None
            and waiting.mode is not Mode.PANEL
            and waiting.run.upstream != run.upstream
        ):
            first = dataclasses.replace(waiting.run, upstream=run.upstream)
            self._waiting[run.run_id] = dataclasses.replace(waiting, run=first)

    def expect(self, row: Escrow) -> None:
        """An escrow row: its life should be in the journal."""
        self._waiting[row.escrow_id] = Escrow.opened(Opening.of(row), upstream=row.run.upstream)
        if row.route is not None:
            fault = _route_fault(row, row.route)
            self._findings.demand("route_differs", row.escrow_id, fault, sound=not fault)

    def told(self, entry: JournalEntry) -> None:
        """Apply one entry of the journal to the life that it tells of; a finding if that fails."""
        escrow_id = entry.subject_id
        if escrow_id in self._broken:
            return
        life = self.lives.get(escrow_id)
        self._entries[escrow_id] += 1
        try:
            transition = self._opening(entry) if life is None else self._event(life, entry)
        except (ValueError, TypeError, IllegalTransition, LedgerUnbalanced) as fault:
            self._break(escrow_id, "event_impossible", f"{entry.key}: {fault}")
            return
        if transition is None or transition.escrow is None:
            return
        self.lives[escrow_id] = transition.escrow.seen_from(transition.escrow.run_id)
        self._compare_entry(entry, transition)

    def _opening(self, entry: JournalEntry) -> Transition | None:
        escrow = self._waiting.pop(entry.subject_id, None)
        if escrow is None:
            self._break(
                entry.subject_id, "journal_orphan", f"{entry.key} is of an escrow with no row"
            )
            return None
        if entry.kind != OPENED:
            message = f"the journal of {entry.subject_id} begins with {entry.kind!r}"
            raise ValueError(message)
        escrow = requested_at_once(escrow, entry.facts.get("requested_by"))
        standing = CallerStanding(caller_id=escrow.caller_id)
        told = open_escrow(escrow, standing=standing, terms=_TERMS, bodies=StoredBodies())
        quote = escrow.quote
        surcharges = (quote.terms.credit_fee_bps, quote.terms.markup_bps)
        self._findings.demand(
            "quote_differs",
            escrow.escrow_id,
            "the row's ask, quote, prices or time are not those of the opening entry",
            sound=_opening_facts(entry.facts) == _opening_facts(told.facts, like=entry.facts)
            and entry.at_ms == escrow.opened_at_ms
            and quote.ceiling_msat == msat_from_pusd(quote.ceiling_pusd, quote.rate, *surcharges),
        )
        return told

    def _event(self, life: Escrow, entry: JournalEntry) -> Transition:
        event = event_of(entry.kind, entry.facts)
        if isinstance(event, RunEvent):
            life = life.seen_from(entry.key.partition("/")[0])
        told = escrow_transition(
            life, event, at_ms=entry.at_ms, retention=self._retention, book=self._book
        )
        self._check_figures(life, event)
        self.exposure.told(life, event)
        return told

    def _check_figures(self, life: Escrow, event: EscrowEvent) -> None:
        match event:
            case CostKnown() | CompletionCosted():
                priced = life.price_of_run(event.cost.cost_pusd)
                self._findings.demand(
                    "price_differs",
                    life.escrow_id,
                    f"the price is {event.price_msat} msat, but its cost and rate make "
                    f"{priced.price_msat}",
                    sound=event.price_msat == priced.price_msat,
                )
            case ClaimLapsed():
                self.kept_msat[life.caller_id] += event.kept_msat
                kept_msat = life.kept_if_unclaimed_msat
                self._findings.demand(
                    "price_differs",
                    life.escrow_id,
                    f"{event.kept_msat} msat are kept of a lapsed claim that cost {kept_msat}",
                    sound=event.kept_msat == kept_msat,
                )
            case CostAttributed():
                self.attributed_pusd[life.run.upstream] += event.cost_pusd

    def _compare_entry(self, entry: JournalEntry, told: Transition) -> None:
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {told.key} of {told.caller_id}{_sold_by(told)}",
            sound=(entry.caller_id, entry.seller_id) == (told.caller_id, told.seller_id)
            and (entry.key == told.key or entry.key == self._key_of_before(entry)),
        )
        wanted, found = expected(told.transfers), entry.transfers
        self._findings.demand(
            "postings_differ",
            entry.key,
            f"it books {_shown(found)}, but {entry.kind} books {_shown(wanted)}",
            sound=wanted == found,
        )

    def _key_of_before(self, entry: JournalEntry) -> str | None:
        """The key of a quarantine in books from before runs had rows of their own.

        Its number was that of the entries before it; both rows' versions make it now.
        """
        if entry.kind not in QUARANTINE:
            return None
        return f"{entry.subject_id}/{entry.kind}/{self._entries[entry.subject_id] - 1}"

    def _break(self, escrow_id: str, code: str, message: str) -> None:
        """What follows in this escrow's journal has nothing to stand on."""
        self._broken.add(escrow_id)
        self._findings.add(code, escrow_id, message)

    def compare(self, row: Escrow) -> None:
        """Hold the row, as it stands, against its life."""
        life = self.lives.get(row.escrow_id)
        if life is None or row.escrow_id in self._broken:
            return
        self._compared.add(row.run.run_id)
        wrong = [*_differences(row, life), *_differences(row.run, life.run, part="run.")]
        code = "state_differs" if row.progress != life.progress else "row_differs"
        message = f"the row says {', '.join(wrong)}, which is how its journal ends"
        self._findings.demand(code, row.escrow_id, message, sound=not wrong)

    def compare_run(self, row: Run) -> None:
        """Hold the row of a run against its life, after the rows of sales and what they live by."""
        life = self.lives.get(row.escrow_id)
        if row.run_id in self._compared or row.escrow_id in self._broken:
            return
        run = next((one for one in life.runs if one.run_id == row.run_id), None) if life else None
        if run is None:
            self._findings.add("row_orphan", row.run_id, "the run has no entry in the journal")
            return
        self._compared.add(row.run_id)
        wrong = _differences(row, run)
        code = "state_differs" if row.state is not run.state else "row_differs"
        message = f"the row says {', '.join(wrong)}, which is how its journal ends"
        self._findings.demand(code, row.run_id, message, sound=not wrong)
        instead = row.instead
        if instead is not None and instead.route is not None:
            fault = route_fault(instead.route, asked_model=instead.model, of_chain=True)
            self._findings.demand("route_differs", row.run_id, fault, sound=not fault)

    def finish(self) -> None:
        """After the last row: rows that the journal never mentioned, runs that have none."""
        for escrow_id in sorted(self._waiting):
            self._findings.add("row_orphan", escrow_id, "the row has no entry in the journal")
        for life in self.lives.values():
            for run in life.others if life.escrow_id not in self._broken else ():
                message = "the journal has this run, and it has no row"
                sound = run.run_id in self._compared
                self._findings.demand("run_missing", run.run_id, message, sound=sound)


def _route_fault(row: Escrow, route: str) -> str:
    if row.mode is Mode.PANEL:
        ceiling_pusd = row.quote.ceiling_pusd
        fault = panel_fault(route, asked_model=row.asked_model, ceiling_pusd=ceiling_pusd)
        panel = None if fault else read_panel(route)
        if panel is None or not panel.decision:
            return fault
        return route_fault(panel.decision, asked_model=panel.members[0].model)
    return route_fault(route, asked_model=row.asked_model)


_RUNS = frozenset({"run", "others"})


def _sold_by(told: Transition) -> str:
    return "" if told.seller_id is None else f", sold by {told.seller_id}"


def _differences(row: Escrow | Run, life: Escrow | Run, *, part: str = "") -> list[str]:
    """Field by field; runs are parts of their own."""
    names = (field.name for field in dataclasses.fields(row) if field.name not in _RUNS)
    values = ((name, getattr(row, name), getattr(life, name)) for name in names)
    return [
        f"{part}{name} {found!r} instead of {wanted!r}"
        for name, found, wanted in values
        if found != wanted
    ]


def _opening_facts(
    facts: Mapping[str, object], *, like: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Without the sealed bodies, and without what a version did not say when it was `like` this.

    The postings of a cost say at which upstream a run of then was.
    """
    unsaid = {name for name in (ROW, UPSTREAM) if like is not None and name not in like}
    return {
        name: fact
        for name, fact in facts.items()
        if not name.startswith("sealed.") and name not in unsaid
    }


def requested_at_once(escrow: Escrow, requested_by: object) -> Escrow:
    """The opened escrow, or the requested one where the entry says that it was sent at once."""
    if not isinstance(requested_by, str):
        return escrow
    upstream = escrow.run.upstream
    return Escrow.opened(Opening.of(escrow), upstream=upstream, requested_by=requested_by)


def expected(transfers: tuple[Transfer, ...]) -> tuple[JournalTransfer, ...]:
    """Transfers as the journal keeps them: without their guards."""
    return tuple(
        JournalTransfer(
            kind=transfer.kind.value,
            debit=transfer.debit.code,
            credit=transfer.credit.code,
            commodity=transfer.debit.commodity.value,
            amount=transfer.amount,
            hold_id=transfer.hold_id,
            held=transfer.held,
        )
        for transfer in transfers
    )


def _shown(transfers: tuple[JournalTransfer, ...]) -> str:
    if not transfers:
        return "nothing"
    return "; ".join(
        f"{one.kind} {one.amount} {one.commodity} {one.debit} → {one.credit}" for one in transfers
    )
