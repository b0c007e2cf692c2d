"""Following the rate: all at once, from memory in between, and each change said once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cobot_meter.domain.errors import RateJumped, RateStale
from cobot_meter.domain.pricing.exchange_rates import RateTerms
from tests.fakes.clock import FakeClock
from tests.fakes.rate_sources import USD_MICRO, RateMarket


@pytest.fixture
def market() -> RateMarket:
    """Three sources that agree on 100,000 USD."""
    return RateMarket(FakeClock())


async def test_before_the_first_look_there_is_no_rate(market: RateMarket) -> None:
    """Refused with a time to come back, and the reason stands in the standing."""
    with pytest.raises(RateStale, match="no source has been asked yet") as refused:
        await market.rates.current()
    assert refused.value.retry_after_s == 30
    assert market.rates.standing().rate is None
    with pytest.raises(RateStale, match="none has been found yet"):
        market.rates.shown()


async def test_every_source_is_asked_at_once(market: RateMarket) -> None:
    """The slowest decides how long a look takes, not their sum."""
    held = asyncio.Event()
    for source in market.sources:
        source.held = held
    async with asyncio.TaskGroup() as tasks:
        look = tasks.create_task(market.rates.refresh())
        while [source.asked for source in market.sources] != [1, 1, 1]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not look.done()
        held.set()


async def test_answers_come_from_memory(market: RateMarket) -> None:
    """However often the rate is read, nobody outside is asked, and the same value is given."""
    await market.rates.refresh()
    first = await market.rates.current()
    for _ in range(100):
        assert await market.rates.current() is first
    assert [source.asked for source in market.sources] == [1, 1, 1]


async def test_a_last_reading_counts_until_it_is_too_old(market: RateMarket) -> None:
    """Sources that fall silent stand behind the rate for ten minutes and no longer."""
    await market.rates.refresh()
    await market.say(None, after_s=599)
    assert market.rates.standing().agreeing == 3
    market.clock.advance(1)
    await market.rates.current()
    market.clock.advance(1)
    with pytest.raises(RateStale, match="0 of 3 readings are fresh"):
        await market.rates.current()
    assert market.rates.standing().why == "0 of 3 readings are fresh, 2 must be"


async def test_one_old_reading_does_not_take_the_others_down(market: RateMarket) -> None:
    """When it grows too old between two looks, the rate rests on those that are fresh."""
    await market.rates.refresh()
    market.sources[0].usd = None
    market.clock.advance(590)
    await market.rates.refresh()
    assert (await market.rates.current()).source == "median:bitstamp,coinbase,kraken"
    market.clock.advance(20)
    assert (await market.rates.current()).source == "median:coinbase,kraken"


async def test_a_clock_set_back_needs_a_new_look(market: RateMarket) -> None:
    """Readings from what is now the future do not count; those made after it do."""
    await market.rates.refresh()
    market.clock.set_ms(market.clock.now_ms() - 3_600_000)
    with pytest.raises(RateStale):
        await market.rates.current()
    await market.rates.refresh()
    await market.rates.current()


async def test_a_jump_pauses_post_paid_only(market: RateMarket) -> None:
    """The new rate is told at once; what is paid later waits until it has held two minutes."""
    await market.say(100_000)
    market.rates.check_post_paid()
    await market.say(85_000)
    assert (await market.rates.current()).usd_micro_per_btc == 85_000 * USD_MICRO
    with pytest.raises(RateJumped, match="covered by credit") as refused:
        market.rates.check_post_paid()
    assert refused.value.retry_after_s == 120
    assert market.rates.standing().paused_at_ms == market.clock.now_ms()
    await market.say(85_100)
    with pytest.raises(RateJumped):
        market.rates.check_post_paid()
    await market.say(85_000)
    market.rates.check_post_paid()


async def test_silence_does_not_confirm_a_jump(market: RateMarket) -> None:
    """The readings of the jump itself are no proof of it, however often they are judged."""
    await market.say(100_000)
    await market.say(85_000)
    for _ in range(5):
        await market.say(None)
        with pytest.raises(RateJumped):
            market.rates.check_post_paid()


async def test_one_source_cannot_pause_anything(market: RateMarket) -> None:
    """A single one that jumps is cut."""
    await market.say(100_000)
    market.sources[1].usd = 50_000
    await market.rates.refresh()
    market.rates.check_post_paid()
    assert market.rates.cut == ("coinbase",)


async def test_the_settle_time_is_a_setting() -> None:
    """With none at all the next look that agrees ends the pause."""
    market = RateMarket(FakeClock(), terms=RateTerms(settle_ms=0))
    await market.say(100_000)
    await market.say(85_000)
    await market.say(85_000, after_s=1)
    market.rates.check_post_paid()


async def test_each_condition_is_said_once(
    market: RateMarket, caplog: pytest.LogCaptureFixture
) -> None:
    """When it begins and when it ends, however many looks there are between."""
    caplog.set_level(logging.WARNING)
    await market.say(100_000)
    assert caplog.messages == []
    for _ in range(5):
        market.sources[0].usd = None
        await market.rates.refresh()
    market.sources[0].usd = 100_000
    await market.rates.refresh()
    assert caplog.messages == [
        "exchange rate, bitstamp: answered 503",
        "exchange rate, bitstamp: well again",
    ]
    caplog.clear()
    for usd in (85_000, 85_000, 85_000, 85_000):
        await market.say(usd)
    assert caplog.messages == [
        "exchange rate, level: it has jumped, post-paid asks wait",
        "exchange rate, level: well again",
    ]
