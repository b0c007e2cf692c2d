"""An escrow in each state, and an event of each type that fits the escrow it is told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode, Progress
from cobot_meter.domain.escrow.tables import HEARD, TABLES
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.machine import RUN_TRANSITIONS
from cobot_meter.domain.run.states import RunState
from tests.domain.escrow.walks import Walk, invoiced
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    TERMS,
    Shape,
    canceled,
    completion_costed,
    cost_known,
    cost_of,
    fell_back,
    invoice_issued,
    invoice_lost,
    panel_priced,
    received,
    settled,
    task_closed,
    task_run_begun,
)

S = Progress
Stages = Mapping[Progress, Callable[[], Walk]]


def _generated() -> Walk:
    return Walk().tell(ran.UpstreamRequested(), received())


def _costed() -> Walk:
    walk = _generated()
    return walk.tell(cost_known(walk.escrow, 7_000))


def _settled() -> Walk:
    walk = invoiced()
    return walk.tell(settled(walk.escrow))


def _expired() -> Walk:
    walk = invoiced()
    return walk.tell(canceled(walk.escrow))


STAGES: Stages = {
    S.OPENED: Walk,
    S.REQUESTED: lambda: Walk().tell(ran.UpstreamRequested()),
    S.GENERATED: _generated,
    S.COSTED: _costed,
    S.INVOICED: invoiced,
    S.SETTLED: _settled,
    S.RELEASED: lambda: _settled().tell(on.CompletionDelivered()),
    S.FAILED: lambda: Walk().tell(ran.UpstreamRequested(), ran.RunOutcomeUnknown(failure=FAILURE)),
    S.EXPIRED: _expired,
    S.REFUNDED: lambda: _settled().tell(on.CompletionLost()),
}


def on_credit() -> Walk:
    """A key's sale, whose ceiling is reserved of the caller's credit."""
    return Walk(Shape(credit=10_000, mode=Mode.CREDIT, key_id="key_1"))


def growing(*, terms: ExposureTerms = TERMS) -> Walk:
    """A key's sale of which a first part is reserved, with room in the day for an overrun."""
    shape = Shape(credit=8_000, mode=Mode.CREDIT, key_id="key_1", first_tokens=10, overrun=1_000)
    return Walk(shape, terms=terms)


def _credit_costed() -> Walk:
    walk = growing().tell(ran.UpstreamRequested(), received())
    return walk.tell(cost_known(walk.escrow, 7_000))


def _captured() -> Walk:
    walk = growing().tell(ran.UpstreamRequested())
    return walk.tell(completion_costed(walk.escrow, 7_000))


CREDIT_STAGES: Stages = {
    S.OPENED: growing,
    S.REQUESTED: lambda: growing().tell(ran.UpstreamRequested()),
    S.GENERATED: lambda: growing().tell(ran.UpstreamRequested(), received()),
    S.COSTED: _credit_costed,
    S.SETTLED: lambda: _credit_costed().tell(on.CoveredByCredit()),
    S.RELEASED: _captured,
    S.FAILED: lambda: growing().tell(
        ran.UpstreamRequested(), ran.RunOutcomeUnknown(failure=FAILURE)
    ),
    S.REFUNDED: lambda: _credit_costed().tell(on.CoveredByCredit(), on.CompletionLost()),
}


PARKED = on.QuarantineBegun(event="cost_confirmed", reason="it is too large")


def parked(state: Progress) -> Walk:
    """An escrow in this state and in quarantine."""
    return STAGES[state]().tell(PARKED)


def covered() -> Walk:
    """A costed escrow whose price reserved credit covers."""
    walk = Walk(Shape(credit=9_000)).tell(ran.UpstreamRequested(), received())
    return walk.tell(cost_known(walk.escrow, 7_000))


def paid_late() -> Walk:
    """An expired escrow whose invoice was paid after all."""
    walk = _expired()
    return walk.tell(settled(walk.escrow))


