"""Streams over real sockets: readers who leave, and servers that break off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pytest

from openrouter_simulator.app import Simulator
from openrouter_simulator.book.credit_book import Generation
from openrouter_simulator.faults.fault_table import FAULTS
from tests.fakes.servers.serving import serving
from tests.simulator.asking import CHAT, PROMPT
from tests.simulator.driving import ENOUGH_BYTES

CANCELLABLE = "anthropic/claude-haiku-4.5"
NOT_CANCELLABLE = "mistralai/mistral-small-2603"


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to the simulator, and the simulator."""

    client: httpx.AsyncClient
    simulator: Simulator

    async def read_some(self, model: str, *, pieces: int) -> None:
        """Read a few pieces of a stream, then hang up."""
        document = {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": 200,
            "stream": True,
        }
        seen = 0
        async with self.client.stream("POST", CHAT, json=document) as response:
            async for text in response.aiter_text():
                seen += text.count("data: {")
                if seen >= pieces:
                    return

    async def only_generation(self) -> Generation:
        """The one run that was charged, once it is."""
        for _ in range(1_000):
            if self.simulator.account.book.generations:
                break
            await asyncio.sleep(0.005)
        self.simulator.account.book.verify()
        (generation,) = self.simulator.account.book.generations
        return generation


@pytest.fixture
async def line(simulator: Simulator) -> AsyncIterator[Line]:
    """A real socket, with a key."""
    headers = {"authorization": "Bearer sk-or-v1-test"}
    async with (
        serving(simulator) as address,
        httpx.AsyncClient(base_url=address, headers=headers, trust_env=False) as client,
    ):
        yield Line(client, simulator)


async def test_reader_who_leaves_pays_for_a_part(line: Line) -> None:
    """With a provider that can be stopped, the charge is for what was generated."""
    line.simulator.account.timing.chunk_s = 0.01
    await line.read_some(CANCELLABLE, pieces=3)
    generation = await line.only_generation()
    assert generation.cancelled
    assert generation.finish_reason is None
    assert 0 < generation.native_completion < 100
    expected = generation.native_prompt * Decimal(
        "0.000001"
    ) + generation.native_completion * Decimal("0.000005")
    assert generation.total_cost == expected


async def test_reader_who_leaves_pays_in_full(line: Line) -> None:
    """With a provider that runs on, the whole answer is charged."""
    line.simulator.account.timing.chunk_s = 0.01
    await line.read_some(NOT_CANCELLABLE, pieces=3)
    generation = await line.only_generation()
    assert not generation.cancelled
    assert generation.finish_reason is not None
    assert generation.native_completion > 20


async def test_latency_comes_after_the_headers(line: Line) -> None:
    """Headers and comments come at once, so the id is known before the first token."""
    line.simulator.account.timing.latency_s = 30.0
    document = {
        "model": CANCELLABLE,
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": True,
    }
    async with line.client.stream("POST", CHAT, json=document) as response:
        assert response.headers["x-generation-id"].startswith("gen-")
        assert (await anext(response.aiter_text())).startswith(": OPENROUTER PROCESSING")
    generation = await line.only_generation()
    assert generation.native_completion == 0
    assert generation.total_cost > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["reset_before_headers", "hang"])
async def test_no_answer_is_charged_all_the_same(
    line: Line,
    name: str,
    stream: bool,  # noqa: FBT001
) -> None:
    """A run whose answer never begins was still run."""
    line.simulator.account.faults.queue([name])
    line.simulator.account.timing.hang_s = 0.05 if stream else 60.0
    document = {
        "model": CANCELLABLE,
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": stream,
    }
    with pytest.raises(httpx.TransportError):
        await line.client.post(CHAT, json=document, timeout=0.5)
    assert (await line.only_generation()).total_cost > 0


COURSES = [name for name, fault in FAULTS.items() if fault.decides.startswith("course")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [*COURSES, "reset_before_run"])
async def test_every_course_over_a_socket(
    line: Line,
    name: str,
    stream: bool,  # noqa: FBT001
) -> None:
    """However an answer goes or breaks off on a real connection, the book adds up after it."""
    line.simulator.account.timing.hang_s = 0.05
    document = {"model": CANCELLABLE, "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"X-Simulator-Fault": name}
    size = 0
    with contextlib.suppress(httpx.TransportError):
        async with line.client.stream(
            "POST", CHAT, json={**document, "stream": stream}, headers=headers, timeout=5
        ) as response:
            async for piece in response.aiter_bytes():
                size += len(piece)
                if size > ENOUGH_BYTES:
                    break
    book = line.simulator.account.book
    for _ in range(1_000):
        if not book.open:
            break
        await asyncio.sleep(0.005)
    book.verify()
    book.verify_posts()
    assert (book.open, book.posts) == (0, 1)
    assert len(book.generations) == FAULTS[name].generations
