"""Somebody sets the clock, or a laptop sleeps: nothing lapses in a lump, nothing stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.errors import DependencyFault, ModelNotOffered, RateStale
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.retention import DAY_MS, HOUR_MS
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.steady_clock import SteadyClock
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.rate_sources import RateMarket
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import FREE_MODEL, PRICED_MODEL, Completes, Failed
from tests.flows.rigs.process import Process
from tests.flows.rigs.stories import CALLER, COST, Stage, ask, ask_another, claim, hear, pay
from tests.flows.sale.test_crash_points import staged

S = Progress
MONTH_S = 30 * 24 * 3_600 + 3_600
HOUR_S = 3_600


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A started service, with books in memory and a clock that can be set."""
    async with staged(tmp_path / "node") as stage:
        yield stage


def state_of(stage: Stage) -> Progress:
    """Of the newest escrow, as it stands now."""
    return stage.escrow.progress


async def quiet_minutes(stage: Stage, minutes: int) -> None:
    """The background ticks while time passes."""
    for _ in range(minutes):
        stage.lasting.clock.advance(60)
        await stage.process.tick()
        await stage.process.recover.open_invoices()


async def test_a_month_forward_lapses_no_paid_claim(stage: Stage) -> None:
    """Paid an hour ago and not fetched: it is there an hour later, and can be claimed."""
    for step in (ask, pay(), hear):
        await step(stage)
    stage.lasting.clock.step(MONTH_S)
    await quiet_minutes(stage, 60)
    assert state_of(stage) is S.SETTLED
    await claim(stage)
    assert stage.answer is not None


async def test_what_is_really_a_month_old_lapses_all_the_same(stage: Stage) -> None:
    """Time that has passed ends things, and a clock that stays where it was set does in the end."""
    for step in (ask, pay(), hear):
        await step(stage)
    stage.lasting.clock.step(MONTH_S)
    for _ in range(40):
        stage.lasting.clock.advance(HOUR_S)
        await stage.process.tick()
    assert state_of(stage) is S.REFUNDED
    await ask_another(stage)
    for step in (pay(), hear):
        await step(stage)
    stage.lasting.clock.advance(MONTH_S)
    stage.process.recover._later._held.clear()
    await stage.process.tick()
    assert state_of(stage) is S.REFUNDED


async def test_two_hours_forward_cancel_no_open_invoice(tmp_path: Path) -> None:
    """Our clock is no word on whether it can be paid: the payer still pays, and is served."""
    async with staged(tmp_path / "node", node_clock=FakeClock()) as stage:
        await ask(stage)
        topup = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        stage.lasting.clock.step(2 * HOUR_S)
        await quiet_minutes(stage, 5)
        assert state_of(stage) is S.INVOICED
        held = await stage.process.books.topup(topup.topup_id)
        assert held is not None
        assert held.state is TopupState.INVOICED
        for step in (pay(), hear, claim):
            await step(stage)
        assert state_of(stage) is S.RELEASED


async def test_a_month_forward_gives_up_no_look_up(stage: Stage) -> None:
    """A run whose cost is not said yet stays generated, and is sold once it is."""
    stage.lasting.upstream.usually = Completes(cost=COST, says_cost=False, lookups_before_record=12)
    await ask(stage)
    assert state_of(stage) is Progress.GENERATED
    stage.lasting.clock.step(MONTH_S)
    await quiet_minutes(stage, 5)
    assert state_of(stage) in {Progress.GENERATED, Progress.COSTED, S.INVOICED}
    for _ in range(90):
        if state_of(stage) is not Progress.GENERATED:
            break
        await quiet_minutes(stage, 1)
    assert state_of(stage) is S.INVOICED


async def test_an_hour_back_stands_nothing_still(stage: Stage) -> None:
    """A look-up that was due in a minute is made within minutes, not in an hour."""
    stage.lasting.upstream.usually = Completes(cost=COST, says_cost=False, lookups_before_record=8)
    await ask(stage)
    assert state_of(stage) is Progress.GENERATED
    looked = stage.lasting.upstream.lookups
    stage.lasting.clock.step(-HOUR_S)
    await quiet_minutes(stage, 5)
    assert stage.lasting.upstream.lookups > looked
    assert state_of(stage) is S.INVOICED


