"""Who serves a model, as the upstream lists it: asked for when somebody wants to know.

Must not know: callers, or what a choice of providers costs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from service.domain.completions import Model
from service.domain.endpoints import Endpoint
from service.domain.errors import DependencyFault
from service.ports.clock import Clock
from service.ports.upstream import Upstream

FRESH_MS = 300_000
ASK_AGAIN_MS = 15_000
LISTS_MAX = 500
ASKING_MAX = 16
WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class _Listed:
    endpoints: tuple[Endpoint, ...]
    until_ms: int


class EndpointOffers:
    """The lists of the last minutes, one for each model that somebody asked about."""

    def __init__(self, *, upstream: Upstream, clock: Clock) -> None:
        """Nothing is asked for before somebody wants to know."""
        self._upstream = upstream
        self._clock = clock
        self._listed: dict[str, _Listed] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def of(self, model: Model) -> tuple[Endpoint, ...]:
        """Who serves it; nobody when the upstream does not say within a few seconds.

        One call for each model at a time, and few in all: who comes when there are enough is told
        nobody. A call that failed is made again a little later.
        """
        listed = self._fresh(model.model_id)
        if listed is not None:
            return listed
        if model.model_id not in self._asking and len(self._asking) >= ASKING_MAX:
            return ()
        lock = self._asking.setdefault(model.model_id, asyncio.Lock())
        try:
            async with lock:
                listed = self._fresh(model.model_id)
                return await self._ask(model.model_id) if listed is None else listed
        finally:
            self._asking.pop(model.model_id, None)

    def _fresh(self, model_id: str) -> tuple[Endpoint, ...] | None:
        listed = self._listed.get(model_id)
        if listed is None or listed.until_ms <= self._clock.now_ms():
            return None
        return listed.endpoints

    async def _ask(self, model_id: str) -> tuple[Endpoint, ...]:
        endpoints: tuple[Endpoint, ...] = ()
        fresh_ms = FRESH_MS
        try:
            async with asyncio.timeout(WAIT_S):
                endpoints = await self._upstream.endpoints(model_id)
        except (DependencyFault, TimeoutError):
            fresh_ms = ASK_AGAIN_MS
        while len(self._listed) >= LISTS_MAX:
            self._listed.pop(next(iter(self._listed)))
        self._listed[model_id] = _Listed(endpoints, self._clock.now_ms() + fresh_ms)
        return endpoints
