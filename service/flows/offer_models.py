"""The models on offer and their prices, refreshed from the upstream. Must not know: callers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from service.domain.completions import Model
from service.domain.errors import DependencyFault, ModelNotOffered
from service.flows.offer_endpoints import EndpointOffers
from service.ports.clock import Clock
from service.ports.upstream import Upstream

FRESH_MS = 3_600_000
VAIN_MS = 5_000


class ModelCatalogue:
    """The last list the upstream gave; older than an hour it is no longer priced from."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        clock: Clock,
        allowed: frozenset[str],
        wait_s: float = 0.0,
    ) -> None:
        """`allowed` narrows the offer to these ids; empty offers everything priced.

        Asks wait up to `wait_s` for a list that somebody in the background fetches when `wanted`.
        """
        self._wait_s = wait_s
        self._upstream = upstream
        self._clock = clock
        self._allowed = allowed
        self.endpoints = EndpointOffers(upstream=upstream, clock=clock)
        self._models: dict[str, Model] = {}
        self._own: dict[str, Model] = {}
        self.refreshed_at_ms: int | None = None
        self._refreshed_monotonic_ms = 0
        self._vain_until_ms = 0
        self.wanted = asyncio.Event()
        self._came = asyncio.Event()

    async def refresh(self) -> None:
        """Ask the upstream for its list. Raises its faults; the old list stays."""
        self._models = {**self._offered(await self._upstream.models()), **self._own}
        self.refreshed_at_ms = self._clock.now_ms()
        self._refreshed_monotonic_ms = self._clock.monotonic_ms()
        self.wanted.clear()
        self._came.set()

    async def freshened(self, names: Iterable[str]) -> None:
        """Where the list is too old, ask for one and wait a moment for it: one for all who ask.

        Nobody waits for prices of ours, or soon after others have waited in vain.
        """
        now_ms = self._clock.monotonic_ms()
        if self._fresh() or now_ms < self._vain_until_ms or all(one in self._own for one in names):
            return
        self._came.clear()
        self.wanted.set()
        try:
            async with asyncio.timeout(self._wait_s):
                await self._came.wait()
        except TimeoutError:
            self._vain_until_ms = self._clock.monotonic_ms() + VAIN_MS
            # whoever asks for a model hears that there are no prices

    def offer_own(self, models: tuple[Model, ...]) -> None:
        """Offer these from now on: the operator priced them, and no list gets too old for that."""
        self._own = self._offered(models)
        self._models = {**self._models, **self._own}

    def models(self) -> tuple[Model, ...]:
        """Everything on offer, in the upstream's order."""
        return tuple(self._models.values())

    async def ping(self) -> None:
        """Return when there are prices fresh enough to quote from. Raises DependencyFault."""
        self._require_fresh()

    def offered(self, model_id: str) -> Model:
        """The model. Raises ModelNotOffered, or DependencyFault when prices are too old."""
        if model_id not in self._own:
            self._require_fresh()
        model = self._models.get(model_id)
        if model is None:
            message = (
                f"The model {model_id[:80]!r} is not offered here; GET /v1/models lists those "
                "that are."
            )
            raise ModelNotOffered(message)
        return model

    def known(self, model_id: str) -> Model | None:
        """The model, if it is on offer at a price that is fresh enough."""
        return self._models.get(model_id) if model_id in self._own or self._fresh() else None

    def _offered(self, models: tuple[Model, ...]) -> dict[str, Model]:
        return {
            model.model_id: model
            for model in models
            if not self._allowed or model.model_id in self._allowed
        }

    def _fresh(self) -> bool:
        refreshed_ms = self.refreshed_at_ms
        if refreshed_ms is None:
            return False
        passed_ms = self._clock.monotonic_ms() - self._refreshed_monotonic_ms
        return max(passed_ms, self._clock.now_ms() - refreshed_ms) <= FRESH_MS

    def _require_fresh(self) -> None:
        if not self._fresh():
            message = "The upstream's price list is not available; try again in a moment."
            raise DependencyFault(message, retry_after_s=5)
