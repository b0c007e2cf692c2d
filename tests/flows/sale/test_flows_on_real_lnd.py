"""The same flows on real nodes, with the moments between our commits and what lnd does.

alice pays bob over carol; bob is the operator's node. The clock is ours, so that we may hold an
invoice for expired while lnd does not.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.lnd.access import LndAccess
from cobot_meter.adapters.lightning.lnd.node import LndNode, open_lnd_node
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import Answer, AnswerKind
from deploy.regtest.lnd.readings import Payment
from deploy.regtest.network import Network
from tests.fakes.books import Crash, FakeBooks, Killed, Moment
from tests.fakes.clock import FakeClock
from tests.fakes.twin_books import twin_books
from tests.flows.rigs.process import EXPIRY_S, RETENTION, Lasting, Process
from tests.flows.rigs.stories import ask_of

COMMITS_BEFORE_THE_INVOICE = 4


@dataclass(slots=True)
class Shop:
    """A process over bob's node; `process` is a new one after each kill."""

    network: Network
    books: FakeBooks
    node: LndNode
    lasting: Lasting
    process: Process

    @property
    def escrow(self) -> Escrow:
        """The only escrow in the books."""
        (escrow,) = self.books.rows.escrows.values()
        return escrow

    def stands(self, state: Progress) -> bool:
        """Whether the escrow is in this state now."""
        return self.escrow.progress is state

    async def ask(self, *, proven: bool = False) -> Answer:
        """Ask, or claim with macaroon and preimage."""
        proof = self.escrow.escrow_id if proven else None
        answer = await self.process.ask_completion.answer(ask_of(proven_escrow_id=proof))
        await self.process.runs.finish()
        return answer

    async def pay(self, *, parts: int = 1) -> Payment:
        """Alice pays the invoice as it stands in the books."""
        invoice = self.escrow.invoice
        assert invoice is not None
        part_msat = -(-invoice.amount_msat // parts) if parts > 1 else None
        request = invoice.payment_request
        return await self.network.alice.pay(request, max_parts=parts, part_msat_max=part_msat)

    async def restart(self) -> None:
        """The process is gone, and another one starts on the same books and node."""
        await self.process.kill()
        self.process = Process(self.lasting)
        await self.process.start()

    async def at_node(self) -> Invoice:
        """What bob says of the invoice."""
        found = await self.node.look_up(self.escrow.payment_hash or "")
        assert found is not None
        return found

    async def prove_sold_once(self) -> None:
        """One completion, read for one payment of exactly what bob received; the audit agrees."""
        answer = await self.ask(proven=True)
        assert answer.kind is AnswerKind.COMPLETION
        assert self.stands(Progress.RELEASED)
        assert len(self.lasting.upstream.runs) == 1
        received = (await self.at_node()).amount_paid_msat
        balances = {row.account: row.net for row in await self.books.balances()}
        assert balances["ln/node/bob"] == received == self.escrow.paid_msat
        kinds = [entry.kind for entry in self.books.rows.journal.values()]
        assert kinds.count("invoice_settled") == 1
        report = await AuditLedger(
            reports=self.books,
            node=lambda: self.node,
            upstream=None,
            retention=RETENTION,
            # Other tests sell at the same node, each with a secret of its own.
            caller_of_tag=self.lasting.identifiers.caller_of_tag,
        ).audit()
        assert report.findings == ()
        assert report.figures.settlements_confirmed == 1


@pytest.fixture
async def shop(nodes: Network, tmp_path: Path) -> AsyncIterator[Shop]:
    """Started, on empty books."""
    access = LndAccess(
        address=nodes.bob.rpc_address,
        tls_cert_path=nodes.bob.tls_cert_path,
        macaroon_path=nodes.bob.admin_macaroon_path,
        network="regtest",
    )
    clock = FakeClock(now_ms=int(time.time() * 1_000), leaping=True)
    books = FakeBooks(retention=RETENTION)
    async with (
        open_lnd_node(access) as node,
        twin_books(books, tmp_path, retention=RETENTION) as (twins, _),
    ):
        lasting = Lasting(
            books=twins,
            node=node,
            identity=await node.identity(),
            clock=clock,
            identifiers=KeyedIdentifiers(preimage_key=os.urandom(32), clock=clock),
        )
        process = Process(lasting)
        await process.start()
        yield Shop(network=nodes, books=books, node=node, lasting=lasting, process=process)
        await process.kill()


async def test_killed_between_add_invoice_and_our_commit(shop: Shop) -> None:
    """The node has it and we do not know: the restart finds it, and makes no second one."""
    crash = Crash(moment=Moment.BEFORE, commits=COMMITS_BEFORE_THE_INVOICE)
    shop.process.mortal.crash = crash
    with pytest.raises(Killed):
        await shop.ask()
    assert shop.stands(Progress.COSTED)
    assert shop.escrow.invoice is None
    assert (await shop.at_node()).state is InvoiceState.OPEN
    attempt = shop.lasting.identifiers.preimage(shop.escrow.escrow_id, shop.escrow.attempt)
    await shop.restart()
    assert (await shop.ask()).kind is AnswerKind.CHALLENGE
    paid = await shop.pay()
    assert paid.preimage == attempt.hex()
    await shop.prove_sold_once()


async def test_killed_between_settled_and_our_posting(shop: Shop) -> None:
    """We die before the settlement is booked: the sweep of the restart books it once."""
    await shop.ask()
    await shop.pay()
    shop.process.mortal.crash = Crash(moment=Moment.BEFORE, commits=0)
    with pytest.raises(Killed):
        await shop.process.hear(await shop.at_node())
    assert shop.stands(Progress.INVOICED)
    await shop.restart()
    await shop.process.recover.open_invoices()
    assert shop.stands(Progress.SETTLED)
    await shop.process.hear(await shop.at_node())  # the stream's replay tells it again
    await shop.prove_sold_once()


async def test_paid_while_we_are_down(shop: Shop) -> None:
    """Nobody listened when it was paid; claiming it after the restart is enough."""
    await shop.ask()
    await shop.process.kill()
    assert (await shop.pay()).succeeded
    await shop.restart()
    await shop.prove_sold_once()


async def test_paid_after_our_expiry(shop: Shop) -> None:
    """Expired by our clock and paid at lnd all the same: the node's word counts, and it is sold."""
    await shop.ask()
    shop.lasting.clock.advance(EXPIRY_S + 5)
    assert (await shop.pay()).succeeded
    await shop.process.tick()
    assert shop.stands(Progress.SETTLED)
    await shop.prove_sold_once()


async def test_canceled_at_our_expiry(shop: Shop) -> None:
    """Expired by our clock and unpaid: lnd cancels when we ask, and no payment arrives any more."""
    await shop.ask()
    shop.lasting.clock.advance(EXPIRY_S + 5)
    await shop.process.tick()
    assert shop.stands(Progress.EXPIRED)
    assert (await shop.at_node()).state is InvoiceState.CANCELED
    assert not (await shop.pay()).succeeded


async def test_paid_twice(shop: Shop) -> None:
    """The second payment does not happen, from the same payer or from another."""
    await shop.ask()
    assert (await shop.pay()).succeeded
    assert not (await shop.pay()).succeeded
    invoice = shop.escrow.invoice
    assert invoice is not None
    assert not (await shop.network.carol.pay(invoice.payment_request)).succeeded
    await shop.prove_sold_once()


async def test_paid_in_parts(shop: Shop) -> None:
    """Parts that come one by one settle once, as a whole."""
    await shop.ask()
    paid = await shop.pay(parts=2)
    assert (paid.succeeded, paid.parts) == (True, 2)
    await shop.prove_sold_once()
