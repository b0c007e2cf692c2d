"""When a cost is looked up, what of a record is believed, and who is told of what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.domain.errors import CostNotYetKnown
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Progress
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import BELIEVED_CEILINGS
from cobot_meter.domain.retention import DAY_MS, FREE_FAILURE_MS, HOUR_MS, LOOKUPS_MS
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.upstream.completions import GenerationCost
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.ports.process import Clock
from cobot_meter.ports.upstream import Upstream
from tests.fakes.upstream_outcomes import NEVER, Completes, Failed, Outcome, Unknown
from tests.flows.rigs.stories import COST, Stage, ask
from tests.flows.sale.test_crash_points import staged

S = Progress
FREE_RECORD = GenerationCost(
    generation_id="gen-1",
    total_cost="0",
    cost_pusd=0,
    provider="Mistral",
    model="mistralai/mistral-small-2603",
    record_sha256="5e" * 32,
)


class Records:
    """The upstream's own book, with one page: `record`, or nothing yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.record: GenerationCost | None = None
        self.appears_after = 0
        self.asked_ms: list[int] = []

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:
        """Notes when it was asked."""
        self.asked_ms.append(self._clock.now_ms())
        if self.record is None or len(self.asked_ms) <= self.appears_after:
            raise CostNotYetKnown(f"no record of {generation_id} yet")
        return self.record


class Searched:
    """A stage, its book of records, and the flow that looks into it."""

    def __init__(self, stage: Stage) -> None:
        process, lasting = stage.process, stage.lasting
        self.stage = stage
        self.clock = lasting.clock
        self.records = Records(lasting.clock)
        self.doubted: list[int] = []
        self.began_ms = 0
        self.costs = FindCost(
            ledger=process.ledger,
            vault=process.vault,
            upstream=cast("Upstream", self.records),
            doubt=lambda _, cost_pusd: self.doubted.append(cost_pusd),
        )

    async def waiting(self, outcome: Outcome, *, since_ms: int = 0) -> Escrow:
        """An escrow whose run came to this `since_ms` ago, and whose cost is not known yet."""
        self.stage.lasting.upstream.usually = outcome
        await ask(self.stage)
        escrow = self.stage.escrow
        self.records.asked_ms.clear()
        self.began_ms = self.clock.now_ms()
        at_ms = self.began_ms - since_ms
        summary = escrow.run.summary
        if summary is None:
            return replace(escrow, run=replace(escrow.run, opened_at_ms=at_ms))
        run = replace(escrow.run, summary=replace(summary, completed_at_ms=at_ms))
        return replace(escrow, run=run)

    @property
    def looked_up_ms(self) -> list[int]:
        """When it was looked up, counted from when `waiting` ended."""
        return [at_ms - self.began_ms for at_ms in self.records.asked_ms]


@pytest.fixture
async def searched(tmp_path: Path) -> AsyncIterator[Searched]:
    """Nothing was asked yet."""
    async with staged(tmp_path / "node") as stage:
        yield Searched(stage)


SILENT = Completes(cost=COST, says_cost=False, lookups_before_record=NEVER)
SAYING = Completes(cost=COST, lookups_before_record=NEVER)
BROKEN = Failed(cost=COST, lookups_before_record=NEVER)
CUT = Unknown(cost=COST, lookups_before_record=NEVER)


def record_of(cost: str, *, final: bool = False) -> GenerationCost:
    """A page that says so."""
    return replace(FREE_RECORD, total_cost=cost, cost_pusd=pusd_from_text(cost), final=final)


@pytest.mark.parametrize(
    ("since_ms", "looked_up_ms"),
    [
        (0, [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000]),
        (1, [0, 499, 999, 1_999, 3_999, 7_999, 14_999]),
        (499, [0, 1, 501, 1_501, 3_501, 7_501, 14_501]),
        (500, [0, 500, 1_500, 3_500, 7_500, 14_500]),
        (999, [0, 1, 1_001, 3_001, 7_001, 14_001]),
        (1_000, [0, 1_000, 3_000, 7_000, 14_000]),
        (9_000, [0, 6_000]),
        (15_000, [0]),
        (60_000, [0]),
    ],
)
async def test_the_first_look_ups_keep_to_their_times(
    searched: Searched, since_ms: int, looked_up_ms: list[int]
) -> None:
    """Seven within fifteen seconds of the answer; after a restart one at once, then the rest."""
    escrow = await searched.waiting(SILENT, since_ms=since_ms)
    await searched.costs.generated(escrow)
    assert searched.looked_up_ms == looked_up_ms


async def test_an_answer_from_a_clock_ahead_is_looked_up_as_if_it_came_now(
    searched: Searched,
) -> None:
    """An hour set back makes nobody wait for an hour."""
    escrow = await searched.waiting(SILENT, since_ms=-HOUR_MS)
    await searched.costs.generated(escrow)
    assert searched.looked_up_ms == list(LOOKUPS_MS)


@pytest.mark.parametrize("missed", [0, 1, 6])
async def test_the_first_record_that_is_there_is_taken(searched: Searched, missed: int) -> None:
    """Nobody waits, or asks, any longer than for that."""
    escrow = await searched.waiting(SILENT)
    searched.records.appears_after = missed
    searched.records.record = record_of(COST)
    costed = await searched.costs.generated(escrow)
    assert searched.looked_up_ms == list(LOOKUPS_MS[: missed + 1])
    assert (costed.progress, costed.priced_pusd) == (Progress.COSTED, pusd_from_text(COST))
    assert costed.run.lookup_at_ms is None
    assert costed.run.cost is not None
    assert costed.run.cost.standing is CostStanding.CONFIRMED
    said = (
        costed.run.cost.text,
        costed.run.cost.provider,
        costed.run.cost.model,
        costed.run.cost.record_sha256,
    )
    page = searched.records.record
    assert said == (page.total_cost, page.provider, page.model, page.record_sha256)


