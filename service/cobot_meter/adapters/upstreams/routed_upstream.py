"""Two upstreams as one: each model, and each generation, belongs to the one that its prefix names.

The credit account is the first one's; what was spent is the sum, so that books over both can be
compared with it.
"""

from __future__ import annotations

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
    UpstreamCompletion,
)
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.upstream import GenerationStarted, Upstream


class RoutedUpstream:
    """The port `Upstream` over a paid gateway and a local one."""

    def __init__(
        self, paid: Upstream, local: Upstream, *, model_prefix: str, generation_prefix: str
    ) -> None:
        """The prefixes are those of `local`; everything else is for `paid`."""
        self._paid = paid
        self._local = local
        self._model_prefix = model_prefix
        self._generation_prefix = generation_prefix

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: GenerationStarted,
        within_ms: int | None = None,
    ) -> UpstreamCompletion:
        """See the port."""
        is_local = call.model.startswith(self._model_prefix)
        upstream = self._local if is_local else self._paid
        return await upstream.complete(
            call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
        )

    async def generation_cost(self, generation_id: str) -> GenerationCost:
        """See the port."""
        is_local = generation_id.startswith(self._generation_prefix)
        upstream = self._local if is_local else self._paid
        return await upstream.generation_cost(generation_id)

    async def models(self) -> tuple[Model, ...]:
        """See the port. A model of the paid list that bears the local prefix cannot be reached."""
        paid = await self._paid.models()
        own = await self._local.models()
        return (
            *(model for model in paid if not model.model_id.startswith(self._model_prefix)),
            *own,
        )

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        """See the port."""
        is_local = model_id.startswith(self._model_prefix)
        return await (self._local if is_local else self._paid).endpoints(model_id)

    async def usage_pusd(self) -> int:
        """See the port: the sum."""
        return await self._paid.usage_pusd() + await self._local.usage_pusd()

    async def account(self) -> UpstreamAccount:
        """See the port: the local one has none."""
        return await self._paid.account()

    async def ping(self) -> None:
        """See the port: a local one that is away stops nothing."""
        await self._paid.ping()
