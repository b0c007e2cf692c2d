"""Which model of a chain is asked first: those that fail just now come last, and none is left out.

Circuits live in memory, one for each model that has failed lately. Must not know: prices, callers,
or what an attempt is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.domain.upstream.fallback import Circuit, Circumstances, is_models_own
from cobot_meter.ports.process import Clock

CIRCUITS_MAX = 1_000
Report = Callable[[str, bool], None]


class ChooseModel:
    """Remembers how attempts went."""

    def __init__(self, *, clock: Clock, report: Report) -> None:
        """`report` is told a model's id and whether its circuit is open, at every change."""
        self._clock = clock
        self._report = report
        self._circuits: dict[str, Circuit] = {}

    def order(self, models: Sequence[Model]) -> tuple[Model, ...]:
        """The models in the caller's order, those whose circuits are open at the end."""
        now_ms = self._clock.monotonic_ms()
        return tuple(sorted(models, key=lambda model: not self._allows(model.model_id, now_ms)))

    def tried(self, model_id: str) -> None:
        """An attempt at this model begins: of an open circuit it is the probe."""
        circuit = self._circuits.get(model_id)
        if circuit is not None:
            self._circuits[model_id] = circuit.tried(self._clock.monotonic_ms())

    def succeeded(self, model_id: str) -> None:
        """The model answered: an open circuit closes."""
        circuit = self._circuits.get(model_id)
        if circuit is not None:
            self._keep(model_id, circuit, circuit.succeeded())

    def failed(self, model_id: str, fault: DependencyFault, under: Circumstances) -> None:
        """It failed; what is not the model's own fault says nothing of it."""
        if not is_models_own(fault, under):
            return
        circuit = self._circuits.get(model_id)
        if circuit is None:
            if len(self._circuits) >= CIRCUITS_MAX:
                self._circuits.pop(next(iter(self._circuits)))
            circuit = Circuit()
        self._keep(model_id, circuit, circuit.failed(self._clock.monotonic_ms()))

    def _allows(self, model_id: str, now_ms: int) -> bool:
        circuit = self._circuits.get(model_id)
        return circuit is None or circuit.allows(now_ms)

    def _keep(self, model_id: str, before: Circuit, after: Circuit) -> None:
        if after.failures or after.opened_at_ms is not None:
            self._circuits[model_id] = after
        else:
            self._circuits.pop(model_id, None)
        is_open = after.opened_at_ms is not None
        if is_open is not (before.opened_at_ms is not None):
            self._report(model_id, is_open)
