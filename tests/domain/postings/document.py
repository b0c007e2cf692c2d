"""Writes `docs/postings.md` from what the domain books, so that the two cannot differ.

After a change of a posting run `python -m tests.domain.postings.document > docs/postings.md`; a
test compares the file with what is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from cobot_meter.domain.errors import IllegalTransition, LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.escrow.tables import TABLES
from cobot_meter.domain.ledger.transfers import Transfer, TransferKind
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.bookings import unattributed
from cobot_meter.domain.run.record import run_id_of
from cobot_meter.domain.topup.bookings import topup_credited
from cobot_meter.domain.transitions.editions import EditionSale, edition_sold
from tests.domain.escrow.panel.panel_walks import (
    PANEL_STAGES,
    covered_panel,
    of_member,
    opened_panel,
    paid_late_panel,
    parked_panel,
)
from tests.domain.escrow.stages import (
    CREDIT_PRODUCT,
    CREDIT_STAGES,
    EVENTS,
    PARKED,
    PRODUCT,
    RUN_EVENTS,
    STAGES,
    covered,
    growing,
    paid_late,
    parked,
)
from tests.domain.escrow.task.task_walks import (
    TASK_STAGES,
    paid_late_task,
    parked_task,
    running_task,
)
from tests.domain.escrow.walks import LIMITS, PART_CREDIT, Walk, invoiced, lines, short
from tests.domain.samples import (
    CALLER,
    DAY,
    FAILURE,
    NODE,
    UPSTREAM,
    Shape,
    canceled,
    completion_costed,
    cost_known,
    cost_of,
    fell_back,
    invoice_issued,
    received,
)
from tests.domain.samples import settled as paid

Told = tuple[str, Walk]
Row = tuple[str, str, Sequence[str]]
Pair = tuple[Progress, type[on.EscrowEvent]]
Product = Mapping[Pair, Progress]
Walks = Callable[[Progress, type[on.EscrowEvent]], Iterator[Told]]
HEAD = """\
# The postings

*Written by `python -m tests.domain.postings.document`; do not edit.* What each event of a sale
books, in the order in which it is written. The code is
`service/cobot_meter/domain/escrow/bookings.py` and `reservations.py` beside it.

A transfer debits one account and credits another of the same commodity. `pending` reserves: it
counts against bounds and is in no balance. A reservation is resolved once, by a `post` of at most
its amount (the rest is free again) or by a `void`. `posted` moves at once.

| account | what it says | commodity |
|---|---|---|
| available | the caller's credit | msat |
| receivable | what the caller owes us for an invoice | msat |
| unearned | priced, and not yet released: income that is not ours yet | msat |
| revenue | released | msat |
| revenue/benchmarks | paid for days' editions of the benchmarks | msat |
| node | what our Lightning node received | msat |
| settled, lapsed | what this caller has paid, and let lapse: its cap is made of these | msat |
| address, budget | what stays unpaid today, of one address and of its group of callers | pico-USD |
| key, key's day | what an API key has spent, in all and of a UTC day's asks | msat |
| limit | what counts against a budget in one of its windows: the price | msat or pico-USD |
| key's losses | what its asks of a UTC day cost us and nobody pays, or at most | pico-USD |
| overrun | what sales of a UTC day cost us beyond reservations that grow, at our price | pico-USD |
| contra | the other side of these memo accounts, which are nobody's money | both |
| credits | `upstream/<name>/credits`: our credit at the upstream of the run | pico-USD |
| cost/upstream, cost/failed | what it cost us: sold, or failed | pico-USD |
| cost/unpaid, cost/unattributed | never paid, or explained by nothing | pico-USD |

Codes that comments and tests use:

