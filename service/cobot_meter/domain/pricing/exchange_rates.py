"""Which exchange rate to believe, and whether it has just jumped. Pure, integers only.

Every rate is in 1e-6 USD for one bitcoin. A lower rate asks for more satoshis, so of two middle
readings the lower one is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.money import BASIS_POINTS, ExchangeRate

MEDIAN = "median:"
# A wall clock may be set back a little between a reading and its judgement.
_AHEAD_MS = 10_000
# Levels closer together than this part of the window are thinned: the memory has a bound.
_WINDOW_PARTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one source says, as of `at_ms` on our clock."""

    source: str
    usd_micro_per_btc: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReading:
    """A source that gave nothing to count. `why` goes on from its name: `answered 503`."""

    source: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTerms:
    """When a rate counts.

    A reading is fresh for `max_age_ms`. It agrees when it is within `outlier_bps` of the median.
    A rate needs `agreeing_min` of them, and more than half of the fresh ones. A move beyond
    `jump_bps` within `jump_window_ms` must hold for `settle_ms` before it is trusted.
    """

    max_age_ms: int = 600_000
    outlier_bps: int = 200
    agreeing_min: int = 2
    jump_bps: int = 1_000
    jump_window_ms: int = 600_000
    settle_ms: int = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedRate:
    """A rate that enough sources stand behind, dated by the oldest of them; `cut` do not."""

    rate: ExchangeRate
    sources: tuple[str, ...]
    cut: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAgreement:
    """Why there is no rate, as half a sentence."""

    why: str


def agreed_rate(
    readings: Sequence[Reading], *, terms: RateTerms, now_ms: int
) -> AgreedRate | NoAgreement:
    """The lower median of all fresh readings, one reading a source, if enough agree with it.

    The median is not taken anew after the cut: with three readings or more a single one, whatever
    it says, cannot then move the result out of the range of the others.
    """
    fresh = sorted(
        (one for one in readings if is_fresh(one.at_ms, terms=terms, now_ms=now_ms)),
        key=lambda one: (one.usd_micro_per_btc, one.source),
    )
    if len(fresh) < terms.agreeing_min:
        why = f"{len(fresh)} of {len(readings)} readings are fresh, {terms.agreeing_min} must be"
        return NoAgreement(why=why)
    median = fresh[(len(fresh) - 1) // 2].usd_micro_per_btc
    near = [one for one in fresh if not differs(one.usd_micro_per_btc, median, terms.outlier_bps)]
    needed = max(terms.agreeing_min, len(fresh) // 2 + 1)
    if len(near) < needed:
        why = f"{len(near)} of {len(fresh)} sources agree, {needed} must"
        return NoAgreement(why=why)
    sources = tuple(sorted(one.source for one in near))
    return AgreedRate(
        rate=ExchangeRate(
            usd_micro_per_btc=median,
            source=MEDIAN + ",".join(sources),
            fetched_at_ms=min(one.at_ms for one in near),
        ),
        sources=sources,
        cut=tuple(sorted({one.source for one in fresh} - set(sources))),
    )


def is_fresh(at_ms: int, *, terms: RateTerms, now_ms: int) -> bool:
    """Whether what was said then still counts; what is dated ahead of us does not."""
    return -_AHEAD_MS <= now_ms - at_ms <= terms.max_age_ms


def differs(usd_micro: int, level_usd_micro: int, bound_bps: int) -> bool:
    """Whether a rate is further from a level than `bound_bps` of that level, up or down."""
    return abs(usd_micro - level_usd_micro) * BASIS_POINTS > bound_bps * level_usd_micro


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A rate that was seen at a moment."""

    usd_micro_per_btc: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpWatch:
    """What the rate has been, and whether it has jumped.

    `trusted` are the levels of the last window, oldest first. After a jump `paused_at_ms` is set
    and `unproven` is the new level, as of when it was first seen; None while nothing is known.
    """

    trusted: tuple[Level, ...] = ()
    unproven: Level | None = None
    paused_at_ms: int | None = None


def watched(
    watch: JumpWatch, rate: ExchangeRate | None, *, terms: RateTerms, now_ms: int
) -> JumpWatch:
    """The watch after one more agreed rate, or None for a look that found none.

    A pause ends when the rate is back where it was, or when a level has held: every source that
    agrees on it has said so `settle_ms` after it was first seen, and it has not moved by more than
    the outlier bound meanwhile. The first rate of all is trusted, and so is one after a gap
    longer than the window.
    """
    if rate is None:
        return replace(watch, unproven=None)
    level = Level(usd_micro_per_btc=rate.usd_micro_per_btc, at_ms=now_ms)
    known = watch.trusted
    if watch.paused_at_ms is None:
        known = tuple(one for one in known if 0 <= now_ms - one.at_ms <= terms.jump_window_ms)
    usd_micro = rate.usd_micro_per_btc
    if not any(differs(usd_micro, one.usd_micro_per_btc, terms.jump_bps) for one in known):
        return JumpWatch(trusted=_with_level(known, level, terms))
    paused_at_ms = now_ms if watch.paused_at_ms is None else watch.paused_at_ms
    unproven = watch.unproven
    if unproven is not None and unproven.at_ms > now_ms:
        unproven = None  # it is from before the clock went back
    if unproven is None or differs(usd_micro, unproven.usd_micro_per_btc, terms.outlier_bps):
        return JumpWatch(trusted=known, unproven=level, paused_at_ms=paused_at_ms)
    if rate.fetched_at_ms - unproven.at_ms >= terms.settle_ms:
        return JumpWatch(trusted=(level,))
    return JumpWatch(trusted=known, unproven=unproven, paused_at_ms=paused_at_ms)


def _with_level(known: tuple[Level, ...], level: Level, terms: RateTerms) -> tuple[Level, ...]:
    close_ms = terms.jump_window_ms // _WINDOW_PARTS
    thin = len(known) > 1 and known[-1].at_ms - known[-2].at_ms < close_ms
    return (*(known[:-1] if thin else known), level)
