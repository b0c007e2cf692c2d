"""Which run gets which fault: asked for by header, queued, standing for a model, or by chance."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping

from openrouter_simulator.faults.fault_table import combined, fault_set

NO_FAULT: frozenset[str] = frozenset()
_QUEUE_MAX = 10_000
_MODELS_MAX = 1_000


class FaultPlan:
    """A queue for the next runs, then a standing fault per model, then chance."""

    def __init__(self) -> None:
        """Begin without any."""
        self._next: deque[str] = deque()
        self._by_model: dict[str, str] = {}
        self._rates: dict[str, float] = {}
        self._chance = random.Random(0)

    @property
    def waiting(self) -> tuple[str, ...]:
        """What the next runs get."""
        return tuple(self._next)

    @property
    def standing(self) -> Mapping[str, str]:
        """What every run of a model gets."""
        return dict(self._by_model)

    @property
    def rates(self) -> Mapping[str, float]:
        """How often, of 1, a run gets what by chance."""
        return dict(self._rates)

    def queue(self, names: Iterable[str]) -> None:
        """Add faults for the next runs, in order; `` for a run without, `a, b` for two at once.

        Raises ValueError.
        """
        checked = [_checked(name) for name in names]
        if len(self._next) + len(checked) > _QUEUE_MAX:
            raise ValueError(f"at most {_QUEUE_MAX} faults may wait")
        self._next.extend(checked)

    def stand_for(self, model_id: str, name: str) -> None:
        """Give every run of a model this fault, or none with ``. Raises ValueError."""
        if len(self._by_model) >= _MODELS_MAX and model_id not in self._by_model:
            raise ValueError(f"at most {_MODELS_MAX} models may have faults")
        self._by_model[model_id] = _checked(name)

    def strike_at(self, rates: Mapping[str, float], *, seed: int) -> None:
        """Strike by chance from now on, the same way for the same seed. Raises ValueError."""
        for name, rate in rates.items():
            if not _checked(name) or not 0 <= rate <= 1:
                raise ValueError(f"the rate of {name!r} must be between 0 and 1")
        if sum(rates.values()) > 1:
            raise ValueError("the rates must not add up to more than 1")
        self._rates = dict(rates)
        self._chance = random.Random(seed)

    def clear(self) -> None:
        """Forget all."""
        self._next.clear()
        self._by_model.clear()
        self._rates.clear()

    def first(self, model_id: str, asked: str) -> frozenset[str]:
        """The faults of a POST's first attempt; `asked` came with it. Raises ValueError."""
        if asked.strip(" ,"):
            return fault_set(asked)
        if self._next:
            return fault_set(self._next.popleft())
        return self.later(model_id)

    def later(self, model_id: str) -> frozenset[str]:
        """The faults of an attempt on a model of the request's fallback list."""
        standing = self._by_model.get(model_id)
        if standing:
            return fault_set(standing)
        if not self._rates:
            return NO_FAULT
        drawn = self._chance.random()
        for name, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                return fault_set(name)
        return NO_FAULT


def _checked(name: str) -> str:
    combined(part.strip() for part in name.split(","))
    return name
