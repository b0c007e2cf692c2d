"""Invoices that the node no longer knows, as lnd with `gc-canceled-invoices-*` deletes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, ListedInvoice, NodeIdentity
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.sale.settle_invoice import FORGOTTEN_AFTER_MS
from cobot_meter.ports.lightning_node import LightningNode
from tests.flows.rigs.process import EXPIRY_S
from tests.flows.rigs.stories import CALLER, Stage, ask
from tests.flows.sale.test_crash_points import staged

LONG_PAST_S = EXPIRY_S + FORGOTTEN_AFTER_MS // 1_000 + 1


class Forgetful:
    """A node that knows no invoice, and says that it is `who`."""

    def __init__(self, inner: LightningNode, who: NodeIdentity) -> None:
        self.inner = inner
        self.who = who

    async def identity(self) -> NodeIdentity:
        return self.who

    def bind(self, identity: NodeIdentity) -> None:
        self.inner.bind(identity)

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        return await self.inner.add_invoice(order)

    async def look_up(self, payment_hash: str) -> Invoice | None:
        del payment_hash
        return None

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        return await self.inner.cancel_invoice(payment_hash)

    async def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
        async for invoice in self.inner.settled_invoices(since_settle_index):
            yield invoice

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        async for listed in self.inner.listed_invoices(since_s):
            yield listed

    async def ping(self) -> None:
        await self.inner.ping()


async def forget(stage: Stage, *, pubkey: str | None = None) -> None:
    """From now on the node knows nothing; with `pubkey` it says to be another."""
    said = await stage.node.identity()
    who = NodeIdentity(pubkey=pubkey or said.pubkey, network=said.network, alias=said.alias)
    stage.process.settle_invoice._node = Forgetful(stage.node, who)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An open invoice of an escrow, and one of a top-up."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        await stage.process.top_up.offer(address_key="a", caller_id=CALLER)
        yield stage


def states(stage: Stage) -> tuple[Progress, TopupState]:
    """Of the escrow and of the top-up."""
    (topup,) = stage.books.rows.topups.values()
    return stage.escrow.progress, topup.progress


async def test_what_our_node_has_forgotten_is_canceled(stage: Stage) -> None:
    """Long past expiry nobody can pay it any more: it lapses, and is swept no more."""
    await forget(stage)
    stage.lasting.clock.advance(LONG_PAST_S)
    await stage.process.recover.open_invoices()
    assert states(stage) == (Progress.EXPIRED, TopupState.LAPSED)
    assert await stage.process.books.open_invoices(after="", limit=9) == ()


async def test_its_timer_finds_it_too(stage: Stage) -> None:
    """The driver asks by itself, and is not due every second for ever."""
    await forget(stage)
    stage.lasting.clock.advance(LONG_PAST_S)
    await stage.process.tick()
    assert stage.escrow.progress is Progress.EXPIRED


async def test_not_before_its_time(stage: Stage) -> None:
    """Until then a node that is only behind may still find it."""
    await forget(stage)
    stage.lasting.clock.advance(EXPIRY_S + 60)
    await stage.process.recover.open_invoices()
    assert states(stage) == (Progress.INVOICED, TopupState.INVOICED)


async def test_another_node_has_no_say(stage: Stage) -> None:
    """That a node which is not ours knows nothing of our invoices says nothing."""
    await forget(stage, pubkey="02" + "cd" * 32)
    stage.lasting.clock.advance(LONG_PAST_S)
    await stage.process.recover.open_invoices()
    assert states(stage) == (Progress.INVOICED, TopupState.INVOICED)
