"""The events of a run: one frozen type per fact, most of them the upstream's.

Each says who owns the fact. Events carry everything that becomes true with them. Four of them end
the sale that the run belongs to, one prices it, and with one it goes on with another run: what they
mean to it is in its own table.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.record import Cost, Failure, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequested:
    """Ours: from here on the upstream may have been asked. Committed before the POST."""

    # The process that asks; None in books from before processes had names.
    requested_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """Ours: opened, never requested, and too old to start now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStarted:
    """The upstream's: its headers named the generation; stored before the body is read."""

    generation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionReceived:
    """The upstream's: the whole answer is here (its body is stored in the same transition)."""

    generation_id: str
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The upstream's: it failed. `charged` False is certain; `cost` when it said one.

    The journal's `upstream_failed`. `continued_as` is of books from before revision 0014: the id of
    the sale in which another model was asked.
    """

    failure: Failure
    charged: bool
    cost: Cost | None = None
    continued_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcomeUnknown:
    """Nobody's yet: it may have run and may have charged.

    The journal's `outcome_unknown`. `continued_as` is of books from before revision 0014: the id of
    the sale in which another model was asked.
    """

    failure: Failure
    continued_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack:
    """Ours: the run has failed as `ended` says, and its sale goes on with another, `run_id`.

    `charged` None is an outcome that nobody knows. In the next run `upstream` is asked for `model`,
    at no more than `prices`; `requested_by` is the process that asks, as in `UpstreamRequested`.
    """

    failure: Failure
    charged: bool | None
    cost: Cost | None
    run_id: str
    upstream: str
    model: str
    prices: ModelPrice
    requested_by: str

    @property
    def ended(self) -> RunFailed | RunOutcomeUnknown:
        """The end of the run, which would be the sale's without another one."""
        if self.charged is None:
            return RunOutcomeUnknown(failure=self.failure)
        return RunFailed(failure=self.failure, charged=self.charged, cost=self.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostKnown:
    """The upstream's: what the run cost. The price is fixed here, and the payment hash chosen.

    `credit_used_msat` <= price <= the ceiling; `lookup_at_ms` when the cost is only provisional.
    """

    cost: Cost
    price_msat: int
    credit_used_msat: int
    payment_hash: str
    lookup_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionCosted:
    """The upstream's: the whole answer is here and says what it cost; credit pays for it at once.

    Both facts in one commit, for a sale that is paid for of what credit has reserved. The cost
    is provisional: `lookup_at_ms` is when the upstream's record is asked for, None for never.
    `kept` says that the answer is stored, for whoever comes back. Of a run of a task nothing is
    paid for yet: then `price_msat` is what this run alone comes to.
    """

    generation_id: str
    summary: Summary
    cost: Cost
    price_msat: int
    lookup_at_ms: int | None
    kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfirmed:
    """The upstream's: its record arrived after the price was fixed, or after a failure."""

    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLookupMissed:
    """The upstream's: no record yet. `lookup_at_ms` None ends the look-ups."""

    lookup_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostNotFound:
    """Nobody's: a day of look-ups found nothing, so nothing can be charged."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAttributed:
    """Ours, from the upstream's usage figure: the share of an unexplained drop (A13)."""

    cost_pusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGivenUp:
    """Ours: nothing explained it within a day; the budget keeps the ceiling as spent."""


RunEvent = (
    UpstreamRequested
    | Abandoned
    | GenerationStarted
    | CompletionReceived
    | RunFailed
    | RunOutcomeUnknown
    | FellBack
    | CostKnown
    | CompletionCosted
    | CostConfirmed
    | CostLookupMissed
    | CostNotFound
    | CostAttributed
    | CostGivenUp
)
