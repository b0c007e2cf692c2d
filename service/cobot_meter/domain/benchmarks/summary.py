"""What a model did, in one row: share of right replies with its interval, cost and times.

The same prompt asked every day is one piece of evidence and not thirty: shares are of distinct
prompts, each by its last reply; costs and times are of all of them.
There is no single score: who needs one weighs these for its own work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.benchmarks.record import BenchRecord, RunKind
from cobot_meter.domain.benchmarks.statistics.proportions import ShareInterval, wilson
from cobot_meter.domain.benchmarks.statistics.shifts import percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Of answers, in ms: the middle one, and the one that 95 of 100 do not pass."""

    p50_ms: int
    p95_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """`cost_pusd` is the mean of an item, rounded down; `providers` with how much they served.

    Of all that was `asked`, `errors` were no answers; `judged` are the distinct prompts among the
    others.
    Where `provider` is said it is of that one's answers alone.
    """

    model: str
    provider: str = ""
    asked: int
    judged: int
    right: int
    errors: int
    interval: ShareInterval
    cost_pusd: int
    first_text: Times
    whole: Times
    providers: tuple[tuple[str, int], ...]
    last_ms: int


def by_model(records: Iterable[BenchRecord]) -> dict[str, list[BenchRecord]]:
    """Each model's records in their order, the models in the order of their names."""
    found: dict[str, list[BenchRecord]] = {}
    for record in records:
        found.setdefault(record.model, []).append(record)
    return dict(sorted(found.items()))


def parted(
    records: Iterable[BenchRecord],
) -> tuple[list[BenchRecord], list[BenchRecord]]:
    """Those of our own items, and those of items that lie in the open."""
    own: list[BenchRecord] = []
    public: list[BenchRecord] = []
    for record in records:
        (public if record.kind is RunKind.PUBLIC else own).append(record)
    return own, public


def by_provider(records: Sequence[BenchRecord]) -> dict[str, list[BenchRecord]]:
    """Of one model's records those of each provider, by name; none where all are of one.

    Who failed to answer often has no name, and is nobody's.
    """
    found: dict[str, list[BenchRecord]] = {}
    for record in records:
        if record.provider:
            found.setdefault(record.provider, []).append(record)
    return dict(sorted(found.items())) if len(found) > 1 else {}


def summaries_of(records: Iterable[BenchRecord]) -> list[ModelSummary]:
    """A row a model, and behind it one for each of its providers where there are several."""
    found = []
    for model, own in by_model(records).items():
        found.append(summary_of(model, own))
        for provider, served in by_provider(own).items():
            found.append(replace(summary_of(model, served), provider=provider))
    return found


def distinct(records: Iterable[BenchRecord]) -> list[BenchRecord]:
    """The last of each prompt: an item with the numbers of one seed."""
    return list({(one.item_id, one.seed): one for one in records}.values())


def summary_of(model: str, records: Sequence[BenchRecord]) -> ModelSummary:
    """All of these, which are one model's."""
    judged = [record for record in records if record.judged]
    last = distinct(judged)
    right = sum(record.right for record in last)
    costs = [record.cost_pusd for record in judged if record.cost_pusd is not None]
    return ModelSummary(
        model=model,
        asked=len(records),
        judged=len(last),
        right=right,
        errors=len(records) - len(judged),
        interval=wilson(right, len(last)),
        cost_pusd=sum(costs) // len(costs) if costs else 0,
        first_text=_times([one.ttft_ms for one in judged if one.ttft_ms is not None]),
        whole=_times([one.total_ms for one in judged]),
        providers=tuple(Counter(one.provider for one in judged if one.provider).most_common()),
        last_ms=max((record.at_ms for record in records), default=0),
    )


def _times(measured: Sequence[int]) -> Times:
    return Times(p50_ms=percentile(measured, 50), p95_ms=percentile(measured, 95))
