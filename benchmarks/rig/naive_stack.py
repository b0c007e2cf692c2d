"""The stack that one would write first, doing the same sale: what the service is compared with.

FastAPI with models in and out, one httpx client with its defaults, a session of async SQLAlchemy
over aiosqlite for each request, uvicorn with its defaults, and the same development node in the
same process. No group commit, no sealing, no exposure guards, three commits a sale instead of
eight.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import httpx
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from benchmarks.rig.naive_tables import EscrowRow, Tables, add_entry, escrow_by, open_engine
from cobot_meter.adapters.lightning.dev_node.http import dev_node_face
from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.invoices import InvoiceOrder, InvoiceState
from cobot_meter.domain.money import ExchangeRate, pusd_from_decimal
from cobot_meter.domain.pricing.prices import PriceTerms, invoice_amount_msat, price_for
from cobot_meter.http_api.http.exchange import AsgiApp
from cobot_meter.http_api.l402.credentials import parse_credentials
from cobot_meter.http_api.l402.tokens import TokenKind, Tokens
from cobot_meter.wiring.listening import listening
from cobot_meter.wiring.settings.addresses import Address

PAYMENT_REQUIRED = 402
RATE = ExchangeRate(usd_micro_per_btc=100_000 * 10**6, source="static", fetched_at_ms=0)
CEILING_MSAT = 10**9
EXPIRY_S = 600
NODE = "assets:node"


class Message(BaseModel):
    """One message of a conversation."""

    role: str
    content: str


class ChatBody(BaseModel):
    """What an ask holds."""

    model: str
    messages: list[Message]
    max_tokens: int = 1_024


class Challenge(BaseModel):
    """What a 402 says."""

    escrow_id: str
    invoice: str
    macaroon: str
    price_msat: int
    cost_usd: str


class Shop:
    """The parts that the routes share."""

    def __init__(self, node: DevNode, client: httpx.AsyncClient, data_dir: Path) -> None:
        """`client` reaches the upstream."""
        self.node = node
        self.client = client
        self.engine = open_engine(str(data_dir / "naive.sqlite3"))
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self.tokens = Tokens(secret=secrets.token_bytes(32))
        self.clock = SystemClock()

    async def sell(self, chat: ChatBody, body: bytes, session: AsyncSession) -> Challenge:
        """Ask the upstream, look the cost up, make the invoice, keep all of it."""
        asked = await self.client.post("/chat/completions", json=chat.model_dump())
        asked.raise_for_status()
        generation_id = asked.json()["id"]
        found = await self.client.get("/generation", params={"id": generation_id})
        found.raise_for_status()
        cost = Decimal(str(found.json()["data"]["total_cost"]))
        price = price_for(
            pusd_from_decimal(cost), ceiling_msat=CEILING_MSAT, rate=RATE, terms=PriceTerms()
        )
        preimage = secrets.token_bytes(32)
        order = InvoiceOrder(
            preimage=preimage,
            payment_hash=hashlib.sha256(preimage).hexdigest(),
            amount_msat=invoice_amount_msat(price.price_msat),
            memo="completion",
            expiry_s=EXPIRY_S,
        )
        invoice = await self.node.add_invoice(order)
        row = EscrowRow(
            escrow_id=f"esc_{secrets.token_urlsafe(32)}",
            caller_id=f"c_{secrets.token_hex(16)}",
            request_sha256=hashlib.sha256(body).hexdigest(),
            state="invoiced",
            generation_id=generation_id,
            cost_text=str(cost),
            price_msat=price.price_msat,
            amount_msat=order.amount_msat,
            payment_hash=order.payment_hash,
            payment_request=invoice.payment_request,
            completion=asked.content,
        )
        session.add(row)
        held = (f"receivable:{row.caller_id}", price.price_msat)
        await add_entry(session, "held", row.escrow_id, (held, ("unearned", -price.price_msat)))
        await session.commit()
        return self._challenge(row)

    def _challenge(self, row: EscrowRow) -> Challenge:
        macaroon = self.tokens.mint(
            caller_id=row.caller_id,
            payment_hash=row.payment_hash,
            subject_id=row.escrow_id,
            request_sha256=row.request_sha256,
            valid_until_s=self.clock.now_ms() // 1_000 + EXPIRY_S,
            kind=TokenKind.ESCROW,
        )
        return Challenge(
            escrow_id=row.escrow_id,
            invoice=row.payment_request,
            macaroon=macaroon,
            price_msat=row.price_msat,
            cost_usd=row.cost_text,
        )

    async def settle(self, payment_hash: str, paid_msat: int) -> None:
        """Book a payment once."""
        async with self.sessions() as session:
            row = await escrow_by(session, "payment_hash", payment_hash)
            if row is None or row.state != "invoiced":
                return
            row.state = "settled"
            owed = (f"receivable:{row.caller_id}", -row.price_msat)
            with contextlib.suppress(IntegrityError):  # stream and claim met: it is booked
                await add_entry(session, "settled", row.escrow_id, ((NODE, paid_msat), owed))
                await session.commit()

    async def watch(self) -> None:
        """Book what the node says was paid."""
        async for invoice in self.node.settled_invoices(0):
            await self.settle(invoice.payment_hash, invoice.amount_paid_msat)

    async def release(self, escrow_id: str, authorization: str, session: AsyncSession) -> bytes:
        """The completion, for its own macaroon and preimage, once paid."""
        credentials = parse_credentials([authorization.encode()])
        proof = self.tokens.prove(credentials, now_s=self.clock.now_ms() // 1_000)
        row = await escrow_by(session, "escrow_id", escrow_id)
        if row is None or proof is None or proof.escrow_id != escrow_id:
            raise HTTPException(404)
        if row.state == "invoiced":
            await self._ask_node(row, session)
        if row.state == "settled":
            row.state = "released"
            earned = (("unearned", row.price_msat), ("revenue", -row.price_msat))
            await add_entry(session, "released", escrow_id, earned)
            await session.commit()
        return row.completion

    async def _ask_node(self, row: EscrowRow, session: AsyncSession) -> None:
        """The caller was faster than the stream."""
        await session.commit()  # so that the row can be read anew
        invoice = await self.node.look_up(row.payment_hash)
        if invoice is None or invoice.state is not InvoiceState.SETTLED:
            raise HTTPException(PAYMENT_REQUIRED)
        await self.settle(row.payment_hash, invoice.amount_paid_msat)
        await session.refresh(row)


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.shop.sessions() as opened:
        yield opened


Rows = Annotated[AsyncSession, Depends(_session)]


def build_app(shop: Shop) -> FastAPI:
    """The routes."""
    app = FastAPI()
    app.state.shop = shop

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/chat/completions", response_model=Challenge)
    async def ask(chat: ChatBody, request: Request, rows: Rows) -> JSONResponse:
        challenge = await shop.sell(chat, await request.body(), rows)
        macaroon, invoice = challenge.macaroon, challenge.invoice
        headers = {
            "www-authenticate": f'L402 macaroon="{macaroon}", invoice="{invoice}"',
            "x-escrow-id": challenge.escrow_id,
        }
        content = challenge.model_dump()
        return JSONResponse(content, status_code=PAYMENT_REQUIRED, headers=headers)

    @app.get("/v1/escrows/{escrow_id}/completion")
    async def completion(
        escrow_id: str, authorization: Annotated[str, Header()], rows: Rows
    ) -> Response:
        body = await shop.release(escrow_id, authorization, rows)
        return Response(body, media_type="application/json")

    return app


async def _serve(*, port: int, node_port: int, upstream: str, data_dir: Path) -> None:
    node = DevNode(
        path=data_dir / "node.log", network="regtest", alias="development", clock=SystemClock()
    )
    async with httpx.AsyncClient(base_url=upstream, timeout=60) as client:
        shop = Shop(node, client, data_dir)
        async with shop.engine.begin() as connection:
            await connection.run_sync(Tables.metadata.create_all)
        async with _listening(dev_node_face(node), node_port), _listening(build_app(shop), port):
            await shop.watch()


def _listening(app: AsgiApp, port: int) -> AbstractAsyncContextManager[Address]:
    return listening(app, Address(host="127.0.0.1", port=port))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--node-port"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    uvloop.run(
        _serve(
            port=given.port,
            node_port=given.node_port,
            upstream=given.upstream,
            data_dir=given.data_dir,
        )
    )


if __name__ == "__main__":
    main()
