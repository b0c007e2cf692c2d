"""The table of successes: how often each model did well at each task, and how much is demanded.

It is a document of its own with a version, so that every decision can name what it was made from.
All arithmetic is in integers, parts per million: the same figures decide alike on any machine.
Must not know: prices, requests, or where the document lies.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isqrt
from typing import Any

from cobot_meter.domain import outside
from cobot_meter.domain.routing.hints import Task

MODELS_MAX = 24
TRIALS_MAX = 10**6
BOUNDS_KEPT = 4_096
PERCENT = 100
PPM = 10**6
# A bound that a model's true share of successes is above nine times out of ten: z of 0.9.
_Z2_PPM = 1_642_375
_VERSION_CHARS_MAX = 40
_DIGEST_CHARS = 8


class Tier(enum.IntEnum):
    """How dear a model is among those of the table, as the operator sees it."""

    CHEAP = 1
    MIDDLE = 2
    PREMIUM = 3

    @property
    def word(self) -> str:
        """As callers and tables write it."""
        return self.name.lower()


TIERS: Mapping[str, Tier] = {tier.word: tier for tier in Tier}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How often a model was tried at a task, and how often it did well."""

    successes: int
    trials: int

    @property
    def mean_ppm(self) -> int:
        """The share that did well."""
        return self.successes * PPM // self.trials if self.trials else 0

    @property
    def lower_ppm(self) -> int:
        """The lower end of Wilson's interval: what little evidence there is counts for little."""
        return _wilson_ppm(self.successes, self.trials) if self.trials else 0


@functools.lru_cache(maxsize=BOUNDS_KEPT)
def _wilson_ppm(well: int, tried: int) -> int:
    """Kept, since a table has few figures and every decision looks at a dozen of them."""
    spread = isqrt(_Z2_PPM * (_Z2_PPM + 4 * PPM * well * (tried - well) // tried))
    top = 2 * well * PPM + _Z2_PPM - spread
    return max(top, 0) * PPM // (2 * (tried * PPM + _Z2_PPM))


NO_RECORD = Record(successes=0, trials=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessTable:
    """`tiers` has every model of the table; `targets_ppm` what of the best is demanded by task."""

    version: str
    tiers: Mapping[str, Tier]
    targets_ppm: Mapping[str, int]
    records: Mapping[str, Mapping[str, Record]]

    def record(self, task: str, model_id: str) -> Record:
        """What is known of a model at a task; nothing is no success."""
        return self.records.get(task, {}).get(model_id, NO_RECORD)

    def premium(self, task: str) -> tuple[str, Record]:
        """The best model at a task among those of the highest tier, by what it did."""
        top = max(self.tiers.values())
        best = max(
            (name for name, tier in self.tiers.items() if tier is top),
            key=lambda name: (self.record(task, name).mean_ppm, name),
        )
        return best, self.record(task, best)

    def bar_ppm(self, task: str) -> int:
        """What a model's lower bound has to reach at this task."""
        return self.demanded_ppm(task, self.premium(task)[1])

    def demanded_ppm(self, task: str, best: Record) -> int:
        """The share of the best premium model's successes that its target is."""
        return best.mean_ppm * self.targets_ppm.get(task, PPM) // PPM


def read_table(document: object) -> SuccessTable:
    """The table in a document. Raises ValueError with a sentence that says what is wrong."""
    whole = _object(document, "the table")
    models = _object(whole.get("models"), "models")
    if not 0 < len(models) <= MODELS_MAX:
        raise ValueError(f"models must be 1 to {MODELS_MAX}, not {len(models)}")
    tiers = {_name(name): _tier(name, said) for name, said in models.items()}
    targets = _object(whole.get("target_percent"), "target_percent")
    successes = _object(whole.get("successes"), "successes")
    for task in (*targets, *successes):
        if task not in set(Task):
            raise ValueError(f"{outside.shown(task, most=40)} is no task; tasks: {', '.join(Task)}")
    return SuccessTable(
        version=_version(whole),
        tiers=tiers,
        targets_ppm={task: _percent(task, said) * PPM // PERCENT for task, said in targets.items()},
        records={
            task: {
                name: _record(task, name, said, tiers) for name, said in _object(row, task).items()
            }
            for task, row in successes.items()
        },
    )


def _version(whole: Mapping[str, Any]) -> str:
    """What its author calls it, with the digest of what is in it: no two tables share one."""
    said = outside.identifier(whole.get("version"))
    if said is None or len(said) > _VERSION_CHARS_MAX:
        raise ValueError('version must be a short text without blanks, such as "2026-11-29"')
    content = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return f"{said}#{sha256(content.encode()).hexdigest()[:_DIGEST_CHARS]}"


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")  # noqa: TRY004 - a fault of a document
    return value


def _name(said: str) -> str:
    name = outside.identifier(said)
    if name is None:
        raise ValueError(f"{outside.shown(said, most=40)} is no model id")
    return name


def _tier(name: str, said: object) -> Tier:
    word = _object(said, name).get("tier")
    if not isinstance(word, str) or word not in TIERS:
        raise ValueError(f"the tier of {name} must be one of {', '.join(TIERS)}")
    return TIERS[word]


def _percent(task: str, said: object) -> int:
    percent = outside.count(said, most=PERCENT)
    if percent is None:
        raise ValueError(f"target_percent.{task} must be a whole number from 0 to {PERCENT}")
    return percent


def _record(task: str, name: str, said: object, tiers: Mapping[str, Tier]) -> Record:
    if name not in tiers:
        raise ValueError(f"successes.{task} names {outside.shown(name, most=40)}, no model of it")
    well, tried = _pair(said)
    if well is None or tried is None:
        raise ValueError(f"successes.{task}.{name} must be [successes, trials]")
    if well > tried:
        raise ValueError(f"successes.{task}.{name} has more successes than trials")
    return Record(successes=well, trials=tried)


def _pair(said: object) -> tuple[int | None, int | None]:
    match said:
        case [well, tried]:
            return outside.count(well, most=TRIALS_MAX), outside.count(tried, most=TRIALS_MAX)
        case _:
            return None, None
