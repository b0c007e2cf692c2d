"""The Ollama adapter over a fake Ollama and a meter of its own. Must not know: any test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import orjson

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.ollama.adapter import Ollama, OllamaSettings
from cobot_meter.adapters.upstreams.ollama.meter import MeterFile, open_meter
from cobot_meter.adapters.upstreams.ollama.wire import PROVIDER, local_model
from cobot_meter.domain.body import Body
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import UpstreamCall, UpstreamCompletion
from tests.contracts.upstream.answer_feeds import whole
from tests.contracts.upstream.upstream_bench import Heard
from tests.fakes.clock import FakeClock
from tests.fakes.servers.ollama_server import MODEL_NAME, FakeOllama, OllamaFault, fake_ollama

TARIFF = ModelPrice(prompt_pusd=20_000, completion_pusd=40_000)
LOCAL = "ollama"
MODEL = local_model(MODEL_NAME, upstream=LOCAL, context_length=8_192, price=TARIFF)
QUESTION = "Why do invoices expire?"


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaRig:
    """Both sides, and what `on_started` heard."""

    client: httpx.AsyncClient
    settings: OllamaSettings
    meter: MeterFile
    other_side: FakeOllama
    heard: Heard = field(default_factory=Heard)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def adapter(self, **changed: object) -> Ollama:
        """The adapter, with some settings changed."""
        return Ollama(
            self.client,
            replace(self.settings, **changed),  # type: ignore[arg-type]
            meter=self.meter,
            new_id=lambda: f"{LOCAL}-{next(self.numbers):04}",
        )

    async def run(
        self, *faults: OllamaFault, within_ms: int | None = None, **changed: object
    ) -> UpstreamCompletion:
        """One run that meets these faults."""
        self.other_side.faults.extend(faults)
        return await whole(
            self.adapter(**changed).complete(
                question(), price_cap=TARIFF, on_started=self.heard, within_ms=within_ms
            )
        )

    @property
    def earned_pusd(self) -> int:
        """The tariff on every answer that the other side sent whole."""
        return sum(
            prompt * TARIFF.prompt_pusd + completion * TARIFF.completion_pusd
            for prompt, completion in self.other_side.answered
        )


def question(**fields: object) -> UpstreamCall:
    """An ask with these fields beside the usual ones."""
    messages = [{"role": "user", "content": QUESTION}]
    return UpstreamCall(
        body=Body(orjson.dumps({"model": MODEL.model_id, "messages": messages, **fields})),
        model=MODEL.model_id,
        max_tokens=200,
        caller_tag="c_0123",
    )


@contextlib.asynccontextmanager
async def ollama_rig(folder: Path) -> AsyncIterator[OllamaRig]:
    """A fake Ollama with one model, and a fresh meter."""
    async with (
        fake_ollama() as other_side,
        http_session(HttpLimits()) as client,
        open_meter(folder / "ollama.jsonl", provider=PROVIDER, clock=FakeClock()) as meter,
    ):
        settings = OllamaSettings(
            name=LOCAL, base_url=other_side.url, models=(MODEL,), timeout_s=10
        )
        yield OllamaRig(client=client, settings=settings, meter=meter, other_side=other_side)