EVENTS: Mapping[type[on.EscrowEvent], Callable[[Escrow], on.EscrowEvent]] = {
    ran.UpstreamRequested: lambda _: ran.UpstreamRequested(),
    ran.Abandoned: lambda _: ran.Abandoned(),
    ran.GenerationStarted: lambda _: ran.GenerationStarted(generation_id="gen-1"),
    ran.CompletionReceived: lambda _: received(),
    ran.RunFailed: lambda _: ran.RunFailed(failure=FAILURE, charged=False),
    ran.RunOutcomeUnknown: lambda _: ran.RunOutcomeUnknown(failure=FAILURE),
    ran.FellBack: fell_back,
    ran.CostKnown: lambda escrow: cost_known(escrow, 7_000),
    ran.CompletionCosted: lambda escrow: completion_costed(escrow, 7_000),
    ran.CostConfirmed: lambda _: ran.CostConfirmed(cost=cost_of(7_000)),
    ran.CostLookupMissed: lambda _: ran.CostLookupMissed(lookup_at_ms=NOW_MS + 1),
    ran.CostNotFound: lambda _: ran.CostNotFound(failure=FAILURE),
    ran.CostAttributed: lambda _: ran.CostAttributed(cost_pusd=1),
    ran.CostGivenUp: lambda _: ran.CostGivenUp(),
    on.ReservationExtended: lambda escrow: on.ReservationExtended(
        number=escrow.extensions + 1, by_msat=1_500
    ),
    on.TaskRunBegun: task_run_begun,
    on.TaskAnswered: lambda _: on.TaskAnswered(answer_sha256="a5" * 32),
    on.TaskClosed: task_closed,
    on.TaskEnded: lambda _: on.TaskEnded(failure=FAILURE),
    on.PanelAnswered: lambda _: on.PanelAnswered(answer_sha256="a5" * 32),
    on.PanelPriced: panel_priced,
    on.PanelEnded: lambda _: on.PanelEnded(failure=FAILURE),
    on.CoveredByCredit: lambda _: on.CoveredByCredit(),
    on.InvoiceIssued: invoice_issued,
    on.InvoiceLost: invoice_lost,
    on.InvoiceMakingRefused: lambda _: on.InvoiceMakingRefused(failure=FAILURE),
    on.InvoiceSettled: settled,
    on.InvoiceCanceled: canceled,
    on.LatePurchase: lambda _: on.LatePurchase(),
    on.CompletionDelivered: lambda _: on.CompletionDelivered(),
    on.CompletionLost: lambda _: on.CompletionLost(),
    on.ClaimLapsed: lambda _: on.ClaimLapsed(kept_msat=1),
    on.BodiesShredded: lambda _: on.BodiesShredded(),
    on.QuarantineBegun: lambda _: PARKED,
    on.QuarantineLifted: lambda _: on.QuarantineLifted(),
    on.WrittenOff: lambda _: on.WrittenOff(reason="looked at"),
}


def _product(stages: Stages) -> dict[tuple[Progress, type[on.EscrowEvent]], Progress]:
    """The run's table and the sale's as one: what either of them refuses is refused."""
    run_table: dict[tuple[RunState, type[on.EscrowEvent]], RunState] = {}
    run_table.update(RUN_TRANSITIONS.items())
    both: dict[tuple[Progress, type[on.EscrowEvent]], Progress] = {}
    for progress, staged in stages.items():
        escrow = staged().escrow
        for event in EVENTS:
            run_after, sale_after = escrow.run.state, escrow.state
            if event in RUN_EVENTS:
                if (run_after, event) not in run_table:
                    continue
                run_after = run_table[run_after, event]
            if event is ran.FellBack:
                run_after = RunState.REQUESTED  # of the run that the sale lives by from then on
            if event in HEARD or event not in RUN_EVENTS:
                table = TABLES[escrow.mode]
                if (sale_after, event) not in table:
                    continue
                sale_after = table[sale_after, event]
            goes_on = sale_after in {EscrowState.RUNNING, EscrowState.PRICED}
            both[progress, event] = Progress(run_after.value if goes_on else sale_after.value)
    return both


RUN_EVENTS = frozenset(get_args(ran.RunEvent))
# What follows what, as whoever asks for an escrow sees it.
PRODUCT = _product(STAGES)
CREDIT_PRODUCT = _product(CREDIT_STAGES)
