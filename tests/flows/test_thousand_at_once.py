"""A thousand asks of one key at the same moment on one small balance, through the flows.

On each database: while all that may run is held up upstream the balance is used to nine tenths,
and afterwards, when those that were refused have asked again, it is spent to nine tenths.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.domain.api_key.record import ApiKey, KeyWish
from cobot_meter.domain.errors import CallerFault
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.transitions.api_keys import make_api_key
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from cobot_meter.flows.sale.follow_run import Waits
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import Completes
from tests.flows.rigs.process import RETENTION, Lasting, Process
from tests.flows.rigs.stories import BODY, CALLER, COST, ask_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_000)]

PARALLEL, LATER, ROUNDS = 1_000, 30, 40
BALANCE_SAT = 600
PATIENT = Waits(first_s=900, identical_s=900)  # a thousand of them are held up upstream
HOURS_S = (0, 60, 3_600, 86_400, 86_400)


class Till:
    """One key with a balance, at a service whose upstream can be held up."""

    def __init__(self, process: Process, reports: LedgerReports, node: DevNode) -> None:
        self.process = process
        self.upstream: FakeUpstream = process.lasting.upstream
        self.reports = reports
        self.node = node
        self.key = ApiKey.made("key_one", "sk-cobot-one", caller_id=CALLER, wish=KeyWish(), at_ms=0)
        self.asked = 0

    async def fill(self) -> None:
        """Top up, and make the key."""
        amount_msat = BALANCE_SAT * 1_000
        topup = await self.process.top_up.begin(amount_msat, address_key=CALLER, caller_id=CALLER)
        await self.node.pay(topup.payment_request)
        settled = await self.node.look_up(topup.payment_hash)
        assert settled is not None
        await self.process.hear(settled)
        await self.process.books.apply(make_api_key(self.key))

    async def available_msat(self) -> int:
        """What is left of the balance."""
        return (await self.process.books.standing(CALLER)).available_msat

    async def ask(self) -> bool:
        """Whether another ask was answered; any other end than a refusal is raised."""
        self.asked += 1
        body = BODY.replace(b"?", f"Harbour {self.asked}".encode())
        ask: Ask = replace(ask_of(body=body), key=self.key)
        try:
            answer = await self.process.ask_completion.answer(ask)
        except CallerFault:
            return False
        assert answer.kind is AnswerKind.COMPLETION
        return True

    async def all_ran(self, asks: list[asyncio.Task[bool]]) -> None:
        """Wait until each of them is refused, or under way upstream."""
        async with asyncio.timeout(400):
            while sum(not one.done() for one in asks) > self.upstream.posts:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def till(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Till]:
    """A filled till on this database."""
    clock = FakeClock(leaping=True)
    async with AsyncExitStack() as stack:
        if request.param == "postgres":
            url = request.getfixturevalue("database")
            books: Books = await stack.enter_async_context(
                open_postgres_books(url, retention=RETENTION)
            )
            reports: LedgerReports = await stack.enter_async_context(open_postgres_reports(url))
        else:
            path = tmp_path / "books.sqlite3"
            upgrade(path)
            books = await stack.enter_async_context(open_sqlite_books(path, retention=RETENTION))
            reports = await stack.enter_async_context(open_sqlite_reports(path))
        node = stack.enter_context(
            closing(DevNode(path=tmp_path / "node", network="regtest", alias="dev", clock=clock))
        )
        upstream = FakeUpstream(usually=Completes(cost=COST))
        lasting = Lasting(
            books=books,
            node=node,
            identity=await node.identity(),
            upstream=upstream,
            clock=clock,
        )
        process = Process(lasting, waits=PATIENT)
        await process.start()
        till = Till(process, reports, node)
        await till.fill()
        yield till
        await process.kill()


async def test_a_thousand_at_once_use_nine_tenths_and_no_more(till: Till) -> None:
    """Held up upstream, what is left fits none of them; ended, the prices are the balance's."""
    balance_msat = BALANCE_SAT * 1_000
    till.upstream.open.clear()
    asks = [asyncio.ensure_future(till.ask()) for _ in range(PARALLEL)]
    await till.all_ran(asks)
    assert 0 <= await till.available_msat() <= balance_msat // 10
    assert 0 < till.upstream.posts < PARALLEL
    till.upstream.open.set()
    answered = sum([await one for one in asks])
    for _ in range(ROUNDS):
        got = sum(await asyncio.gather(*(till.ask() for _ in range(LATER))))
        answered += got
        if not got:
            break
    assert 0 <= await till.available_msat() <= balance_msat // 10
    assert answered == len(till.upstream.runs)
    spending = await till.process.books.key_spending(till.key.key_id)
    assert spending.reserved_msat == 0
    assert spending.spent_msat == balance_msat - await till.available_msat()
    await prove_sound(till)


async def prove_sound(till: Till) -> None:
    """A day later every cost is confirmed and booked, and the audit finds nothing."""
    for seconds in HOURS_S:
        till.process.lasting.clock.advance(seconds)
        await till.process.catalogue.refresh()
        for _ in range(10):
            await till.process.tick()
    balances = {row.account: row.net for row in await till.reports.trial_balance()}
    assert -balances[chart.upstream_credits(till.upstream.name).code] == till.upstream.spent_pusd
    audit = AuditLedger(
        reports=till.reports, node=lambda: till.node, upstream=None, retention=RETENTION
    )
    assert list((await audit.audit()).findings) == []
