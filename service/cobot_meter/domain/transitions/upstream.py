"""Transitions of what an upstream says of its account: usage, baselines, keys."""

from __future__ import annotations

from cobot_meter.domain.money import usd_text
from cobot_meter.domain.run.bookings import unattributed
from cobot_meter.domain.transitions.kinds import BASELINE_KEY, COMPARED, FELL, KEY_NAMED, REBASED
from cobot_meter.domain.transitions.transition import Facts, Transition
from cobot_meter.domain.upstream.usage import UsageReading


def usage_compared(
    reading: UsageReading, *, sequence: int, cost_pusd: int, at_ms: int, baseline: int = 0
) -> Transition:
    """A13's remainder: upstream spend that no open reservation explains, 0 too.

    Every comparison that concludes anything takes its number first, so that two processes at a
    hand-over never conclude the same twice. `baseline` is the number of the one it counts from.
    """
    return Transition(
        key=f"{COMPARED}/{sequence}",
        kind="usage_compared",
        subject_id="upstream",
        caller_id=None,
        at_ms=at_ms,
        transfers=unattributed(cost_pusd, upstream=reading.upstream),
        facts={
            "usage_usd": usd_text(reading.usage_pusd),
            "unattributed_usd": usd_text(cost_pusd),
            "baseline": baseline,
            **_read(reading),
        },
    )


def upstream_baseline(reading: UsageReading, *, at_ms: int) -> Transition:
    """What the upstream's key had spent before these books were opened; written once."""
    return _told_of_upstream(BASELINE_KEY, "upstream_baseline", at_ms, _read(reading))


def upstream_key_named(upstream_key: str, *, at_ms: int) -> Transition:
    """Books from before keys had marks: this is the key they have been counting against."""
    return _told_of_upstream(KEY_NAMED, "upstream_key_named", at_ms, {"upstream_key": upstream_key})


def usage_fell(*, baseline: int, usage_pusd: int, highest_pusd: int, at_ms: int) -> Transition:
    """The key's usage fell, seen twice: nothing is compared until there is another baseline."""
    facts: Facts = {"usage_pusd": usage_pusd, "highest_pusd": highest_pusd}
    return _told_of_upstream(f"{FELL}/{baseline}", "usage_fell", at_ms, facts)


def usage_rebased(
    reading: UsageReading, *, number: int, booked_pusd: int, reason: str, at_ms: int
) -> Transition:
    """The operator's word: from here on costs count against this figure of this key."""
    return _told_of_upstream(
        f"{REBASED}/{number}",
        "usage_rebased",
        at_ms,
        {**_read(reading), "booked_pusd": booked_pusd, "reason": reason},
    )


def _read(reading: UsageReading) -> Facts:
    return {
        "upstream": reading.upstream,
        "usage_pusd": reading.usage_pusd,
        "upstream_key": reading.key,
    }


def _told_of_upstream(key: str, kind: str, at_ms: int, facts: Facts) -> Transition:
    return Transition(
        key=key, kind=kind, subject_id="upstream", caller_id=None, at_ms=at_ms, facts=facts
    )
