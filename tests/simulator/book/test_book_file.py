"""The simulated book survives a restart of the simulator, a killed one too."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from openrouter_simulator.account import Account
from openrouter_simulator.app import Simulator, build_simulator
from openrouter_simulator.book.book_file import BookFile
from openrouter_simulator.book.credit_book import Generation
from openrouter_simulator.timing import Timing
from tests.fakes.clock import FakeClock
from tests.simulator.driving import control, post


def account_of(path: Path) -> Account:
    """An account whose book is in this file."""
    return Account(
        seed=1,
        credit_usd=Decimal(10),
        timing=Timing(lag_s=0, latency_s=0),
        clock=FakeClock(),
        api_key="",
        book_file=BookFile(path),
    )


def generation_of(number: int) -> Generation:
    """A charge of 0.00012345 USD."""
    return Generation(
        generation_id=f"gen-{number}",
        recorded_id=f"gen-{number}",
        model_id="a/b",
        slug="a/b-1",
        provider="P",
        created_at_ms=1,
        ready_at_ms=None,
        total_cost=Decimal("0.00012345"),
        native_prompt=1,
        native_completion=2,
        streamed=True,
        cancelled=False,
        finish_reason="stop",
    )


def test_a_restarted_simulator_remembers_what_it_charged(tmp_path: Path) -> None:
    """Balance and generations are those of before, exactly."""
    path = tmp_path / "book.jsonl"
    first = account_of(path)
    first.charge(generation_of(1))
    first.charge(generation_of(2))
    second = account_of(path)
    assert second.book.spent_usd == Decimal("0.0002469")
    assert second.book.generations == first.book.generations
    second.book.verify()


def test_a_torn_last_line_is_dropped_and_a_reset_forgets(tmp_path: Path) -> None:
    """A line without its end was never answered; after a reset nothing is remembered."""
    path = tmp_path / "book.jsonl"
    account = account_of(path)
    account.charge(generation_of(1))
    with path.open("ab") as file:
        file.write(b'{"generation_id":"gen-2"')
    assert len(account_of(path).book.generations) == 1
    account.reset()
    assert account_of(path).book.generations == ()


async def test_everything_a_generation_tells_comes_back(tmp_path: Path) -> None:
    """Failed providers, caches, lies and second generations are the same after a restart."""
    path = tmp_path / "book.jsonl"

    def built() -> Simulator:
        return build_simulator(
            seed=1, credit_usd=Decimal(5), lag_s=0, latency_s=0, clock=FakeClock(), book_path=path
        )

    first = built()
    await control(first, "providers", mistral="down")
    for fault in ("cache_write, record_absurd_cost", "multi_generation, record_fails_500", "byok"):
        await post(first, fault=fault)
    second = built().account.book
    assert second.generations == first.account.book.generations
    assert second.generations[0].tried
    assert second.spent_usd == first.account.book.spent_usd
    assert second.spent_since(0) == first.account.book.spent_since(0)
    second.verify()
    second.verify_posts()


async def test_a_restart_within_a_second_gives_no_name_twice(tmp_path: Path) -> None:
    """The same seed draws the same letters, and the book has them already."""
    path, clock = tmp_path / "book.jsonl", FakeClock()
    names: set[str] = set()
    for number in range(1, 4):
        simulator = build_simulator(
            seed=1, credit_usd=Decimal(5), lag_s=0, latency_s=0, clock=clock, book_path=path
        )
        assert (await post(simulator)).status == 200
        names |= {generation.generation_id for generation in simulator.account.book.generations}
        assert len(names) == number
