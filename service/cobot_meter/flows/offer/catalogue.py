"""The models on offer with their prices, and the endpoints that serve them.

Models are refreshed from the upstream in the background; endpoints are asked for when a caller's
preferences need them, and kept for five minutes. Must not know: callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from cobot_meter.domain.errors import DependencyFault, ModelNotOffered
from cobot_meter.domain.privacy.faults import PrivacyUnroutable
from cobot_meter.domain.privacy.tiers import TIERS, PrivateModels
from cobot_meter.domain.routing.virtual import PRIVATE
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.process import Clock
from cobot_meter.ports.upstream import Upstream

ENDPOINTS_FRESH_MS = 300_000
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
        if listed is None or listed.until_ms <= self._clock.monotonic_ms():
            return None
        return listed.endpoints

    async def _ask(self, model_id: str) -> tuple[Endpoint, ...]:
        endpoints: tuple[Endpoint, ...] = ()
        fresh_ms = ENDPOINTS_FRESH_MS
        try:
            async with asyncio.timeout(WAIT_S):
                endpoints = await self._upstream.endpoints(model_id)
        except (DependencyFault, TimeoutError):
            fresh_ms = ASK_AGAIN_MS
        while len(self._listed) >= LISTS_MAX:
            self._listed.pop(next(iter(self._listed)))
        self._listed[model_id] = _Listed(endpoints, self._clock.monotonic_ms() + fresh_ms)
        return endpoints


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
        fallbacks: tuple[str, ...] = (),
        wait_s: float = 0.0,
        private: PrivateModels | None = None,
    ) -> None:
        """`allowed` narrows the offer to these ids; empty offers everything priced.

        `fallbacks` are the operator's own: whom it lets answer for any other model; `private` are
        those that names of tiers stand for.

        Asks wait up to `wait_s` for a list that somebody in the background fetches when `wanted`.
        """
        self._wait_s = wait_s
        self._fallbacks = fallbacks
        self._private = private or PrivateModels()
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
        if self._fresh() or now_ms < self._vain_until_ms:
            return
        if all(self._private.named(one) in self._own for one in names):
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

    def named_by_tier(self) -> tuple[tuple[str, Model], ...]:
        """The names of tiers that are on offer, each with the model that it stands for."""
        rows = ((name, self._models.get(self._private.named(name))) for name in self._private.names)
        return tuple((name, model) for name, model in rows if model is not None)

    async def ping(self) -> None:
        """Return when there are prices fresh enough to quote from. Raises DependencyFault."""
        self._require_fresh()

    def offered(self, model_id: str) -> Model:
        """The model, also by a tier's name.

        Raises ModelNotOffered, PrivacyUnroutable for a tier's name behind which there is none, or
        DependencyFault when prices are too old.
        """
        meant = self._private.named(model_id)
        if meant not in self._own:
            self._require_fresh()
        model = self._models.get(meant)
        if model is None and model_id in TIERS:
            raise PrivacyUnroutable(
                f"There is no model behind {model_id} here, and it was sent to nobody else. Name "
                "another model, or ask a service that lists it in GET /v1/models."
            )
        if model is None:
            message = (
                f"The model {model_id[:80]!r} is not offered here; GET /v1/models lists those "
                "that are."
            )
            raise ModelNotOffered(message)
        return model

    def private(self) -> tuple[Model, ...]:
        """The operator's model of this machine, where there is one."""
        model = self.known(PRIVATE)
        return (model,) if model is not None and model.on_this_machine else ()

    def known(self, model_id: str) -> Model | None:
        """The model, if it is on offer at a price that is fresh enough."""
        meant = self._private.named(model_id)
        return self._models.get(meant) if meant in self._own or self._fresh() else None

    def runs_here(self, model_id: str) -> bool:
        """Whether this model is reached over loopback alone, at whatever price."""
        model = self._models.get(model_id)
        return model is not None and model.on_this_machine

    def fallbacks(self) -> tuple[Model, ...]:
        """Whom the operator lets answer for any other model, where they are on offer now."""
        known = (self.known(name) for name in self._fallbacks)
        return tuple(model for model in known if model is not None)

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
