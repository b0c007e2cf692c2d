"""Top-ups of an amount, where the node or a parallel request comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.domain.errors import IdempotencyConflict, NodeUnavailable, RequestInvalid
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.credit.top_up import TopUp
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.flows.rigs.process import EXPIRY_S, RETENTION, Lasting, Process

SAT_50 = 50_000
CALLER = "c_alice"


class NarrowNode(DevNode):
    """A node whose channels can receive so much and no more."""

    inbound_msat: int | None = 60_000

    async def receivable_msat(self) -> int | None:
        return self.inbound_msat


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[NarrowNode]:
    """With room for sixty sat."""
    clock = FakeClock(leaping=True)
    made = NarrowNode(path=tmp_path / "node", network="regtest", alias="dev", clock=clock)
    yield made
    made.close()


@pytest.fixture
async def lasting(node: NarrowNode) -> Lasting:
    """Empty books beside that node."""
    books = FakeBooks(retention=RETENTION)
    return Lasting(books=books, node=node, identity=await node.identity())


def flow(lasting: Lasting) -> TopUp:
    """The flow of a fresh process."""
    return Process(lasting).flows.top_up


async def begun(top_up: TopUp, amount_msat: int, name: str | None = None) -> Topup:
    """What the caller asks for."""
    return await top_up.begin(amount_msat, address_key="a", caller_id=CALLER, name=name)


async def test_no_more_is_sold_than_the_node_can_receive(
    node: NarrowNode, lasting: Lasting
) -> None:
    """The sentence says how much it could be; a node that does not tell refuses nothing."""
    top_up = flow(lasting)
    with pytest.raises(RequestInvalid, match="can receive 60 sat") as refused:
        await begun(top_up, 61_000)
    assert refused.value.param == "amount_sat"
    assert (await begun(top_up, 60_000)).state is TopupState.INVOICED
    node.inbound_msat = None
    assert (await begun(top_up, 61_000)).state is TopupState.INVOICED


async def test_what_was_begun_while_the_node_was_away_goes_on(
    node: NarrowNode, lasting: Lasting
) -> None:
    """The intent is stored first: asked again it is the same top-up."""
    top_up = flow(lasting)
    node.set_faults(replace(node.faults, down=True))
    with pytest.raises(NodeUnavailable):
        await begun(top_up, SAT_50)
    node.set_faults(replace(node.faults, down=False))
    assert isinstance(lasting.books, FakeBooks)
    (stored,) = lasting.books.rows.topups
    assert (await begun(flow(lasting), SAT_50)).topup_id == stored


async def test_parallel_requests_of_one_caller_begin_one(lasting: Lasting) -> None:
    """The same amount, or the same name, at the same moment is one invoice."""
    top_up = flow(lasting)
    same = await asyncio.gather(*(begun(top_up, SAT_50) for _ in range(5)))
    assert len({one.payment_request for one in same}) == 1
    named = await asyncio.gather(*(begun(top_up, SAT_50, "one") for _ in range(5)))
    assert len({one.payment_request for one in named}) == 1
    assert named[0].topup_id != same[0].topup_id


async def test_a_name_whose_top_up_lapsed_is_used_up(node: NarrowNode, lasting: Lasting) -> None:
    """Whoever tries again says so with another one."""
    top_up = flow(lasting)
    first = await begun(top_up, SAT_50, "one")
    lasting.clock.advance(EXPIRY_S + 2)
    assert (await begun(top_up, SAT_50, "two")).topup_id != first.topup_id
    with pytest.raises(IdempotencyConflict, match="fresh one"):
        await begun(top_up, SAT_50, "one")
