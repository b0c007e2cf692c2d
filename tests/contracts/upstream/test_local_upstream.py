"""The Ollama adapter keeps the contract over a fake Ollama, alone and behind the routing one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from cobot_meter.adapters.upstreams.ollama.wire import model_prefix
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.adapters.upstreams.routed_upstream import RoutedUpstream, UpstreamRoute
from cobot_meter.ports.upstream import Upstream
from openrouter_simulator.app import build_simulator
from tests.adapters.upstreams.ollama.ollama_rig import LOCAL, MODEL, OllamaRig, ollama_rig
from tests.contracts.upstream.upstream_bench import Ending, ScriptedBench
from tests.contracts.upstream.upstream_suite import ScriptedUpstream
from tests.fakes.clock import FakeClock
from tests.fakes.servers.ollama_server import OllamaFault
from tests.fakes.servers.serving import refused_address, serving

FAULTS: Mapping[Ending, OllamaFault | None] = {
    Ending.REFUSED: OllamaFault.BAD_REQUEST,
    Ending.FAILS_FREE: OllamaFault.FAILS,
    Ending.FAILS_CHARGED: OllamaFault.ERROR_WITH_USAGE,
    Ending.LOST_NAMED: OllamaFault.CUT,
    Ending.LOST_NAMELESS: OllamaFault.CUT_AT_ONCE,
    Ending.LATE_RECORD: None,
}


class LocalBench:
    """The other side is a fake Ollama; what it sent whole, by our tariff, is what was charged."""

    def __init__(self, rig: OllamaRig, upstreams: tuple[Upstream, Upstream, Upstream]) -> None:
        self._rig = rig
        self.upstream, self.dead, self.locked_out = upstreams
        self.model = MODEL

    async def time_passes(self) -> None:
        await asyncio.sleep(0)

    async def next_ends(self, ending: Ending) -> None:
        fault = FAULTS[ending]
        if fault is not None:
            self._rig.other_side.faults.append(fault)

    async def next_is_cut(self, *, after: int) -> None:
        self._rig.other_side.cut_after.append(after)

    async def next_dawdles(self) -> None:
        self._rig.other_side.faults.append(OllamaFault.DAWDLES)

    async def left(self) -> int:
        return self._rig.other_side.left

    async def spent_pusd(self) -> int:
        return self._rig.earned_pusd

    async def posts(self) -> int:
        return self._rig.other_side.posts


class TestLocalUpstream(ScriptedUpstream):
    """The suite, against the adapter and the fake."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[ScriptedBench]:
        """A fresh Ollama and meter."""
        async with ollama_rig(tmp_path) as rig:
            with refused_address() as nowhere:
                dead = rig.adapter(base_url=nowhere)
                yield LocalBench(rig, (rig.adapter(), dead, dead))


class TestRoutedToLocal(ScriptedUpstream):
    """The suite, against a local model of two upstreams that are one."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[ScriptedBench]:
        """A fresh Ollama beside a simulator that nobody spends anything at."""
        simulator = build_simulator(
            seed=1, credit_usd=Decimal(1), lag_s=0.0, latency_s=0.0, clock=FakeClock()
        )
        async with ollama_rig(tmp_path) as rig, serving(simulator) as address:
            with refused_address() as nowhere:
                paid = OpenRouter(
                    rig.client,
                    OpenRouterSettings(
                        name="gateway", base_url=f"{address}/api/v1", api_key="sk-or-v1-test"
                    ),
                )
                dead = _routed(paid, rig.adapter(base_url=nowhere))
                yield LocalBench(rig, (_routed(paid, rig.adapter()), dead, dead))


def _routed(paid: Upstream, local: Upstream) -> RoutedUpstream:
    own = UpstreamRoute(
        local,
        model_prefix=model_prefix(LOCAL),
        vital=False,
    )
    return RoutedUpstream((own, UpstreamRoute(paid)))
