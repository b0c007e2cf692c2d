"""The OpenRouter adapter keeps the contract over the real OpenRouter.

Runs when OPENROUTER_API_KEY is set, and spends a fraction of a cent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.ports.upstream import Upstream
from tests.contracts.upstream.upstream_bench import UpstreamBench
from tests.contracts.upstream.upstream_suite import AnsweringUpstream

API_KEY = os.environ.get("OPENROUTER_API_KEY", "")
BASE_URL = "https://openrouter.ai/api/v1"
MODEL_ID = "mistralai/mistral-small-3.2-24b-instruct"

pytestmark = [
    pytest.mark.real_upstream,
    pytest.mark.skipif(not API_KEY, reason="OPENROUTER_API_KEY is not set"),
]


class RealBench:
    """Nothing is known of the other side but what it answers."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self.upstream = upstream
        self.model = model

    async def time_passes(self) -> None:
        await asyncio.sleep(2)


@pytest.fixture
async def bench() -> AsyncIterator[UpstreamBench]:
    """The real thing, with a cheap model."""
    async with http_session(HttpLimits()) as client:
        upstream = OpenRouter(
            client, OpenRouterSettings(name="gateway", base_url=BASE_URL, api_key=API_KEY)
        )
        models = {model.model_id: model for model in await upstream.models()}
        yield RealBench(upstream, models[MODEL_ID])


class TestRealUpstream(AnsweringUpstream):
    """The part of the suite that needs no script."""