| code | what |
|---|---|
| A0 | a sale is opened with its reservations, all or none |
| A1, A2, A2c | its cost is known; its price is invoiced; credit covers the price |
| A2d | the answer goes on, and more credit is reserved for it: H4 and H5 made anew, larger |
| A3, A4 | the payment; the release |
| A5, A6 | the invoice was not paid; it was paid late, and what is still kept is bought with it |
| A7, A8, A8b | an attempt failed at no cost; at a cost; at a cost that nobody knows |
| A9, A10 | a cost as the answer said it; the upstream's record of it, later |
| A11 | no invoice can be made |
| A12 | a completion that was paid for is lost, or nobody claims it |
| A13 | costs that no generation explains |
| A14 | a run of a task begins; the task is closed, or ended with nothing sold |
| A15 | a panel is priced, or ended with nothing sold |
| B1 | a top-up, or a payment that is in no book |
| B2 | an edition of the benchmarks is bought from credit |
| H1 | reserved of what the caller (of a task: its seller, with the highest fee) may owe: U − C0, \
and P − C once the price is known |
| H2, H3 | reserved on the day of all newcomers (or proven callers), and of the address |
| H4 | reserved of the caller's credit: C0, the ceiling or a first part of it that may grow |
| H5 | reserved of what an API key may spend, in all and on the day: as H4, and with it |
| H7 | reserved of every budget that applies, in the window in which the sale opens: the ceiling, \
or the part of it that H4 has |
| H6 | of the day's overruns: what a reservation that grows may leave to us, until it is priced |

U is the ceiling, C0 the credit reserved, P the price, C the credit used, c the cost, S what was
received.

In all examples 1 pico-USD is worth 1 msat and there is no fee, so that amounts can be followed:
the ceiling is 10,000.
"""
WORKED = """
## A sale, from the ask to the release

The ceiling is 10,000 and the caller has 2,000 of credit; the run costs 7,000, so the price is
7,000: 2,000 from credit and an invoice over 5,000. The caller pays 5,600, and the 600 too many
are credit.
"""
EVERY = """
## Every event in every state

A row for each pair that the table of states has and that books anything, with a run that cost
7,000. Pairs that are not here change the row and move no money.

| state | event | books |
|---|---|---|
"""
ON_CREDIT = """
## Every event in every state, in credit mode

The same run, asked for with an API key. Of its caller's credit 8,000 are reserved, which may grow
to the ceiling of 10,000, and 1,000 of the day's overruns; where credit covers the ceiling from the
beginning, nothing grows and there is no overrun. A refund (A12) gives the key back what it gives
its caller.

| state | event | books |
|---|---|---|
"""
ON_TASK = """
## Every event in every state, in task mode

The seller has opened a task with a ceiling of 10,000 and a fee of at most 1,500, and risks both.
Two of its runs have answered, for 3,000 and 2,500, and one between them failed of which nobody
knows yet what it cost: 4,000 at most, and that stays reserved until somebody does. The fee comes to
1,000, so the price is 6,500. In the first rows a run is under way.

| state | event | books |
|---|---|---|
"""
ON_PANEL = """
## Every event in every state, in panel mode

Three models are asked at once, at 4,000, 2,000 and 4,000 at most, which is the ceiling of 10,000.
The first has cost 3,000, the third 2,500, and of the second, which failed, nobody knows yet what it
cost. The price is 5,500. In the first rows the first of them is under way; what is told of one
member moves what is of that member alone.

| state | event | books |
|---|---|---|
"""
OTHERS = """
## Beside the sale

