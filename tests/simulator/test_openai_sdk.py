"""OpenAI's own SDK on the simulator, as docs/simulator.md tells others to use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import openai
import pytest

from openrouter_simulator.app import Simulator
from tests.fakes.servers.serving import serving
from tests.simulator.asking import MODEL, PROMPT

pytestmark = pytest.mark.slow
FAULT = "X-Simulator-Fault"


@pytest.fixture
async def sdk(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK as it comes, retries and all."""
    async with (
        serving(simulator) as address,
        openai.AsyncOpenAI(base_url=f"{address}/api/v1", api_key="sk-or-v1-any") as client,
    ):
        yield client


async def test_it_lists_chats_and_streams(sdk: openai.AsyncOpenAI, simulator: Simulator) -> None:
    """Models, a whole answer and a stream are read, and the two answers are the same."""
    assert MODEL in [model.id async for model in sdk.models.list()]
    whole = await sdk.chat.completions.create(
        model=MODEL, max_tokens=60, messages=[{"role": "user", "content": PROMPT}]
    )
    stream = await sdk.chat.completions.create(
        model=MODEL, max_tokens=60, messages=[{"role": "user", "content": PROMPT}], stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == whole.choices[0].message.content
    assert simulator.account.book.posts == 2


async def test_its_retries_are_seen_in_the_book(
    sdk: openai.AsyncOpenAI, simulator: Simulator
) -> None:
    """A 502 after the run, retried twice, has bought the answer three times."""
    with pytest.raises(openai.InternalServerError):
        await sdk.chat.completions.create(
            model=MODEL,
            max_tokens=60,
            messages=[{"role": "user", "content": PROMPT}],
            extra_headers={FAULT: "charged_502"},
        )
    book = simulator.account.book
    assert book.posts == book.runs == len(book.generations) == 3
    assert book.spent_usd == 3 * book.generations[0].total_cost > Decimal(0)
