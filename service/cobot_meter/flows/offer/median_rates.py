"""Follow the exchange rate: ask every source now and then, and answer from memory in between.

Must not know: HTTP, which sources there are, or what is priced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cobot_meter.domain.errors import RateJumped, RateStale
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.exchange_rates import (
    AgreedRate,
    JumpWatch,
    NoAgreement,
    NoReading,
    RateTerms,
    Reading,
    agreed_rate,
    is_fresh,
    watched,
)
from cobot_meter.ports.exchange_rate import RateSource, RateStanding
from cobot_meter.ports.process import Clock

LOG = logging.getLogger(__name__)
_RETRY_STALE_S = 30
# An ask waits so long for a look, and no two looks for asks follow each other sooner.
LOOK_S = 3.0
LOOK_PAUSE_MS = 5_000


class MedianRates:
    """Implements `ports.exchange_rate.ExchangeRates` over several sources."""

    def __init__(self, *, sources: Sequence[RateSource], clock: Clock, terms: RateTerms) -> None:
        """There is no rate before the first `refresh`. The names of `sources` differ."""
        self._sources = tuple(sources)
        self._clock = clock
        self._terms = terms
        self._readings: dict[str, Reading] = {}
        self._found: AgreedRate | NoAgreement = NoAgreement(why="no source has been asked yet")
        self._last: ExchangeRate | None = None
        self._watch = JumpWatch()
        self._told = _Conditions()
        self._turn = asyncio.Lock()
        self._looked_ms = 0

    async def current(self) -> ExchangeRate:
        """A rate fresh enough to price with, from memory as long as it is. Raises RateStale.

        When what was agreed on has grown too old, the readings are judged anew; where they do not
        agree either, the sources are asked, in one look of at most LOOK_S for all who wait.
        """
        found = self._fresh()
        if isinstance(found, NoAgreement):
            found = await self._found_anew()
        if isinstance(found, NoAgreement):
            raise _stale(found)
        return found.rate

    async def _found_anew(self) -> AgreedRate | NoAgreement:
        """What the sources agree on after one look at them, which all who ask meanwhile share."""
        async with self._turn:
            found = self._fresh()
            passed_ms = self._clock.monotonic_ms() - self._looked_ms
            if isinstance(found, NoAgreement) and self._readings and passed_ms >= LOOK_PAUSE_MS:
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self.looked()
                except TimeoutError:
                    pass
                found = self._fresh()
        return found

    def shown(self) -> ExchangeRate:
        """The last rate that was agreed on, however old: to show amounts with, never to price.

        Raises RateStale before the first.
        """
        if self._last is None:
            raise _stale(NoAgreement(why="none has been found yet"))
        return self._last

    def check_post_paid(self) -> None:
        """Return when new asks may be paid afterwards. Raises RateJumped.

        It raises from a jump of the rate until the rate has settled.
        """
        if self._watch.paused_at_ms is not None:
            message = (
                "The exchange rate has just jumped; until it has settled only asks that are "
                "wholly covered by credit are taken. Ask again when it has settled."
            )
            raise RateJumped(message, retry_after_s=max(1, self._terms.settle_ms // 1_000))

    @property
    def cut(self) -> tuple[str, ...]:
        """The sources whose last reading is fresh and too far from the median."""
        found = self._fresh()
        return found.cut if isinstance(found, AgreedRate) else ()

    def standing(self) -> RateStanding:
        """The rate that holds now and how many sources agree on it, or why there is none."""
        found, paused_at_ms = self._fresh(), self._watch.paused_at_ms
        if isinstance(found, NoAgreement):
            return RateStanding(rate=None, agreeing=0, why=found.why, paused_at_ms=paused_at_ms)
        return RateStanding(rate=found.rate, agreeing=len(found.sources), paused_at_ms=paused_at_ms)

    async def refresh(self) -> None:
        """Ask every source once, all at a time. A source's faults are no faults of this call.

        Each source's last reading is kept until it is too old to count.
        """
        await self.looked()

    async def looked(self) -> tuple[Reading | NoReading, ...]:
        """Ask every source once and judge anew: what each of them said, in their order."""
        self._looked_ms = self._clock.monotonic_ms()
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(source.read()) for source in self._sources]
        answers = tuple(task.result() for task in asked)
        for answer in answers:
            if isinstance(answer, Reading):
                self._readings[answer.source] = answer
            self._told.tell(answer.source, answer.why if isinstance(answer, NoReading) else None)
        self._judge()
        return answers

    def _fresh(self) -> AgreedRate | NoAgreement:
        found, now_ms = self._found, self._clock.now_ms()
        if isinstance(found, AgreedRate) and not is_fresh(
            found.rate.fetched_at_ms, terms=self._terms, now_ms=now_ms
        ):
            found = self._found = self._agreed(now_ms)
            self._keep(found)
        return found

    def _keep(self, found: AgreedRate | NoAgreement) -> None:
        if isinstance(found, AgreedRate):
            self._last = found.rate

    def _agreed(self, now_ms: int) -> AgreedRate | NoAgreement:
        return agreed_rate(tuple(self._readings.values()), terms=self._terms, now_ms=now_ms)

    def _judge(self) -> None:
        now_ms = self._clock.now_ms()
        found = self._found = self._agreed(now_ms)
        self._keep(found)
        agreed = found if isinstance(found, AgreedRate) else None
        rate = None if agreed is None else agreed.rate
        self._watch = watched(self._watch, rate, terms=self._terms, now_ms=now_ms)
        self._told.tell("sources", found.why if isinstance(found, NoAgreement) else None)
        paused = self._watch.paused_at_ms is not None
        self._told.tell("level", "it has jumped, post-paid asks wait" if paused else None)
        if agreed is not None:
            for source in self._sources:
                why = "is too far from the median" if source.name in agreed.cut else None
                self._told.tell(f"{source.name} among the others", why)


def _stale(found: NoAgreement) -> RateStale:
    message = f"There is no exchange rate to price with now: {found.why}. Try again soon."
    return RateStale(message, retry_after_s=_RETRY_STALE_S)


class _Conditions:
    """Says a thing when it changes, and not at every look."""

    def __init__(self) -> None:
        self._wrong: dict[str, str] = {}

    def tell(self, subject: str, wrong: str | None) -> None:
        if wrong == self._wrong.get(subject):
            return
        if wrong is None:
            del self._wrong[subject]
            LOG.warning("exchange rate, %s: well again", subject)
        else:
            self._wrong[subject] = wrong
            LOG.warning("exchange rate, %s: %s", subject, wrong)
