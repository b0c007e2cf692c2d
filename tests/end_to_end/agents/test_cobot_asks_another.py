"""A real cobot's tools, and what becomes of its money when it is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.cobots.real_cobot import COBOT
from tests.end_to_end.agents.buying_cobots import BuyingCobot
from tests.end_to_end.agents.foreign_agents import needed
from tests.end_to_end.agents.hung_wallet import hung_wallet
from tests.end_to_end.agents.test_cobot_buys import meter
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import Live

FORGETFUL = ("persistence", "compaction")
CLOCK = "trust"  # writes the second into every turn
pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _cobot_is_there() -> None:
    needed(COBOT)


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Live]:
    """Another agent's service."""
    folder = tmp_path / "other"
    folder.mkdir()
    pair = Live(folder)
    try:
        await pair.start()
        yield pair
    finally:
        await pair.aclose()


async def test_a_cobot_pays_another_one_for_a_task(live: Live, other: Live, tmp_path: Path) -> None:
    """Its own calls go on a key; the model calls the tool, and the wallet pays the other one."""
    key = await prepaid_key(live, 2_000)
    block = meter(live, api_key=key, node=other.node, others=[other.face])
    cobot = BuyingCobot(tmp_path / "a", block)
    said = await cobot.hears("Let the other cobot do it.")
    assert (await other.upstream_book())["posts"] == 1, said.text + said.log
    assert (await live.upstream_book())["posts"] == 2
    paid = [one for one in cobot.budget.receipts() if one.origin.startswith(other.face)]
    assert [one.state for one in paid] == ["paid"]
    assert paid[0].preimage


async def test_whom_the_owner_does_not_name_is_never_asked(
    live: Live, other: Live, tmp_path: Path
) -> None:
    """`others: []` keeps the wallet shut, whatever the model calls; the answer comes anyway."""
    key = await prepaid_key(live, 2_000)
    cobot = BuyingCobot(tmp_path / "a", meter(live, api_key=key, node=other.node, others=[]))
    said = await cobot.hears("Let the other cobot do it.")
    assert said.code == 0
    assert (await other.upstream_book())["posts"] == 0
    assert not [one for one in cobot.budget.receipts() if one.preimage]
    assert (await live.upstream_book())["posts"] == 2, said.text + said.log


@pytest.mark.parametrize(
    ("without", "invoices"), [((*FORGETFUL, CLOCK), 1), (FORGETFUL, 2)], ids=["same", "dated"]
)
async def test_killed_between_payment_and_answer(
    live: Live, tmp_path: Path, without: tuple[str, ...], invoices: int
) -> None:
    """The next start asks the node what became of it; the same request gets the answer, paid once.

    A cobot with its plugin `trust` tells the model at which second a line was said: the line said
    again is another request then, and has an invoice of its own. The first one stays paid, and is
    the caller's claim at the service.
    """
    with hung_wallet(live.node) as hung:
        first = BuyingCobot(tmp_path / "a", meter(live, node=hung.url), without=without)
        process = first.start()
        assert process.stdin is not None
        process.stdin.write("About bridges.\n")
        process.stdin.flush()
        assert await asyncio.to_thread(hung.paid.wait, 60)
        process.kill()
        await asyncio.to_thread(process.communicate)
    (left,) = first.budget.receipts()
    assert left.state == "unknown"
    again = BuyingCobot(first.home, meter(live), without=without)
    said = await again.hears("About bridges.")
    assert "bridges" in said.text, said.log
    receipts = again.budget.receipts()
    assert [one.state for one in receipts if one.payment_hash == left.payment_hash] == ["paid"]
    assert len(receipts) == invoices
    assert (await live.upstream_book())["posts"] == invoices