async def test_an_hour_back_over_a_restart_stands_nothing_still(stage: Stage) -> None:
    """The books say that they were written later than it is now."""
    stage.lasting.upstream.usually = Completes(cost=COST, says_cost=False, lookups_before_record=8)
    await ask(stage)
    assert state_of(stage) is Progress.GENERATED
    await stage.process.kill()
    stage.lasting.clock.step(-HOUR_S)
    stage.process = Process(stage.lasting)
    stage.process.steady_clock.begin(await stage.lasting.books.latest_at_ms())
    await stage.process.start()
    await quiet_minutes(stage, 5)
    assert state_of(stage) is S.INVOICED


async def test_a_month_forward_over_a_restart_lapses_nothing_at_once(stage: Stage) -> None:
    """However the clock came to be there, claims lapse in portions and not in a lump."""
    for step in (ask, pay(), hear):
        await step(stage)
    await stage.process.kill()
    stage.lasting.clock.step(MONTH_S)
    stage.process = Process(stage.lasting)
    stage.process.steady_clock.begin(await stage.lasting.books.latest_at_ms())
    await stage.process.start()
    await quiet_minutes(stage, 60)
    assert state_of(stage) is S.SETTLED


async def test_a_day_forward_opens_no_new_days_budget_at_once(stage: Stage) -> None:
    """The budget of the day is that of the day before, until the clock has stood."""
    await ask(stage)
    day = stage.escrow.quote.day
    stage.lasting.clock.step(24 * HOUR_S)
    await stage.process.catalogue.refresh()
    await ask_another(stage)
    assert stage.escrow.quote.day == day
    codes = [code for code in stage.books.rows.ledger.counters if "exposure/unpaid" in code]
    assert codes == [chart.day_budget(day, newcomer=True).code]
    await quiet_minutes(stage, 12)
    await stage.process.catalogue.refresh()
    assert stage.process.steady_clock.day_ms() == stage.lasting.clock.now_ms()


async def test_prices_that_are_too_old_are_fetched_once_for_all_who_ask() -> None:
    """A clock two hours on: a hundred asks wait for one fresh list, and get it."""
    upstream, clock = FakeUpstream(), FakeClock()
    catalogue = ModelCatalogue(upstream=upstream, clock=clock, allowed=frozenset(), wait_s=5)
    await catalogue.refresh()
    clock.step(2 * HOUR_S)
    with pytest.raises(DependencyFault):
        catalogue.offered(PRICED_MODEL.model_id)
    fetched = 0

    async def background() -> None:
        nonlocal fetched
        while True:
            await catalogue.wanted.wait()
            fetched += 1
            await catalogue.refresh()

    fetching = asyncio.create_task(background())
    await asyncio.gather(*(catalogue.freshened([PRICED_MODEL.model_id]) for _ in range(100)))
    fetching.cancel()
    assert fetched == 1
    assert catalogue.offered(PRICED_MODEL.model_id).model_id == PRICED_MODEL.model_id
    with pytest.raises(ModelNotOffered):
        catalogue.offered("nobody/nothing")


async def test_nobody_waits_for_prices_in_vain_after_others_did() -> None:
    """Nor ever for a model whose price is our own, while the upstream is away."""
    clock = FakeClock()
    catalogue = ModelCatalogue(
        upstream=FakeUpstream(), clock=clock, allowed=frozenset(), wait_s=0.01
    )
    catalogue.offer_own((FREE_MODEL,))
    await catalogue.freshened([FREE_MODEL.model_id])
    assert not catalogue.wanted.is_set()
    await catalogue.freshened([PRICED_MODEL.model_id])
    assert catalogue.wanted.is_set()
    catalogue.wanted.clear()
    await catalogue.freshened([PRICED_MODEL.model_id])
    assert not catalogue.wanted.is_set()
    clock.advance(5)
    await catalogue.freshened([PRICED_MODEL.model_id])
    assert catalogue.wanted.is_set()


