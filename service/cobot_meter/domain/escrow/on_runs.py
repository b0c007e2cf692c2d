"""What a sale's own event does to its runs, and which run it begins.

An event that resolves what is reserved for a run, or reads its cost, changes the run's row with the
sale's (ON_RUN), so that no correction of the cost can come in between unseen; what concerns all its
runs changes them all (EVERY_RUN). Of a task that is whatever resolves what is reserved for any of
them (OF_SEVERAL_RUNS), and of a panel too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.moves import Changes
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tasks import OF_A_TASK
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run import machine as of_run
from cobot_meter.domain.run.record import AskedInstead, Failure, Run
from cobot_meter.domain.run.states import RunState

S = EscrowState
WRITTEN_OFF_FAILURE = Failure(
    code="written_off",
    message=(
        "This sale could not be booked, and the operator has closed it. You are not charged; "
        "ask again."
    ),
)


def moved(row: Escrow | Run, at_ms: int) -> Changes:
    """What every event sets of a row that it moves."""
    return {"version": row.version + 1, "changed_at_ms": at_ms}


def concerns_every_run(escrow: Escrow, event: type[on.EscrowEvent]) -> bool:
    """Whether an event of this kind changes all runs of the sale, so that they must be at hand."""
    return event in EVERY_RUN or (escrow.sells_several and event in OF_SEVERAL_RUNS)


def moved_runs(
    escrow: Escrow, event: on.EscrowEvent, at_ms: int
) -> tuple[Changes, dict[str, Changes]]:
    """What a sale's own event sets of its run, and of its others by their ids."""
    kind = type(event)
    if escrow.sells_several:
        rule = OF_SEVERAL_RUNS.get(kind)
        told = {} if rule is None else {run.run_id: rule(escrow, run) for run in escrow.runs}
        told_of = {
            run.run_id: moved(run, at_ms) | changes
            for run in escrow.runs
            if (changes := told.get(run.run_id)) is not None
        }
        return told_of.pop(escrow.run.run_id, {}), told_of
    on_run = ON_RUN[kind](escrow, event) if kind in ON_RUN else None
    every = EVERY_RUN.get(kind)
    return (
        {} if on_run is None else moved(escrow.run, at_ms) | on_run,
        {one.run_id: moved(one, at_ms) | every for one in escrow.others} if every else {},
    )


def begun_run(escrow: Escrow, event: on.EscrowEvent, at_ms: int) -> Run | None:
    """The run that begins with this event, sent in the same commit; None for other events.

    What one of a task may cost at most is reserved of the day; after one that failed, the ceiling.
    """
    match event:
        case on.TaskRunBegun():
            held_pusd, because = escrow.days.counted_pusd(event.most_pusd), OF_A_TASK
            most_pusd: int | None = event.most_pusd
            route = event.route
        case ran.FellBack():
            held_pusd, because = escrow.quote.opening_pusd, event.failure.code
            most_pusd = route = None
        case _:
            return None
    return Run(
        run_id=event.run_id,
        escrow_id=escrow.escrow_id,
        upstream=event.upstream,
        opened_at_ms=at_ms,
        changed_at_ms=at_ms,
        state=RunState.REQUESTED,
        requested_by=event.requested_by,
        budget_held_pusd=held_pusd,
        instead=AskedInstead(
            model=event.model,
            because=because,
            prices=event.prices,
            most_pusd=most_pusd,
            route=route,
        ),
    )


def _settled_run(escrow: Escrow, _event: on.EscrowEvent) -> Changes | None:
    """The run is paid for; a payment that came too late is credit, and the run stays unpaid."""
    return None if escrow.state is S.EXPIRED else of_run.paid_for()


def _written_off(escrow: Escrow, run: Run) -> Changes:
    """One of several that failed before is closed as it stands: nothing of it was for sale."""
    ends_with_it = not escrow.sells_several or run.has_answered or run.in_flight
    match escrow.state:
        case S.RUNNING | S.PRICED if ends_with_it:
            return of_run.closed() | of_run.failed_by(run, WRITTEN_OFF_FAILURE)
        case S.INVOICED if run.has_answered:
            return of_run.closed() | of_run.unpaid()
        case _:
            return of_run.closed()


# What a sale's own event does to its run; one that is not here leaves the run's row alone.
ON_RUN: Mapping[type[on.EscrowEvent], Callable[..., Changes | None]] = {
    on.CoveredByCredit: lambda *_: of_run.paid_for(),
    on.InvoiceMakingRefused: lambda *_: of_run.refused(),
    on.InvoiceSettled: _settled_run,
    on.InvoiceCanceled: lambda *_: of_run.unpaid(),
    on.LatePurchase: lambda *_: of_run.bought_late(),
    # Its cost is read: no correction may come in between unseen.
    on.ClaimLapsed: lambda *_: {},
    on.QuarantineBegun: lambda *_: {"parked": True},
    on.QuarantineLifted: lambda *_: {"parked": False},
    on.WrittenOff: lambda escrow, _event: _written_off(escrow, escrow.run),
}
# What a sale's own event does to all other runs of it, beside what it does to the one above.
EVERY_RUN: Mapping[type[on.EscrowEvent], Changes] = {
    on.QuarantineBegun: {"parked": True},
    on.QuarantineLifted: {"parked": False},
    on.WrittenOff: of_run.closed(),
}


def _if_answered(changes: Callable[[], Changes]) -> Callable[[Escrow, Run], Changes | None]:
    """To each run that has answered; one that failed is ours, and waits for nobody's payment."""
    return lambda _, run: changes() if run.has_answered else None


def _settled_of_several(escrow: Escrow, run: Run) -> Changes | None:
    """A payment that came too late is credit, and the runs stay unpaid."""
    return None if escrow.state is S.EXPIRED or not run.has_answered else of_run.paid_for()


# What an event of a task or of a panel does to each of its runs; None leaves a run's row alone.
OF_SEVERAL_RUNS: Mapping[type[on.EscrowEvent], Callable[[Escrow, Run], Changes | None]] = {
    on.TaskEnded: _if_answered(of_run.refused),
    on.PanelAnswered: lambda *_: None,
    # Its cost is read: no correction may come in between unseen.
    on.PanelPriced: _if_answered(dict),
    on.PanelEnded: _if_answered(of_run.refused),
    on.CoveredByCredit: _if_answered(of_run.paid_for),
    on.InvoiceMakingRefused: _if_answered(of_run.refused),
    on.InvoiceSettled: _settled_of_several,
    on.InvoiceCanceled: _if_answered(of_run.unpaid),
    on.LatePurchase: _if_answered(of_run.bought_late),
    on.QuarantineBegun: lambda *_: {"parked": True},
    on.QuarantineLifted: lambda *_: {"parked": False},
    on.WrittenOff: _written_off,
}
