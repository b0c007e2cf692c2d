"""The flows on real SQLite books over the real adapter, with an upstream that sends anything."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import orjson

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.body import Body
from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import Answer, AnswerKind, Ask
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import FakeUpstream
from tests.flows.rigs.process import RETENTION, Lasting, Process
from tests.fuzz_upstream.raw_upstream import JSON, RawUpstream, Reply, raw_upstream

MODEL = "mistralai/mistral-small-2603"
CALLER = "c_alice"
GENERATION = "gen-1786465029-CAkqUciXgQW34RmFaTck"
WIDE = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**10, max_msat=10**11),
    address_day_pusd=10**12,
    newcomers_day_pusd=10**15,
    proven_day_pusd=10**15,
)
BOOKS = "books.sqlite3"
DAY_S = 86_400


def model_row(**changed: object) -> dict[str, object]:
    """One row of a list of models."""
    return {
        "id": MODEL,
        "name": "Mistral: Small",
        "context_length": 131_072,
        "pricing": {"prompt": "0.00000015", "completion": "0.0000006"},
        "top_provider": {"max_completion_tokens": 16_384},
        **changed,
    }


def models_of(*rows: object) -> bytes:
    """A list of models."""
    return orjson.dumps({"data": list(rows)})


def record_of(**changed: object) -> bytes:
    """A generation's record."""
    data = {"id": GENERATION, "total_cost": 0.00007, "provider_name": "Mistral", "model": MODEL}
    return orjson.dumps({"data": {**data, **changed}})


def key_of(**changed: object) -> bytes:
    """What a key says of itself."""
    return orjson.dumps({"data": {"usage": 1.5, "limit": None, **changed}})


def json_reply(body: bytes, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status=status, headers=(JSON,), pieces=(body,))


@dataclass(slots=True, kw_only=True)
class RawRig:
    """Both sides. `books` are the real ones."""

    upstream: RawUpstream
    process: Process
    node: DevNode
    books: Books
    open_reports: Callable[[], AbstractAsyncContextManager[LedgerReports]]
    asked: int = 0

    def ask(self, *, caller_id: str | None = CALLER) -> Ask:
        """An ask that was never asked before."""
        self.asked += 1
        body = orjson.dumps(
            {"model": MODEL, "messages": [{"role": "user", "content": f"harbour {self.asked}"}]}
        )
        return Ask(
            request=CompletionRequest(
                body=Body(body),
                model=MODEL,
                max_tokens=1_000,
                prompt_bytes=len(body),
                message_count=1,
            ),
            request_sha256=hashlib.sha256(body).hexdigest(),
            method="POST",
            path="/v1/chat/completions",
            address="203.0.113.7",
            caller_id=caller_id,
        )

    async def bought(self, ask: Ask | None = None) -> Answer:
        """Asked, paid for where credit does not, and read. Raises what the caller would hear."""
        ask = ask or self.ask()
        try:
            answer = await self.process.ask_completion.answer(ask)
        finally:
            await self.process.runs.finish()
        if answer.kind is AnswerKind.CHALLENGE:
            await self.pay(answer.escrow)
            proof = replace(ask, proven_escrow_id=answer.escrow.escrow_id)
            answer = await self.process.ask_completion.answer(proof)
        return answer

    async def pay(self, escrow: Escrow) -> None:
        """A wallet pays the invoice, and the node tells."""
        assert escrow.invoice is not None
        assert escrow.payment_hash is not None
        await self.node.pay(escrow.invoice.payment_request, amount_msat=escrow.invoice.amount_msat)
        invoice = await self.node.look_up(escrow.payment_hash)
        assert invoice is not None
        assert invoice.state is InvoiceState.SETTLED
        await self.process.hear(invoice)

    async def top_up(self, amount_msat: int) -> None:
        """Credit for the caller, so that most asks take no invoice."""
        topup = await self.process.top_up.offer(address_key=CALLER, caller_id=CALLER)
        await self.node.pay(topup.payment_request, amount_msat=amount_msat)
        invoice = await self.node.look_up(topup.payment_hash)
        assert invoice is not None
        await self.process.hear(invoice)

    async def later(self, seconds: float) -> None:
        """Time passes, then every timer is heard."""
        self.process.lasting.clock.advance(seconds)
        await self.process.tick()

    async def escrow(self, state: Progress | None = None) -> Escrow:
        """The newest escrow, in this state."""
        async with self.open_reports() as reports:
            found = [row async for row in reports.escrows()]
        newest = max(found, key=lambda row: row.opened_at_ms)
        assert state in (None, newest.progress)
        return newest

    async def findings(self) -> list[str]:
        """What an audit holds against the books."""
        async with self.open_reports() as reports:
            audit = AuditLedger(
                reports=reports, node=lambda: self.node, upstream=None, retention=RETENTION
            )
            return [str(finding) for finding in (await audit.audit()).findings]

    async def reckon(self) -> None:
        """Days later: the gate is open, and the books are right."""
        for seconds in (60, 601, 3_600, DAY_S, DAY_S, 2 * DAY_S):
            await self.later(seconds)
        assert self.process.release_gate.closed_by is None
        assert await self.findings() == []


@contextlib.asynccontextmanager
async def open_raw_rig(path: Path, *, database: str | None = None) -> AsyncIterator[RawRig]:
    """A service with one model and nothing asked yet; its books are a file, or this database."""
    async with contextlib.AsyncExitStack() as stack:
        upstream, address = await stack.enter_async_context(raw_upstream())
        upstream.models = json_reply(models_of(model_row()))
        upstream.key = json_reply(key_of())
        upstream.record = json_reply(record_of())
        client = await stack.enter_async_context(http_session(HttpLimits()))
        clock = FakeClock(leaping=True)
        books = await stack.enter_async_context(_books(path, database))
        node = stack.enter_context(
            contextlib.closing(
                DevNode(path=path / "node", network="regtest", alias="dev", clock=clock)
            )
        )
        terms = OpenRouterSettings(
            name="gateway", base_url=f"{address}/api/v1", api_key="k", timeout_s=30
        )
        lasting = Lasting(
            books=books,
            node=node,
            identity=await node.identity(),
            clock=clock,
            upstream=cast("FakeUpstream", OpenRouter(client, terms)),
        )
        process = Process(lasting, exposure=WIDE)
        await process.start()
        yield RawRig(
            upstream=upstream,
            process=process,
            node=node,
            books=books,
            open_reports=lambda: _reports(path, database),
        )


def _books(path: Path, database: str | None) -> AbstractAsyncContextManager[Books]:
    if database is not None:
        return open_postgres_books(database, retention=RETENTION)
    return open_sqlite_books(path / BOOKS, retention=RETENTION)


def _reports(path: Path, database: str | None) -> AbstractAsyncContextManager[LedgerReports]:
    if database is not None:
        return open_postgres_reports(database)
    return open_sqlite_reports(path / BOOKS)
