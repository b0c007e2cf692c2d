"""The table of successes that routing reads, made from records: model by task, with its evidence.

Beside what routing reads it says what each was measured at. Tasks that no item is of are taken over
from the table before, as its operator set them, and so are tiers and targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cobot_meter.domain.benchmarks.record import BenchRecord
from cobot_meter.domain.benchmarks.summary import by_model, distinct, summary_of

TARGET_PERCENT = 95
MODELS_MAX = 24
# A model is as dear as the dearest, or middling, or cheap: by what an item costs beside that one's.
_PREMIUM_IN, _MIDDLE_IN = 3, 15
_NO_TABLE = "not a table of successes: models, target_percent and successes by task"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorTable:
    """What stays of a table that was there before."""

    models: Mapping[str, Any]
    target_percent: Mapping[str, Any]
    successes: Mapping[str, Any]


NO_TABLE = PriorTable(models={}, target_percent={}, successes={})


def prior_of(document: object) -> PriorTable:
    """The parts of a table that are carried over. Raises ValueError where they are no objects."""
    whole = document if isinstance(document, dict) else {}
    models, targets = _object(whole.get("models")), _object(whole.get("target_percent"))
    rows = _object(whole.get("successes"))
    return PriorTable(
        models=models,
        target_percent=targets,
        successes={task: _object(row) for task, row in rows.items()},
    )


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(_NO_TABLE)  # noqa: TRY004 - a fault of a document
    return value


def success_table(
    records: Iterable[BenchRecord], *, version: str, prior: PriorTable = NO_TABLE
) -> dict[str, Any]:
    """The document. Raises ValueError when nothing was measured, or too many models are in it."""
    judged = by_model(record for record in records if record.judged)
    measured = {model: distinct(own) for model, own in judged.items()}
    models = {**_tiers(measured), **prior.models}
    if not measured or len(models) > MODELS_MAX:
        raise ValueError(f"a table is of 1 to {MODELS_MAX} measured models, not {len(models)}")
    tasks = sorted({one.task for own in measured.values() for one in own})
    return {
        "version": version,
        "models": models,
        "target_percent": {**dict.fromkeys(tasks, TARGET_PERCENT), **prior.target_percent},
        "successes": {**prior.successes, **{task: _row(task, measured, prior) for task in tasks}},
        "measured": {
            task: {model: _evidence(model, _of(task, own)) for model, own in measured.items()}
            for task in tasks
        },
    }


def _of(task: str, records: Sequence[BenchRecord]) -> list[BenchRecord]:
    return [one for one in records if one.task == task]


def _row(
    task: str, measured: Mapping[str, Sequence[BenchRecord]], prior: PriorTable
) -> dict[str, Any]:
    """What was measured stands in the place of what was there of the same model."""
    found = {
        model: [sum(one.right for one in own), len(own)]
        for model, own in ((model, _of(task, own)) for model, own in measured.items())
        if own
    }
    return {**prior.successes.get(task, {}), **found}


def _evidence(model: str, records: Sequence[BenchRecord]) -> dict[str, int]:
    summary = summary_of(model, records)
    return {
        "successes": summary.right,
        "trials": summary.judged,
        "low_ppm": summary.interval.low_ppm,
        "high_ppm": summary.interval.high_ppm,
        "cost_pusd": summary.cost_pusd,
        "p95_ms": summary.whole.p95_ms,
        "seen_at_ms": summary.last_ms,
    }


def _tiers(measured: Mapping[str, Sequence[BenchRecord]]) -> dict[str, dict[str, str]]:
    costs = {model: summary_of(model, own).cost_pusd for model, own in measured.items()}
    dearest = max(costs.values(), default=0)
    return {model: {"tier": _tier(cost, dearest)} for model, cost in costs.items()}


def _tier(cost: int, dearest: int) -> str:
    if cost * _PREMIUM_IN >= dearest:
        return "premium"
    return "middle" if cost * _MIDDLE_IN >= dearest else "cheap"