@pytest.mark.parametrize(
    ("since_ms", "next_ms"),
    [
        (0, 60_000),
        (59_999, 60_000),
        (60_000, 300_000),
        (300_000, 900_000),
        (HOUR_MS, 4 * HOUR_MS),
        (23 * HOUR_MS, DAY_MS),
    ],
)
@pytest.mark.parametrize("said", [None, COST])
async def test_later_look_ups_are_rarer(
    searched: Searched, said: str | None, since_ms: int, next_ms: int
) -> None:
    """Whether a provisional price is asked for meanwhile or none."""
    escrow = await searched.waiting(SILENT, since_ms=since_ms)
    summary = escrow.run.summary
    assert summary is not None
    run = replace(escrow.run, summary=replace(summary, inline_cost=said))
    escrow = replace(escrow, run=run)
    after = await searched.costs.generated(escrow)
    assert after.run.lookup_at_ms == searched.began_ms - since_ms + next_ms
    assert after.progress is (Progress.COSTED if said else Progress.GENERATED)
    if after.run.cost is not None:
        assert after.run.cost.standing is CostStanding.PROVISIONAL


async def test_after_a_day_nothing_is_sold_that_has_no_price(searched: Searched) -> None:
    """The escrow fails and says why; one that has a provisional price keeps it for good."""
    silent = await searched.waiting(SILENT)
    searched.clock.advance(DAY_MS // 1_000)
    failed = await searched.costs.generated(silent)
    assert (failed.progress, failed.run.lookup_at_ms) == (S.FAILED, None)
    assert failed.failure is not None
    assert failed.failure.code == "cost_not_found"


async def test_a_provisional_price_stands_after_a_day(searched: Searched) -> None:
    """Nobody looks it up any more."""
    saying = await searched.waiting(SAYING)
    searched.clock.advance(DAY_MS // 1_000)
    after = await searched.costs.confirm(saying)
    assert after.run.lookup_at_ms is None
    assert after.run.lookups == saying.run.lookups + 1


async def test_a_clock_set_a_day_forward_ends_no_look_ups(searched: Searched) -> None:
    """While it is not certain that a day has passed it is asked again, five minutes later."""
    escrow = await searched.waiting(SILENT)
    searched.clock.step(DAY_MS // 1_000)
    after = await searched.costs.generated(escrow)
    assert after.progress is Progress.GENERATED
    assert after.run.lookup_at_ms == searched.clock.now_ms() + 300_000


async def test_a_run_without_a_name_is_not_looked_up(searched: Searched) -> None:
    """The upstream is not asked for nothing."""
    escrow = await searched.waiting(CUT)
    escrow = replace(escrow, run=replace(escrow.run, generation_id=None))
    after = await searched.costs.confirm(escrow)
    assert searched.looked_up_ms == []
    assert after.run.cost is None


async def test_a_cost_beyond_belief_is_doubted_once_and_not_booked(searched: Searched) -> None:
    """Of seven look-ups that all say it only the last one rings; a later one rings again."""
    escrow = await searched.waiting(SILENT)
    most_pusd = BELIEVED_CEILINGS * escrow.quote.ceiling_pusd
    searched.records.record = replace(FREE_RECORD, cost_pusd=most_pusd + 1)
    missed = await searched.costs.generated(escrow)
    assert (missed.progress, missed.run.cost) == (Progress.GENERATED, None)
    assert len(searched.looked_up_ms) == len(LOOKUPS_MS)
    assert searched.doubted == [most_pusd + 1]
    costed = replace(missed.run, state=RunState.COSTED)
    await searched.costs.confirm(replace(missed, state=EscrowState.INVOICED, run=costed))
    assert searched.doubted == [most_pusd + 1] * 2


async def test_a_cost_at_the_bound_of_belief_is_booked(searched: Searched) -> None:
    """Ten ceilings are an overrun, which is ours; the caller pays the ceiling."""
    escrow = await searched.waiting(SILENT)
    most_pusd = BELIEVED_CEILINGS * escrow.quote.ceiling_pusd
    searched.records.record = replace(FREE_RECORD, total_cost="1", cost_pusd=most_pusd)
    costed = await searched.costs.generated(escrow)
    assert (costed.priced_pusd, costed.price_msat) == (most_pusd, costed.quote.ceiling_msat)
    assert searched.doubted == []


async def test_zero_on_a_priced_model_is_not_believed_of_an_answer(searched: Searched) -> None:
    """However often and however late the record says it."""
    escrow = await searched.waiting(SILENT, since_ms=HOUR_MS)
    searched.records.record = record_of("0", final=True)
    after = await searched.costs.generated(escrow)
    assert (after.progress, after.run.cost) == (Progress.GENERATED, None)
    assert searched.doubted == []


@pytest.mark.parametrize(
    ("since_ms", "final", "believed"),
    [
        (0, False, False),
        (FREE_FAILURE_MS - 1, False, False),
        (FREE_FAILURE_MS, False, True),
        (0, True, True),
    ],
)
@pytest.mark.parametrize("outcome", [BROKEN, CUT])
async def test_zero_of_a_failed_run_is_believed_in_time(
    searched: Searched, outcome: Outcome, since_ms: int, *, final: bool, believed: bool
) -> None:
    """Five minutes after it, or at once where the record says that it will not change."""
    escrow = await searched.waiting(outcome, since_ms=since_ms)
    searched.records.record = record_of("0", final=final)
    after = await searched.costs.confirm(escrow)
    assert after.progress is S.FAILED
    assert (after.run.cost is not None) is believed
    assert (after.run.lookup_at_ms is None) is believed