| what | books |
|---|---|
"""


def document() -> str:
    """The whole file."""
    rows, on_credit = _rows(every()), _rows(every_on_credit())
    on_task, on_panel = _rows(every_on_task()), _rows(every_on_panel())
    others = "".join(f"| {what} | {_cell(booked)} |\n" for what, booked in beside())
    steps = "".join(_step(name, booked) for name, booked in worked())
    begun = f"{HEAD}{WORKED}\n| event | books |\n|---|---|\n{steps}"
    by_mode = f"{ON_CREDIT}{on_credit}{ON_TASK}{on_task}{ON_PANEL}{on_panel}"
    return f"{begun}{EVERY}{rows}{by_mode}{OTHERS}{others}"


def worked() -> Iterator[tuple[str, Sequence[str]]]:
    """Each event of the worked example, with its lines."""
    walk = Walk(PART_CREDIT)
    yield "opened", lines(walk.last)
    walk.tell(ran.UpstreamRequested(), received())
    for event in (
        lambda: cost_known(walk.escrow, 7_000),
        lambda: invoice_issued(walk.escrow),
        lambda: paid(walk.escrow, walk.escrow.due_msat + 600),
        on.CompletionDelivered,
    ):
        told = event()
        walk.tell(told)
        yield type(told).__name__, lines(walk.last)


def every() -> Iterator[Row]:
    """State, event and lines of every legal pair that books, in escrow mode."""
    return _every(PRODUCT, _walks)


def every_on_credit() -> Iterator[Row]:
    """The same pairs in credit mode."""
    return _every(CREDIT_PRODUCT, _walks_on_credit)


def every_on_task() -> Iterator[Row]:
    """The same pairs in task mode, the events of a run that is under way first."""
    running = {
        (Progress.OPENED, event): Progress.OPENED
        for event in EVENTS
        if event in RUN_EVENTS and event is not ran.CostConfirmed
    }
    yield from _every(running, lambda *_: iter((("a run is under way", running_task()),)))
    yield from _every(running, lambda *_: iter((("its answer said no cost", _unsaid()),)))
    pairs = {
        (state, event): state
        for state in TASK_STAGES
        for event in EVENTS
        if (TASK_STAGES[state]().escrow.state, event) in TABLES[Mode.TASK]
        or event in {ran.CostConfirmed, ran.CostAttributed, ran.CostGivenUp}
    }
    yield from _every(pairs, _walks_on_task)


def every_on_panel() -> Iterator[Row]:
    """The same pairs in panel mode, the opening and the events of one member first."""
    yield "(asked)", "opened", lines(opened_panel().last)
    of_one = {
        (Progress.REQUESTED, event): Progress.REQUESTED for event in EVENTS if event in RUN_EVENTS
    }
    yield from _every(of_one, lambda *_: iter((("a member is under way", _member(1)),)))
    yield from _every(of_one, lambda *_: iter((("a member has answered", _member(1, received())),)))
    pairs = {
        (state, event): state
        for state in PANEL_STAGES
        for event in EVENTS
        if (PANEL_STAGES[state]().escrow.state, event) in TABLES[Mode.PANEL]
    }
    yield from _every(pairs, _walks_on_panel)


def _member(number: int, *events: on.EscrowEvent) -> Walk:
    walk = of_member(opened_panel(), number, *events)
    walk.escrow = walk.escrow.seen_from(walk.escrow.runs[number - 1].run_id)
    return walk


def _walks_on_panel(state: Progress, event_type: type[on.EscrowEvent]) -> Iterator[Told]:
    if event_type is on.WrittenOff:
        yield f"{state} (in quarantine)", parked_panel(state)
        return
    if event_type is on.CoveredByCredit:
        yield f"{state} (credit covers it)", covered_panel()
        return
    if state is Progress.EXPIRED:
        yield f"{state} (paid late)", paid_late_panel()
    yield state.value, PANEL_STAGES[state]()


def _unsaid() -> Walk:
    return running_task().tell(received())


def _walks_on_task(state: Progress, event_type: type[on.EscrowEvent]) -> Iterator[Told]:
    """In an ordinary history, and for what only a failed run hears, looked at from that."""
    if event_type is on.WrittenOff:
        yield f"{state} (in quarantine)", parked_task(state)
        return
    if event_type in {ran.CostAttributed, ran.CostGivenUp}:
        walk = TASK_STAGES[state]()
        walk.escrow = walk.escrow.seen_from(run_id_of(walk.escrow.escrow_id, 3))
        yield f"{state} (of the run that failed)", walk
        return
    if state is Progress.EXPIRED:
        yield f"{state} (paid late)", paid_late_task()
    yield state.value, TASK_STAGES[state]()


def _every(product: Product, walks: Walks) -> Iterator[Row]:
    for state, event_type in product:
        for name, walk in walks(state, event_type):
            try:
                walk.tell(EVENTS[event_type](walk.escrow))
            except (IllegalTransition, LedgerUnbalanced):
                continue  # this one needs another history, which is among the others
            if walk.last.transfers:
                yield name, event_type.__name__, lines(walk.last)
                break


def _walks(state: Progress, event_type: type[on.EscrowEvent]) -> Iterator[Told]:
    """Escrows in the state: those whose history says more come first."""
    if event_type is on.CoveredByCredit:
        yield f"{state} (credit covers it)", covered()
    if state is Progress.EXPIRED:
        yield f"{state} (paid late)", paid_late()
    if event_type is ran.CostConfirmed and state in {Progress.INVOICED, Progress.SETTLED}:
        walk = invoiced(6_000, confirmed=False)
        if state is Progress.SETTLED:
            walk.tell(paid(walk.escrow))
        yield f"{state} (the cost was said to be 6,000)", walk
    if event_type is on.WrittenOff:
        yield f"{state} (in quarantine)", parked(state)
    yield state.value, STAGES[state]()


def _walks_on_credit(state: Progress, event_type: type[on.EscrowEvent]) -> Iterator[Told]:
    if event_type is on.WrittenOff:
        yield f"{state} (in quarantine)", CREDIT_STAGES[state]().tell(PARKED)
    yield state.value, CREDIT_STAGES[state]()


def beside() -> Iterator[tuple[str, Sequence[str]]]:
    """A failure that cost something, and what is booked of no escrow."""
    failed = ran.RunFailed(failure=FAILURE, charged=True, cost=cost_of(300))
    charged = Walk().tell(ran.UpstreamRequested(), failed)
    yield "an attempt failed, and its error said that it cost 300 (A8)", lines(charged.last)
    another = Walk().tell(ran.UpstreamRequested())
    another.tell(fell_back(another.escrow, charged=True, cost=cost_of(300)))
    yield "the same, and the next model of a chain is asked (A8, H2, H3)", lines(another.last)
    beyond = growing().tell(ran.UpstreamRequested())
    beyond.tell(completion_costed(beyond.escrow, 9_500))
    yield "8,000 were reserved of credit, and the answer cost 9,500 (A2c, H6)", lines(beyond.last)
    yield from _under_a_budget()
    yield (
        "a top-up of 5,000 is paid (B1)",
        _lines(topup_credited(caller_id=CALLER, node_alias=NODE, paid_msat=5_000)),
    )
    bought = EditionSale(
        caller_id=CALLER,
        key_id="key_1",
        edition="2026-11-29",
        day=DAY,
        price_msat=5_000,
        budgets=f"{LIMITS}/20261129T230000Z",
        usd_micro_per_btc=None,
        document_sha256="",
    )
    yield (
        "a key that a budget bounds buys an edition of the benchmarks for 5,000 (B2, H5, H7)",
        _lines(edition_sold(bought, at_ms=0).transfers),
    )
    yield (
        "the upstream charged 300 that no generation explains (A13)",
        _lines(unattributed(300, upstream=UPSTREAM)),
    )
    yield "it gave 300 back", _lines(unattributed(-300, upstream=UPSTREAM))


def _under_a_budget() -> Iterator[tuple[str, Sequence[str]]]:
    """What a sale books of a budget beside all else, in each way that it can go (H7)."""
    shape = Shape(budgets=f"{LIMITS}/20261129T230000Z")
    sold, lapsed, failed = Walk(shape), Walk(shape), Walk(shape)
    yield "a sale opens that a budget bounds (A0, H7)", _of_limits(sold)
    failed.tell(ran.UpstreamRequested(), ran.RunFailed(failure=FAILURE, charged=False))
    yield "its run fails", _of_limits(failed)
    for walk in (sold, lapsed):
        walk.tell(ran.UpstreamRequested(), received())
        walk.tell(cost_known(walk.escrow, 7_000))
        walk.tell(invoice_issued(walk.escrow))
    yield "its price of 7,000 is invoiced, or captured of credit", _of_limits(sold)
    lapsed.tell(canceled(lapsed.escrow))
    yield "its invoice lapses, or a refund (A12) gives all of it back", _of_limits(lapsed)
    lapsed.tell(paid(lapsed.escrow))
    yield "a late payment buys it after all (A6)", _of_limits(lapsed.tell(on.LatePurchase()))


def _of_limits(walk: Walk) -> list[str]:
    return [line for line in lines(walk.last) if "limit" in line]


def _lines(transfers: Sequence[Transfer]) -> list[str]:
    return [
        f"{one.kind.value} {short(one.debit.code)} / {short(one.credit.code)} {one.amount}"
        for one in transfers
        if one.kind is TransferKind.POSTED
    ]


def _rows(rows: Iterator[Row]) -> str:
    return "".join(f"| {state} | {event} | {_cell(booked)} |\n" for state, event, booked in rows)


def _step(name: str, booked: Sequence[str]) -> str:
    return f"| {name} | {_cell(booked)} |\n"


def _cell(booked: Sequence[str]) -> str:
    return "<br>".join(f"`{line}`" for line in booked) or "nothing"


if __name__ == "__main__":
    sys.stdout.write(document())
