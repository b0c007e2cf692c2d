"""What the port `ExchangeRates` promises, whoever says what a bitcoin costs."""

from __future__ import annotations

from cobot_meter.ports.exchange_rate import ExchangeRates
from tests.fakes.clock import FakeClock


class ExchangeRatesSuite:
    """Subclassed with the fixtures `rates`, whose sources are well, and `clock`, which is theirs.

    A bitcoin costs 64,000 USD, and never moves.
    """

    async def test_the_rate_is_there_after_a_refresh(
        self, rates: ExchangeRates, clock: FakeClock
    ) -> None:
        """With its source and a time that is not ahead of ours."""
        await rates.refresh()
        rate = await rates.current()
        assert rate.usd_micro_per_btc == 64_000_000_000
        assert 0 < len(rate.source) <= 64
        assert 0 <= clock.now_ms() - rate.fetched_at_ms <= 600_000

    async def test_the_standing_says_the_same(self, rates: ExchangeRates) -> None:
        """Those who look on see the rate that is priced with, and who stands behind it."""
        await rates.refresh()
        standing = rates.standing()
        assert standing.rate == await rates.current()
        assert standing.agreeing >= 1
        assert (standing.why, standing.paused_at_ms) == ("", None)

    async def test_what_is_shown_is_the_last_there_was(
        self, rates: ExchangeRates, clock: FakeClock
    ) -> None:
        """However old it has grown: it is for showing."""
        await rates.refresh()
        rate = await rates.current()
        clock.advance(3_600)
        assert rates.shown().usd_micro_per_btc == rate.usd_micro_per_btc

    async def test_a_quiet_rate_pauses_nothing(
        self, rates: ExchangeRates, clock: FakeClock
    ) -> None:
        """However often it is looked at."""
        for _ in range(3):
            await rates.refresh()
            clock.advance(60)
            rates.check_post_paid()

    async def test_asking_costs_nobody_anything_outside(self, rates: ExchangeRates) -> None:
        """Two answers from memory are the same."""
        await rates.refresh()
        assert await rates.current() == await rates.current()
