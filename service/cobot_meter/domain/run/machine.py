"""The run's state machine: one table of which event may follow which state, and what it sets.

An event that the table does not have raises and changes nothing. A sale's own events change a run
too: they resolve what is reserved for it, and say who bears its cost. Those changes stand at the
end; which of a sale's events makes them is in the sale's table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.days import counted_pusd
from cobot_meter.domain.run.record import CostAccount, Failure, Run
from cobot_meter.domain.run.states import RunState

S = RunState
RUN_TRANSITIONS: Mapping[tuple[RunState, type[ran.RunEvent]], RunState] = {
    (S.OPENED, ran.UpstreamRequested): S.REQUESTED,
    (S.OPENED, ran.Abandoned): S.FAILED,
    (S.REQUESTED, ran.GenerationStarted): S.REQUESTED,
    (S.REQUESTED, ran.CompletionReceived): S.GENERATED,
    (S.REQUESTED, ran.CompletionCosted): S.COSTED,
    (S.REQUESTED, ran.RunFailed): S.FAILED,
    (S.REQUESTED, ran.RunOutcomeUnknown): S.FAILED,
    (S.REQUESTED, ran.FellBack): S.FAILED,
    (S.GENERATED, ran.CostKnown): S.COSTED,
    (S.GENERATED, ran.CostLookupMissed): S.GENERATED,
    (S.GENERATED, ran.CostNotFound): S.FAILED,
    (S.COSTED, ran.CostConfirmed): S.COSTED,
    (S.COSTED, ran.CostLookupMissed): S.COSTED,
    (S.FAILED, ran.CostConfirmed): S.FAILED,
    (S.FAILED, ran.CostLookupMissed): S.FAILED,
    (S.FAILED, ran.CostAttributed): S.FAILED,
    (S.FAILED, ran.CostGivenUp): S.FAILED,
}

ABANDONED = Failure(code="abandoned", message="The request was not started in time; ask again.")

Changes = dict[str, Any]


def run_changes(run: Run, event: ran.RunEvent, least_pusd: int | None, *, at_ms: int) -> Changes:
    """The fields of the run that `event` sets, and to what. Raises IllegalTransition.

    `least_pusd` is what a run counts at least on its days, as in `Days`.
    """
    state = RUN_TRANSITIONS.get((run.state, type(event)))
    if state is None:
        message = f"{type(event).__name__} cannot happen to a run that is {run.state}"
        raise IllegalTransition(message)
    moved: Changes = {} if state is run.state else {"state": state}
    return moved | _CHANGES[type(event)](run, event, least_pusd, at_ms)


def _requested(_run: Run, event: ran.UpstreamRequested, _least: int | None, _at_ms: int) -> Changes:
    return {"requested_by": event.requested_by}


def _abandoned(_run: Run, _event: ran.Abandoned, _least: int | None, _at_ms: int) -> Changes:
    return {"failure": ABANDONED, "cost_account": CostAccount.FAILED, "budget_held_pusd": 0}


def _started(_run: Run, event: ran.GenerationStarted, _least: int | None, _at_ms: int) -> Changes:
    return {"generation_id": event.generation_id}


def _received(_run: Run, event: ran.CompletionReceived, _least: int | None, _at_ms: int) -> Changes:
    return {
        "generation_id": event.generation_id,
        "summary": event.summary,
        "lookup_at_ms": event.summary.completed_at_ms,
    }


def _failed(run: Run, event: ran.RunFailed, _least: int | None, at_ms: int) -> Changes:
    unresolved = event.charged and event.cost is None
    resolved_reservation = {} if unresolved else {"budget_held_pusd": 0}
    awaited = event.charged and run.generation_id is not None
    return {
        "failure": event.failure,
        "cost": event.cost if event.charged else None,
        "cost_account": CostAccount.FAILED,
        "lookup_at_ms": at_ms if awaited else None,
        **resolved_reservation,
    }


def _unknown(run: Run, event: ran.RunOutcomeUnknown, _least: int | None, at_ms: int) -> Changes:
    return {
        "failure": event.failure,
        "cost_account": CostAccount.FAILED,
        "lookup_at_ms": at_ms if run.generation_id else None,
    }


def _fell_back(run: Run, event: ran.FellBack, least_pusd: int | None, at_ms: int) -> Changes:
    ended = event.ended
    return _CHANGES[type(ended)](run, ended, least_pusd, at_ms)


def _costed(run: Run, event: ran.CostKnown, least_pusd: int | None, _at_ms: int) -> Changes:
    reserved_anew = counted_pusd(event.cost.cost_pusd, least_pusd) if run.budget_held_pusd else 0
    return {
        "cost": event.cost,
        "lookup_at_ms": event.lookup_at_ms,
        "budget_hold": run.budget_hold + 1,
        "budget_held_pusd": reserved_anew,
    }


def _costed_at_once(
    run: Run, event: ran.CompletionCosted, least_pusd: int | None, _at_ms: int
) -> Changes:
    changes: Changes = {
        "generation_id": event.generation_id,
        "summary": event.summary,
        "cost": event.cost,
        "lookup_at_ms": event.lookup_at_ms,
    }
    if run.budget_held_pusd:  # one of a task's: what credit pays for reserves nothing on the days
        changes["budget_hold"] = run.budget_hold + 1
        changes["budget_held_pusd"] = counted_pusd(event.cost.cost_pusd, least_pusd)
    return changes


def _confirmed(run: Run, event: ran.CostConfirmed, least_pusd: int | None, _at_ms: int) -> Changes:
    changes: Changes = {"cost": event.cost, "lookup_at_ms": None}
    if run.budget_held_pusd:
        counted = counted_pusd(event.cost.cost_pusd, least_pusd)
        changes["budget_hold"] = run.budget_hold + 1
        changes["budget_held_pusd"] = counted if run.state is S.COSTED else 0
    return changes


def _missed(run: Run, event: ran.CostLookupMissed, _least: int | None, _at_ms: int) -> Changes:
    return {"lookups": run.lookups + 1, "lookup_at_ms": event.lookup_at_ms}


def _not_found(_run: Run, event: ran.CostNotFound, _least: int | None, _at_ms: int) -> Changes:
    return {"failure": event.failure, "cost_account": CostAccount.FAILED, "lookup_at_ms": None}


def _given_up(
    _run: Run, _event: ran.CostAttributed | ran.CostGivenUp, _least: int | None, _at_ms: int
) -> Changes:
    return {"budget_held_pusd": 0, "lookup_at_ms": None}


_CHANGES: Mapping[type[ran.RunEvent], Callable[..., Changes]] = {
    ran.UpstreamRequested: _requested,
    ran.Abandoned: _abandoned,
    ran.GenerationStarted: _started,
    ran.CompletionReceived: _received,
    ran.RunFailed: _failed,
    ran.RunOutcomeUnknown: _unknown,
    ran.FellBack: _fell_back,
    ran.CostKnown: _costed,
    ran.CompletionCosted: _costed_at_once,
    ran.CostConfirmed: _confirmed,
    ran.CostLookupMissed: _missed,
    ran.CostNotFound: _not_found,
    ran.CostAttributed: _given_up,
    ran.CostGivenUp: _given_up,
}


def paid_for() -> Changes:
    """What a payment changes: nothing is reserved on the days for a run that is paid for."""
    return {"budget_held_pusd": 0}


def refused() -> Changes:
    """What changes when it ran, and what it made cannot be sold: its cost is that of a failure."""
    return {"budget_held_pusd": 0, "cost_account": CostAccount.FAILED}


def unpaid() -> Changes:
    """What changes when it was for sale and nobody paid: its cost stands as unpaid."""
    return {"budget_held_pusd": 0, "cost_account": CostAccount.UNPAID}


def bought_late() -> Changes:
    """What changes when credit buys it after its invoice has lapsed: its cost is paid for."""
    return {"cost_account": CostAccount.UPSTREAM}


def failed_by(run: Run, failure: Failure) -> Changes:
    """What changes when nothing that it made can be sold; a run in flight ends by this failure."""
    ended: Changes = {"state": S.FAILED, "failure": failure} if run.in_flight else {}
    return ended | {"cost_account": CostAccount.FAILED}


def closed() -> Changes:
    """What changes when the operator ends its sale: it waits for nothing more."""
    return {"parked": False, "budget_held_pusd": 0, "lookup_at_ms": None}
