"""The price of a bitcoin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.exchange_rates import NoReading, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStanding:
    """How things are with the rate: `why` says what is wrong when `rate` is None.

    `agreeing` sources stand behind it. `paused_at_ms` is when post-paid was paused by a jump.
    """

    rate: ExchangeRate | None
    agreeing: int
    why: str = ""
    paused_at_ms: int | None = None


class ExchangeRates(Protocol):
    """Says what one bitcoin costs now. Answers come from memory; only `refresh` goes outside."""

    async def current(self) -> ExchangeRate:
        """A rate fresh enough to price with. Raises RateStale."""

    def shown(self) -> ExchangeRate:
        """The last rate there was, however old: to show amounts in USD with, never to price.

        Raises RateStale before the first.
        """

    def check_post_paid(self) -> None:
        """Return when new asks may be paid afterwards. Raises RateJumped."""

    def standing(self) -> RateStanding:
        """How things are, for those who look on."""

    async def refresh(self) -> None:
        """Ask every source once. A source's faults are no faults of this call."""


class RateSource(Protocol):
    """One place outside that says what a bitcoin costs."""

    @property
    def name(self) -> str:
        """A short word, as it stands in the source of a stored rate."""

    async def read(self) -> Reading | NoReading:
        """Ask once, within a time limit of its own. Raises nothing of the outside."""