async def test_prices_get_old_by_time_that_passes_too() -> None:
    """An hour back makes no list fresh for another hour."""
    clock = FakeClock()
    catalogue = ModelCatalogue(upstream=FakeUpstream(), clock=clock, allowed=frozenset())
    await catalogue.refresh()
    clock.step(-HOUR_S)
    await catalogue.ping()
    clock.advance(HOUR_S + 1)
    with pytest.raises(DependencyFault):
        await catalogue.ping()


def test_timers_are_looked_for_by_the_clock_from_before_now_and_then() -> None:
    """After a step back, every half minute, until the wall clock has caught up."""
    clock = FakeClock()
    steady = SteadyClock(clock=clock)
    assert steady.timers_ms() == START_MS
    clock.step(-HOUR_S)
    assert steady.timers_ms() == START_MS
    assert steady.timers_ms() == clock.now_ms()
    clock.advance(31)
    assert steady.timers_ms() == clock.now_ms() + HOUR_MS
    clock.step(HOUR_S)
    assert steady.timers_ms() == clock.now_ms()
    assert steady.ending_ms() == clock.now_ms() < START_MS + DAY_MS
    assert not steady.parted


@pytest.mark.parametrize("step_s", [2 * HOUR_S, -HOUR_S])
async def test_a_rate_that_is_too_old_is_looked_for_once_for_all_who_ask(step_s: int) -> None:
    """Whichever way the clock was set, a hundred asks have a rate after one look."""
    market = RateMarket(FakeClock())
    await market.rates.refresh()
    market.clock.advance(10)
    market.clock.step(step_s)
    rates = await asyncio.gather(*(market.rates.current() for _ in range(100)))
    assert {rate.fetched_at_ms for rate in rates} == {market.clock.now_ms()}
    assert [source.asked for source in market.sources] == [2, 2, 2]


async def test_sources_that_are_silent_are_not_asked_by_every_ask() -> None:
    """Too old and nobody answers: refused at once, and looked for again after seconds."""
    market = RateMarket(FakeClock())
    await market.rates.refresh()
    for source in market.sources:
        source.usd = None
    market.clock.advance(2 * HOUR_S)
    for _ in range(20):
        with pytest.raises(RateStale):
            await market.rates.current()
    assert [source.asked for source in market.sources] == [2, 2, 2]


@pytest.mark.parametrize("ahead_s", [2 * HOUR_S, MONTH_S])
async def test_a_clock_far_ahead_of_the_nodes_sells_all_the_same(
    tmp_path: Path, ahead_s: int
) -> None:
    """What the node makes is long expired by our clock: it is payable for as long as it lasts."""
    async with staged(tmp_path / "node", node_clock=FakeClock()) as stage:
        stage.lasting.clock.step(ahead_s)
        stage.process.steady_clock.begin(stage.lasting.clock.now_ms())
        await stage.process.catalogue.refresh()
        await ask(stage)
        await quiet_minutes(stage, 5)
        assert state_of(stage) is S.INVOICED
        for step in (pay(), hear, claim):
            await step(stage)
        assert state_of(stage) is S.RELEASED
        await ask_another(stage)
        await quiet_minutes(stage, 15)
        assert state_of(stage) is S.EXPIRED, "and no longer"


async def test_an_open_topup_is_not_taken_back_when_the_clock_is_set(tmp_path: Path) -> None:
    """Two hours forward: the caller is shown the same one; ten minutes later another."""
    async with staged(tmp_path / "node", node_clock=FakeClock()) as stage:
        offered = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        stage.lasting.clock.step(2 * HOUR_S)
        again = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        assert again.topup_id == offered.topup_id
        await quiet_minutes(stage, 15)
        later = await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        assert later.topup_id != offered.topup_id


async def test_a_failure_while_the_clock_was_ahead_is_over_a_minute_after(stage: Stage) -> None:
    """The same ask is run anew, and does not fail for a month."""
    stage.lasting.upstream.then(Failed())
    stage.lasting.clock.step(MONTH_S)
    await stage.process.catalogue.refresh()
    await ask(stage)
    assert state_of(stage) is S.FAILED
    stage.lasting.clock.step(-MONTH_S)
    stage.lasting.clock.advance(61)
    await ask(stage)
    assert state_of(stage) is S.INVOICED
