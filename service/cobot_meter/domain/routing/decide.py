"""Who answers: the cheapest model that is known to be good enough, and why it is that one.

What cannot serve is barred first. The task is what the caller declares, else what the turn's own
structure says, else `general`. Of those that are left the cheapest answers whose lower bound at the
task reaches what is demanded of it; a session that had a tier does not fall below it. All of it is
a function of what is passed in, and a decision holds what it was made of, so that whoever has it
can make it again. Must not know: the request's text beyond its facts, the catalogue or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobot_meter.domain.errors import CeilingOverCap, RequestInvalid
from cobot_meter.domain.money import usd_text
from cobot_meter.domain.routing.hints import Downgrade, Hints, Task
from cobot_meter.domain.routing.rules import RequestFacts, task_of
from cobot_meter.domain.routing.table import SuccessTable, Tier

CHAIN_MAX = 3
# All of a chain is reserved for: who follows may cost so many times as much as the first.
CHAIN_TIMES = 4
DECLARED, RULES, DEFAULT = "declared", "rules", "default"
# Why a model cannot serve. Whoever knows requests and models finds the others.
OVER_CAP, OF_SESSION, OF_BUDGET = "max_cost", "session", "budget"
BELOW_TARGET, BELOW_SESSION, RAISED = "below_target", "below_session", "session_tier"
# The ends of the scale are judged by how well models do in general.
_JUDGED_AS = {Task.CHEAP: Task.GENERAL, Task.PREMIUM: Task.GENERAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model of the table, and the most that a caller can be charged for this very request.

    `barred` says in a word why it cannot serve; empty where it can.
    """

    model_id: str
    ceiling_pusd: int = 0
    barred: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A candidate with what the table says of it at the task."""

    model_id: str
    tier: Tier
    lower_ppm: int
    ceiling_pusd: int
    barred: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a choice has to keep to: `bar_ppm` is demanded of a lower bound at the task.

    `floor` is the tier that is not to be fallen below, None for any. `cap` is the most that the
    caller pays, in words; whom it bars is said of the candidates.
    """

    bar_ppm: int
    cap: str = ""
    floor: Tier | None = None
    downgrade: Downgrade | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`chain` is who is asked, one after the other; `reasons` are why the first is."""

    chain: tuple[str, ...]
    tier: Tier
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A choice with all that it was made of. `baseline` is the best model of the table's best."""

    task: Task
    task_source: str
    signals: tuple[str, ...]
    table: str
    bounds: Bounds
    considered: tuple[Considered, ...]
    baseline: str
    choice: Choice

    @property
    def model(self) -> str:
        """Who is asked first."""
        return self.choice.chain[0]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What of the request and of the bounds led to it."""
        return (*self.signals, *self.choice.reasons)


def decide(
    facts: RequestFacts,
    hints: Hints,
    table: SuccessTable,
    candidates: Sequence[Candidate],
    *,
    declared: Task | None = None,
    floor: Tier | None = None,
) -> Decision:
    """Who answers. `floor` is the tier that the session had, None for a new one or for none.

    `declared` is what the caller says its task is. Raises RequestInvalid or CeilingOverCap where
    nobody can answer within its bounds.
    """
    read, signals = task_of(facts)
    task, source = read or Task.GENERAL, RULES if read else DEFAULT
    if declared is not None:
        task, source = declared, DECLARED
    judged = _JUDGED_AS.get(task, task)
    if task is Task.PREMIUM:
        floor = Tier.PREMIUM
    baseline, best = table.premium(judged)
    bounds = Bounds(
        bar_ppm=0 if task is Task.CHEAP else table.demanded_ppm(judged, best),
        floor=floor,
        downgrade=hints.downgrade,
        cap=hints.max_cost.text() if hints.max_cost else "",
    )
    considered = tuple(_considered(judged, one, table) for one in candidates)
    return Decision(
        task=task,
        task_source=source,
        signals=signals,
        table=table.version,
        bounds=bounds,
        considered=considered,
        baseline=baseline,
        choice=choose(considered, bounds),
    )


def _considered(task: Task, candidate: Candidate, table: SuccessTable) -> Considered:
    return Considered(
        model_id=candidate.model_id,
        tier=table.tiers[candidate.model_id],
        lower_ppm=table.record(task, candidate.model_id).lower_ppm,
        ceiling_pusd=candidate.ceiling_pusd,
        barred=candidate.barred,
    )


def choose(considered: Sequence[Considered], bounds: Bounds) -> Choice:
    """The choice among those that may serve. Raises as `decide`."""
    free = [one for one in considered if not one.barred]
    if not free:
        raise _nobody(considered, bounds)
    fit, reasons = _above_floor(free, bounds)
    if any(one.barred == OF_BUDGET for one in considered):
        reasons += (OF_BUDGET,)
    reaching = sorted((one for one in fit if one.lower_ppm >= bounds.bar_ppm), key=_by_cost)
    others = sorted((one for one in fit if one.lower_ppm < bounds.bar_ppm), key=_by_success)
    if not reaching:
        if bounds.downgrade is Downgrade.NEVER:
            raise _below_target(considered, bounds)
        reasons += (BELOW_TARGET,)
    if _raised(free, fit, reaching, bounds):
        reasons += (RAISED,)
    if bounds.downgrade is Downgrade.NEVER:
        others = []
    first, *later = [*reaching, *others]
    most_pusd = CHAIN_TIMES * first.ceiling_pusd
    chain = [first, *(one for one in later if one.ceiling_pusd <= most_pusd)][:CHAIN_MAX]
    return Choice(chain=tuple(one.model_id for one in chain), tier=chain[0].tier, reasons=reasons)


def _above_floor(
    free: Sequence[Considered], bounds: Bounds
) -> tuple[Sequence[Considered], tuple[str, ...]]:
    if bounds.floor is None:
        return free, ()
    above = [one for one in free if one.tier >= bounds.floor]
    if above:
        return above, ()
    if bounds.downgrade is Downgrade.ALLOW:
        return free, (BELOW_SESSION,)
    message = (
        f"Nothing of the tier {bounds.floor.word}, which this session has had or which was asked "
        "for, can answer this within its bounds: raise them, begin another session, or send "
        "X-Cobot-Downgrade: allow."
    )
    raise RequestInvalid(message, param="model")


def _raised(
    free: Sequence[Considered],
    fit: Sequence[Considered],
    reaching: Sequence[Considered],
    bounds: Bounds,
) -> bool:
    """Whether a cheaper model would have done, had the tier not been as high before."""
    if len(fit) == len(free) or not reaching:
        return False
    cheapest = min((one for one in free if one.lower_ppm >= bounds.bar_ppm), key=_by_cost)
    return cheapest is not reaching[0]


def _by_cost(one: Considered) -> tuple[int, int, str]:
    return (one.ceiling_pusd, -one.lower_ppm, one.model_id)


def _by_success(one: Considered) -> tuple[int, int, str]:
    return (-one.lower_ppm, one.ceiling_pusd, one.model_id)


def _nobody(considered: Sequence[Considered], bounds: Bounds) -> RequestInvalid | CeilingOverCap:
    """Nobody can serve: the cap where that alone is in the way of somebody, else every reason."""
    capped = [one for one in considered if one.barred == OVER_CAP]
    if capped:
        least = min(capped, key=_by_cost)
        message = (
            f"Of the models that could answer this, {least.model_id} is the cheapest: it can cost "
            f"up to ${usd_text(least.ceiling_pusd)}, and X-Cobot-Max-Cost allows {bounds.cap}; "
            "raise that, or lower max_tokens."
        )
        return CeilingOverCap(message)
    told = "; ".join(f"{one.model_id}: {one.barred}" for one in considered)
    message = f"No model of this service's table can serve this request ({told}); change it."
    return RequestInvalid(message, param="model")


def _below_target(considered: Sequence[Considered], bounds: Bounds) -> RequestInvalid:
    barred = [one for one in considered if one.barred and one.lower_ppm >= bounds.bar_ppm]
    least = min(barred, key=_by_cost, default=None)
    instead = (
        f"{least.model_id} would be (it is barred by {least.barred}, at up to "
        f"${usd_text(least.ceiling_pusd)})"
        if least
        else "none of the table is"
    )
    message = (
        "Nothing within the bounds of this request is good enough at its task, and "
        f"X-Cobot-Downgrade says never; {instead}."
    )
    return RequestInvalid(message, param="model")
