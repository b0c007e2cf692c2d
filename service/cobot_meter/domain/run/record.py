"""A run as a value: who was asked, what came back, what it cost, and what is reserved for it."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from cobot_meter.domain.ledger.accounts import COST_FAILED, COST_UNPAID, COST_UPSTREAM, Account
from cobot_meter.domain.outside import NAME_MAX, SENTENCE_MAX, text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.retention import HOUR_MS, Retention
from cobot_meter.domain.run.states import RUN_STATES, RunState, RunTimer

# How a failure's sentence says when to come again. The books need no column of their own for it.
_ASK_AGAIN = "; ask again in {:d} s"
_WAIT_MAX_S = 86_400
_ASKED_AGAIN = re.compile(r"; ask again in ([0-9]{1,5}) s$", re.ASCII)


def _mend(part: object, name: str, *, most: int | None = NAME_MAX) -> None:
    """Let one text of a frozen part through the gate once more, for whoever forgot it."""
    said = getattr(part, name)
    mended = text(said, most=most)
    if mended != said:
        object.__setattr__(part, name, mended)


class CostStanding(enum.StrEnum):
    """`provisional` is what the answer itself said; `confirmed` the upstream's own record."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"


class CostAccount(enum.StrEnum):
    """The expense account that a run's cost stands in.

    UPSTREAM while it is paid for or may still be; UNPAID where it was for sale and nobody paid;
    FAILED where it could not be sold.
    """

    UPSTREAM = COST_UPSTREAM.code
    UNPAID = COST_UNPAID.code
    FAILED = COST_FAILED.code

    @property
    def account(self) -> Account:
        """The account of the chart that has this code."""
        return _COST_ACCOUNTS[self.value]


