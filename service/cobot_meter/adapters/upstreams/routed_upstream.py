"""Several upstreams as one: a model belongs to the one its prefix names, a run to the one it names.

Usage is told of the first: each has an account of its own in the books.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
)
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.upstream import AccountHolder, AnswerFeed, TellGeneration, Upstream


@dataclass(frozen=True, slots=True)
class UpstreamRoute:
    """One upstream, and what the ids of its models begin with.

    An empty prefix is that of whatever no other route has. One that is not `vital` stops nothing
    when it is away.
    """

    upstream: Upstream
    model_prefix: str = ""
    vital: bool = True


class RoutedUpstream:
    """The port `Upstream` over any number of them."""

    def __init__(self, routes: tuple[UpstreamRoute, ...]) -> None:
        """In the order in which their models are listed; costs are compared with the first's usage.

        Raises ValueError for a prefix or a name that two of them have, and where none has an empty
        prefix.
        """
        prefixes = [route.model_prefix for route in routes]
        _refuse_twice(prefixes)
        if "" not in prefixes:
            message = f"one of these prefixes must be empty: {prefixes}"
            raise ValueError(message)
        _refuse_twice([route.upstream.name for route in routes])
        holders = [one for route in routes for one in route.upstream.account_holders()]
        _refuse_twice([holder.name for holder in holders])
        self._routes = routes
        self._by_model = sorted(routes, key=lambda route: len(route.model_prefix), reverse=True)
        self._by_name = {route.upstream.name: route.upstream for route in routes}

    @property
    def name(self) -> str:
        """The name of the first upstream, whose usage is told."""
        return self._routes[0].upstream.name

    def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        """Run it at the upstream whose prefix the model bears; its pieces, summary and errors."""
        return self._of_model(call.model).upstream.complete(
            call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
        )

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:
        """The record that the upstream of this name has, in pico-USD, with its errors.

        Raises UpstreamUnreachable for one that is no longer in the settings.
        """
        found = self._by_name.get(upstream)
        if found is None:
            message = f"no upstream in the settings is called {upstream}"
            raise UpstreamUnreachable(message)
        return await found.generation_cost(generation_id, upstream=upstream)

    async def models(self) -> tuple[Model, ...]:
        """The models of all, one upstream after the other; the error of the first that has one.

        A model that bears another upstream's prefix is left out: its runs would go there.
        """
        listed = [(route, await route.upstream.models()) for route in self._routes]
        return tuple(
            model
            for route, models in listed
            for model in models
            if self._of_model(model.model_id) is route
        )

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        """Who serves the model, asked of the upstream whose prefix it bears, with its errors."""
        return await self._of_model(model_id).upstream.endpoints(model_id)

    async def usage_pusd(self) -> int:
        """What our key has spent at the first upstream, in pico-USD; the others are not asked."""
        return await self._routes[0].upstream.usage_pusd()

    def account_holders(self) -> tuple[AccountHolder, ...]:
        """Those of every upstream, in the order of the routes; nobody is asked."""
        return tuple(
            holder for route in self._routes for holder in route.upstream.account_holders()
        )

    async def ping(self) -> None:
        """Ping every vital upstream in turn, with its errors; the others are not asked."""
        for route in self._routes:
            if route.vital:
                await route.upstream.ping()

    def _of_model(self, model_id: str) -> UpstreamRoute:
        return next(one for one in self._by_model if model_id.startswith(one.model_prefix))


def _refuse_twice(names: list[str]) -> None:
    if len(set(names)) != len(names):
        message = f"two upstreams cannot be told apart by {names}"
        raise ValueError(message)
