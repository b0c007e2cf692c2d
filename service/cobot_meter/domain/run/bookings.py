"""What the events of a run book, in pico-USD: its cost, and what counts on the days.

`docs/postings.md` has every posting with a worked example. Both parts are apart because a sale's
own postings stand between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import posted
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.days import Days, Transfers
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.run.states import RunState


def cost_booked(before: Run, event: ran.RunEvent) -> Transfers:
    """What the event books of the cost itself, in pico-USD; nothing for most events."""
    credits_there = chart.upstream_credits(before.upstream)
    match event:
        case ran.CostKnown() | ran.CompletionCosted():
            return posted(before.cost_account.account, credits_there, event.cost.cost_pusd)
        case ran.CostConfirmed():
            difference = event.cost.cost_pusd - before.cost_pusd
            return posted(before.cost_account.account, credits_there, difference)
        case ran.RunFailed(charged=True, cost=cost) if cost is not None:
            return posted(chart.COST_FAILED, credits_there, cost.cost_pusd)
        case ran.CostAttributed():
            return unattributed(event.cost_pusd, upstream=before.upstream)
        case ran.FellBack():
            return cost_booked(before, event.ended)
        case _:
            return ()


def unattributed(cost_pusd: int, *, upstream: str) -> Transfers:
    """A13: what this upstream took and no generation explains; reversed when negative."""
    return posted(chart.COST_UNATTRIBUTED, chart.upstream_credits(upstream), cost_pusd)


def days_booked(before: Run, event: ran.RunEvent, after: Run, days: Days) -> Transfers:
    """What the event, which must be one of ON_DAYS, moves on the days, in pico-USD."""
    return ON_DAYS[type(event)](before, event, after, days)


def _abandoned(before: Run, _event: ran.Abandoned, _after: Run, days: Days) -> Transfers:
    return days.spent(before, days.counted_pusd(0))


def _failed(before: Run, event: ran.RunFailed, _after: Run, days: Days) -> Transfers:
    if event.charged and event.cost is None:
        return ()  # a later look-up or comparison says what it was
    cost_pusd = event.cost.cost_pusd if event.charged and event.cost else 0
    return days.spent(before, days.counted_pusd(cost_pusd))


def _fell_back(before: Run, event: ran.FellBack, after: Run, days: Days) -> Transfers:
    """What the failed run's end moves on the days, and what is reserved for the run after it."""
    ended = event.ended
    spent = _failed(before, ended, after, days) if isinstance(ended, ran.RunFailed) else ()
    return (*spent, *(one for hold in days.reserved(after) for one in hold.pend()))


def _costed(
    before: Run, _event: ran.CostKnown | ran.CompletionCosted, after: Run, days: Days
) -> Transfers:
    return days.anew(before, after)


def _confirmed(before: Run, event: ran.CostConfirmed, after: Run, days: Days) -> Transfers:
    counted_pusd = days.counted_pusd(event.cost.cost_pusd)
    if before.budget_held_pusd:
        if before.state is RunState.FAILED:
            return days.spent(before, counted_pusd)
        return days.anew(before, after)
    if before.ended_unpaid and days.opening_pusd:
        return days.moved(counted_pusd - days.counted_pusd(before.cost_pusd))
    return ()


def _attributed(before: Run, event: ran.CostAttributed, _after: Run, days: Days) -> Transfers:
    counted_pusd = days.counted_pusd(event.cost_pusd)
    return days.spent(before, min(counted_pusd, before.budget_held_pusd))


def _given_up(before: Run, _event: ran.CostGivenUp, _after: Run, days: Days) -> Transfers:
    return days.full(before)


ON_DAYS: Mapping[type[ran.RunEvent], Callable[..., Transfers]] = {
    ran.Abandoned: _abandoned,
    ran.RunFailed: _failed,
    ran.FellBack: _fell_back,
    ran.CostKnown: _costed,
    ran.CompletionCosted: _costed,
    ran.CostConfirmed: _confirmed,
    ran.CostAttributed: _attributed,
    ran.CostGivenUp: _given_up,
}