_COST_ACCOUNTS = {one.code: one for one in (COST_UPSTREAM, COST_UNPAID, COST_FAILED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the answer said of itself when it was whole, at `completed_at_ms` in Unix milliseconds.

    `inline_cost` is the raw number text of `usage.cost`, None if unsaid.
    """

    completed_at_ms: int
    inline_cost: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    def __post_init__(self) -> None:
        """A text that could not be written would stop more than this run."""
        _mend(self, "finish_reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A cost with its raw number text and standing, and what the upstream said with it.

    `provider` and `model` are who served, empty when unsaid; `record_sha256` is the digest of the
    raw record, empty for what only the answer said.
    """

    cost_pusd: int
    text: str
    standing: CostStanding
    provider: str = ""
    model: str = ""
    record_sha256: str = ""

    def __post_init__(self) -> None:
        """A text that could not be written would stop more than this run."""
        _mend(self, "text", most=None)
        _mend(self, "provider")
        _mend(self, "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run or a sale failed: a stable error code, a sentence, the upstream's status (0: none).

    Sentences of upstreams end up here, so what the books cannot hold ends here, whoever let it in.
    """

    code: str
    message: str
    status: int = 0

    def __post_init__(self) -> None:
        """A sentence that could not be written would stop more than this run."""
        _mend(self, "message", most=SENTENCE_MAX + len(_ASK_AGAIN.format(_WAIT_MAX_S)))

    def asking_to_wait(self, seconds: int | None) -> Failure:
        """This failure, with how long the upstream asks to wait at the end of its sentence.

        `seconds` beyond a day are told as a day; None changes nothing. The sentence is stored, so
        that every repeat of the ask reads it.
        """
        if seconds is None:
            return self
        message = self.message[:SENTENCE_MAX] + _ASK_AGAIN.format(min(seconds, _WAIT_MAX_S))
        return Failure(code=self.code, message=message, status=self.status)

    @property
    def retry_after_s(self) -> int | None:
        """How long its sentence asks to wait; None when it does not."""
        asked = _ASKED_AGAIN.search(self.message)
        return int(asked[1]) if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedInstead:
    """Which model a later run of a sale asks, and at which unit prices at most.

    `because` is the code of the failure that ended the run before it, or `task` where it is one of
    a task's. Then `most_pusd` is what it may cost at most; None: its sale's ceiling. `route` is the
    decision that chose the model of one of a task's, where its seller left that to us.
    """

    model: str
    because: str
    prices: ModelPrice
    most_pusd: int | None = None
    route: str | None = None


def run_id_of(escrow_id: str, number: int) -> str:
    """What the first, second, third... run of a sale is called: the first as its sale."""
    return escrow_id if number == 1 else f"{escrow_id}.{number}"


def run_number(run_id: str, escrow_id: str) -> int:
    """Which run of the sale it is, counted from 1."""
    return 1 if run_id == escrow_id else int(run_id.rpartition(".")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Amounts in pico-USD, times in Unix milliseconds.

    `upstream` is the name of the one that runs it, fixed when it opens: its cost is booked there.
    `version` counts the events that changed it. `requested_by` is the process that asked the
    upstream. `lookup_at_ms` is when its cost is looked up next, None when nothing is awaited.
    `cost_account` is the expense account that its cost stands in: a sale that ends moves it, and a
    later correction finds it there. `budget_hold` and `budget_held_pusd` name the open reservations
    on the days that it counts on (0: none). While it is `parked` its sale is in quarantine, and no
    timer of it runs. `instead` is None where it asks the model that its sale was quoted for.
    """

    run_id: str
    escrow_id: str
    upstream: str
    opened_at_ms: int
    changed_at_ms: int
    state: RunState
    version: int = 1
    requested_by: str | None = None
    generation_id: str | None = None
    summary: Summary | None = None
    cost: Cost | None = None
    cost_account: CostAccount = CostAccount.UPSTREAM
    lookups: int = 0
    lookup_at_ms: int | None = None
    budget_hold: int = 0
    budget_held_pusd: int = 0
    failure: Failure | None = None
    parked: bool = False
    instead: AskedInstead | None = None

    @property
    def number(self) -> int:
        """Which one of its sale it is, counted from 1."""
        return run_number(self.run_id, self.escrow_id)

    @property
    def cost_pusd(self) -> int:
        """The cost booked so far; 0 while unknown."""
        return self.cost.cost_pusd if self.cost else 0

    @property
    def most_pusd(self) -> int | None:
        """What it may cost at most, where that is not its sale's ceiling."""
        return self.instead.most_pusd if self.instead else None

    def billed_pusd(self, cost_pusd: int) -> int:
        """What of a cost its sale is priced by: nothing of what goes beyond its own ceiling."""
        return cost_pusd if self.most_pusd is None else min(cost_pusd, self.most_pusd)

    @property
    def has_answered(self) -> bool:
        """Whether its answer is whole, and what it cost is known."""
        return self.state is RunState.COSTED

    @property
    def is_provisional(self) -> bool:
        """Whether only its answer has said what it cost."""
        return self.cost is not None and self.cost.standing is CostStanding.PROVISIONAL

    @property
    def in_flight(self) -> bool:
        """Whether its cost is not known yet, and it has not failed."""
        return RUN_STATES[self.state].in_flight

    @property
    def may_charge(self) -> bool:
        """Whether nobody can say yet that the upstream will charge nothing for it."""
        return RUN_STATES[self.state].may_charge

    @property
    def ended_unpaid(self) -> bool:
        """Whether its cost is ours to bear."""
        return self.cost_account is not CostAccount.UPSTREAM


def due_of_run(run: Run, retention: Retention) -> int | None:
    """The earliest of a run's timers in Unix ms; None when nothing is left to do."""
    if run.parked:
        return None
    timers = [run.lookup_at_ms, _state_timer_ms(run, retention)]
    return min((timer for timer in timers if timer is not None), default=None)


def gives_up_at_ms(run: Run, retention: Retention) -> int:
    """When an unexplained reservation on the day counts as spent, in Unix ms."""
    return run.opened_at_ms + retention.cost_ms + HOUR_MS


def _state_timer_ms(run: Run, retention: Retention) -> int | None:
    match RUN_STATES[run.state].timer:
        case RunTimer.ABANDON:
            return run.opened_at_ms + retention.abandoned_ms
        case RunTimer.GIVE_UP if run.budget_held_pusd:
            return gives_up_at_ms(run, retention)
        case _:
            return None
