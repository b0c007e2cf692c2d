"""All that the records say, as one value: what reports, pages and sold documents are made of.

Must not know: where records are kept, or who looks at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cobot_meter.domain.benchmarks.model_watch import WatchState, WatchTerms, watch_providers
from cobot_meter.domain.benchmarks.movements import Movement, movements
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord, RunKind
from cobot_meter.domain.benchmarks.summary import ModelSummary, by_model, parted, summaries_of

OVERVIEW_DAYS = 35


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """At `at_ms`, of the last `days`; the watch is of all days that there are.

    `public` are items that lie in the open. A model that is not probed daily is not `watched`.
    """

    at_ms: int
    days: int
    records: int
    passed_over: int
    models: tuple[ModelSummary, ...]
    public: tuple[ModelSummary, ...]
    movements: tuple[Movement, ...]
    watched: tuple[WatchState, ...]

    @property
    def moved(self) -> tuple[Movement, ...]:
        """What is said to have moved."""
        return tuple(one for one in self.movements if one.moved)

    def document(self) -> dict[str, Any]:
        """As JSON: shares in parts per million, costs in pico-USD an item, times in ms."""
        return {
            "at_ms": self.at_ms,
            "days": self.days,
            "records": self.records,
            "passed_over": self.passed_over,
            "models": [asdict(one) for one in self.models],
            "public_items": [asdict(one) for one in self.public],
            "movements": [{**asdict(one), "moved": one.moved} for one in self.movements],
            "watched": [
                {**asdict(one), "learning": one.learning, "moved": one.moved}
                for one in self.watched
            ],
        }


def overview_of(
    records: Sequence[BenchRecord], *, at_ms: int, passed_over: int = 0, days: int = OVERVIEW_DAYS
) -> Overview:
    """What they say at a moment; what was measured after it is not looked at."""
    before = [one for one in records if one.at_ms < at_ms]
    recent = [one for one in before if one.at_ms >= at_ms - days * MS_PER_DAY]
    own, public = parted(recent)
    probes = by_model(one for one in before if one.kind is RunKind.PROBE)
    return Overview(
        at_ms=at_ms,
        days=days,
        records=len(recent),
        passed_over=passed_over,
        models=tuple(summaries_of(own)),
        public=tuple(summaries_of(public)),
        movements=tuple(movements(recent, now_ms=at_ms)),
        watched=tuple(
            state
            for model, probed in probes.items()
            for state in watch_providers(model, probed, WatchTerms())
        ),
    )
