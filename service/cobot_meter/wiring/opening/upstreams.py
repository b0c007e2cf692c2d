"""The upstreams of the settings: OpenRouter or its simulator, and beside it a local Ollama.

Must not know: flows, books or commands.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path

import httpx

from cobot_meter.adapters.secrets.identifiers import GenerationNames
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.ollama.adapter import Ollama, OllamaSettings
from cobot_meter.adapters.upstreams.ollama.meter import open_meter
from cobot_meter.adapters.upstreams.ollama.wire import PROVIDER, generation_prefix, model_prefix
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.adapters.upstreams.routed_upstream import RoutedUpstream, UpstreamRoute
from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.ports.process import Clock
from cobot_meter.ports.upstream import Upstream
from cobot_meter.wiring.settings.local import LOCAL
from cobot_meter.wiring.settings.settings import Settings, UpstreamSettings
from openrouter_simulator.book.book_file import BookFile

# The account of the settings, at OpenRouter itself or at what stands in for it. Books name it.
GATEWAY = "openrouter"
METER_FILE = "ollama.jsonl"
SIMULATOR_FILE = "simulator.jsonl"


class SimulatorToLook(OpenRouter):
    """The embedded simulator for questions only: where it does not run, its book is read."""

    def __init__(
        self, client: httpx.AsyncClient, settings: OpenRouterSettings, *, book: Path
    ) -> None:
        """`book` is what it remembers between two runs."""
        super().__init__(client, settings)
        self._book = book

    async def usage_pusd(self) -> int:
        """As it says, or as it will say when it runs again. Raises UpstreamUnreachable."""
        try:
            return await super().usage_pusd()
        except UpstreamUnreachable:
            if not self._book.exists():
                raise
        charges = await asyncio.to_thread(lambda: tuple(BookFile(self._book).charges()))
        spent_usd = sum((charge.total_cost for charge in charges), Decimal(0))
        return pusd_from_text(format(spent_usd, "f"))


@contextlib.asynccontextmanager
async def open_upstream(settings: Settings) -> AsyncIterator[Upstream]:
    """The upstream on an HTTP client of its own, for those who only look.

    Raises SettingInvalid when the meter is damaged.
    """
    async with (
        open_client(settings.upstream) as client,
        upstream_on(client, settings, SystemClock(), selling=False) as upstream,
    ):
        yield upstream


def open_client(settings: UpstreamSettings) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """The process's one HTTP client. Whoever asks something quicker limits that himself."""
    return http_session(HttpLimits(read_timeout_s=settings.timeout_s))


@contextlib.asynccontextmanager
async def upstream_on(
    client: httpx.AsyncClient, settings: Settings, clock: Clock, *, selling: bool = True
) -> AsyncIterator[Upstream]:
    """The upstream on a client that is open already, for as long as the block lasts.

    With models of a local Ollama in the settings, or a meter of one on disk, that is reached too:
    what was ever metered can be looked up, also when no Ollama is in the settings any more. With
    `selling` False a simulated upstream may be away, and its book is read instead. Raises
    SettingInvalid when the meter is damaged.
    """
    reached = OpenRouterSettings(
        name=GATEWAY,
        base_url=settings.upstream.base_url,
        api_key=settings.upstream.api_key.reveal(),
        timeout_s=settings.upstream.timeout_s,
    )
    paid = OpenRouter(client, reached)
    if settings.upstream.simulated and not selling:
        paid = SimulatorToLook(client, reached, book=settings.data_dir / SIMULATOR_FILE)
    if not settings.upstream.local.models and not _is_there(settings.data_dir / METER_FILE):
        yield paid
        return
    async with _open_local(client, settings, clock) as local:
        own = UpstreamRoute(
            local,
            model_prefix=model_prefix(LOCAL),
            vital=False,
        )
        yield RoutedUpstream((UpstreamRoute(paid), own))


async def missing_local_models(settings: Settings) -> tuple[str, ...]:
    """Names of our models that the local Ollama has not. Raises its faults."""
    async with (
        open_client(settings.upstream) as client,
        _open_local(client, settings, SystemClock()) as local,
    ):
        return await local.missing()


@contextlib.asynccontextmanager
async def _open_local(
    client: httpx.AsyncClient, settings: Settings, clock: Clock
) -> AsyncIterator[Ollama]:
    path = settings.data_dir / METER_FILE
    async with (
        open_meter(path, provider=PROVIDER, clock=clock) as meter,
        _local_client(client, settings.upstream) as local_client,
    ):
        yield Ollama(
            local_client,
            OllamaSettings(
                name=LOCAL,
                base_url=settings.upstream.local.base_url,
                models=settings.upstream.local.models,
                timeout_s=settings.upstream.timeout_s,
            ),
            meter=meter,
            new_id=GenerationNames(prefix=generation_prefix(LOCAL), clock=clock),
        )


@contextlib.asynccontextmanager
async def _local_client(
    client: httpx.AsyncClient, settings: UpstreamSettings
) -> AsyncIterator[httpx.AsyncClient]:
    """One that reaches no other machine, where the Ollama of the settings is on this one."""
    if not settings.local.on_this_machine:
        yield client
        return
    limits = HttpLimits(read_timeout_s=settings.timeout_s)
    async with http_session(limits, here_only=True) as here:
        yield here


def _is_there(path: Path) -> bool:
    return path.exists()
