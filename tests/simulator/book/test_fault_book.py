"""The book adds up after every fault there is, alone and in pairs, and says what was charged."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrouter_simulator.app import Simulator
from openrouter_simulator.book.credit_book import CreditBook
from openrouter_simulator.faults.fault_table import FAULTS, RUN_FAULTS, combined, fault_names
from tests.simulator.driving import fresh_simulator, get, post

LOOK_UPS = 3


def assert_adds_up(book: CreditBook) -> None:
    """Σ total_cost == balance drop; every POST is a generation or was refused before its run."""
    book.verify()
    book.verify_posts()
    costs = sum((generation.total_cost for generation in book.generations), Decimal(0))
    assert book.credit_usd - book.balance_usd == costs
    assert book.open == 0
    firsts = [generation for generation in book.generations if not generation.beside]
    assert book.posts == len(firsts) + book.refused
    assert len({generation.request_id for generation in firsts}) == len(firsts)


async def found(simulator: Simulator, generation_id: str) -> bool:
    """Whether a few look-ups find a record that is JSON."""
    for _ in range(LOOK_UPS):
        reader = await get(simulator, f"/generation?id={generation_id}")
        if reader.status == 200 and not reader.cut and reader.answer.endswith(b"}}"):
            return True
    return False


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", fault_names())
async def test_every_fault_alone(name: str, stream: bool) -> None:  # noqa: FBT001
    """A fault makes as many generations as the table says, charged or not, recorded or not."""
    simulator = fresh_simulator()
    await post(simulator, fault=name, stream=stream)
    book, row = simulator.account.book, FAULTS[name]
    assert_adds_up(book)
    assert len(book.generations) == row.generations
    if row.charged or stream or not row.stream_only:
        assert (book.spent_usd > 0) == row.charged
    for generation in book.generations:
        assert await found(simulator, generation.generation_id) == row.recorded


@pytest.mark.parametrize("name", [name for name in fault_names() if FAULTS[name].status != 200])
async def test_status_is_that_of_the_table(name: str) -> None:
    """A fault that answers an error status answers the one the table tells."""
    reader = await post(fresh_simulator(), fault=name)
    assert reader.status == FAULTS[name].status
    assert reader.document["error"]["code"] == reader.status


NAMES = st.lists(st.sampled_from(sorted(RUN_FAULTS)), min_size=1, max_size=2, unique=True)
ANY_NAMES = st.lists(st.sampled_from(fault_names()), max_size=3, unique=True)
STOPS = st.sampled_from([300, 1_500, 400_000])


def contradiction(names: list[str]) -> str:
    """Why these cannot strike together, or nothing."""
    try:
        combined(names)
    except ValueError as wrong:
        return str(wrong)
    return ""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES | ANY_NAMES, st.booleans(), STOPS), min_size=1, max_size=4))
def test_faults_together(asks: list[tuple[list[str], bool, int]]) -> None:
    """Whatever strikes together, and wherever the reader hangs up, every cost is in the book.

    What contradicts itself is refused with a sentence; what was charged is recorded in the end.
    """

    async def play() -> None:
        simulator = fresh_simulator()
        book = simulator.account.book
        for names, stream, leave_after in asks:
            before = len(book.generations)
            text = ", ".join(names)
            reader = await post(simulator, fault=text, stream=stream, leave_after=leave_after)
            wrong = contradiction(names)
            if wrong:
                assert reader.status == 400
                assert wrong in reader.document["error"]["message"]
            for generation in book.generations[before:]:
                recorded = "never_recorded" not in names
                assert await found(simulator, generation.generation_id) == recorded
        assert_adds_up(book)

    asyncio.run(play())


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=0, max_value=1_000))
def test_chance_repeats(seed: int) -> None:
    """Faults by chance come at their rate, and the same way for the same seed."""

    async def statuses() -> list[int]:
        simulator = fresh_simulator()
        simulator.account.faults.strike_at({"status_502": 0.3, "missing_usage": 0.2}, seed=seed)
        answers = [await post(simulator, max_tokens=1) for _ in range(60)]
        assert_adds_up(simulator.account.book)
        return [answer.status for answer in answers]

    first = asyncio.run(statuses())
    assert first == asyncio.run(statuses())
    assert 3 <= first.count(502) <= 36
