"""The whole face on the real flows, with the development node and an upstream in memory.

The books are twins: every call goes to those in memory, which a test looks into, and to a file.

Time leaps: whatever sleeps on the clock returns at once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK
from cobot_meter.adapters.process import SoleProcess
from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.adapters.secrets.day_keys import DayKeys
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import derived_keys
from cobot_meter.adapters.secrets.sealer import AesSealer
from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.record_event import OurNode
from cobot_meter.http_api.app import build_face
from cobot_meter.http_api.context import FaceLimits, FaceParts, Ping
from cobot_meter.http_api.http.addresses import trusted_networks
from cobot_meter.http_api.http.exchange import AsgiApp
from cobot_meter.http_api.http.metrics_app import METRICS_PATH, metrics_app
from cobot_meter.http_api.l402 import macaroons
from cobot_meter.wiring.build import Service, build_service
from cobot_meter.wiring.http_app import face_parts
from cobot_meter.wiring.metrics import Metrics
from cobot_meter.wiring.opening.ports import Parts
from cobot_meter.wiring.settings.settings import PREFIX, Settings, read_settings
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.fakes.rate_sources import RateMarket
from tests.fakes.twin_books import twin_books
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import PRICED_MODEL
from tests.http_api.asgi_caller import ADDRESS, AsgiCaller, Reply

CHAT = "/v1/chat/completions"
PUBLIC_URL = "https://b.example"
MODEL = PRICED_MODEL.model_id
ASK: Mapping[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "How fast is Lightning?"}],
    "max_tokens": 1_000,
}
RATE_USD_MICRO = 94_000_500_000
_CHALLENGE = re.compile(r'^L402 macaroon="([^"]+)", invoice="([^"]+)"')


def ask_of(text: str, **fields: object) -> dict[str, Any]:
    """An ask with another prompt, and further fields."""
    return {**ASK, "messages": [{"role": "user", "content": text}], **fields}


def challenge_of(reply: Reply) -> tuple[str, str]:
    """Macaroon and invoice of a 402, as the libraries in the field read them."""
    match = _CHALLENGE.match(reply.all("www-authenticate")[0])
    assert match is not None
    return match[1], match[2]


def narrowed(token: str, caveat: str) -> str:
    """The credential with one caveat more, as any holder can append it."""
    macaroon, _, preimage = token.removeprefix("L402 ").partition(":")
    held = macaroons.parse(base64.b64decode(macaroon))
    added = dataclasses.replace(
        held,
        caveats=(*held.caveats, caveat.encode()),
        signature=hmac.digest(held.signature, caveat.encode(), hashlib.sha256),
    )
    return f"L402 {base64.b64encode(macaroons.encode(added)).decode()}:{preimage}"


@dataclasses.dataclass(slots=True)
class FaceRig:
    """A running face and everything behind it."""

    service: Service
    books: FakeBooks
    upstream: FakeUpstream
    node: DevNode
    clock: FakeClock
    parts: FaceParts
    app: AsgiApp
    caller: AsgiCaller
    draining: asyncio.Event

    @property
    def operator(self) -> AsgiCaller:
        """Who reads the metrics."""
        return AsgiCaller(metrics_app(self.parts.registry))

    async def ask(
        self,
        document: Mapping[str, Any] | bytes = ASK,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str | None = ADDRESS,
    ) -> Reply:
        """POST a chat completion; bytes are sent as they are."""
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        return await self.caller.send(
            "POST", CHAT, body=body, headers=_headers(token, headers), peer=peer
        )

    async def get(
        self,
        target: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str | None = ADDRESS,
    ) -> Reply:
        """GET a path with its query; `/metrics` where the operator reads it."""
        caller = self.operator if target == METRICS_PATH else self.caller
        return await caller.send("GET", target, headers=_headers(token, headers), peer=peer)

    async def pay(self, reply: Reply) -> str:
        """Pay the invoice of a 402; the credential it buys."""
        macaroon, payment_request = challenge_of(reply)
        payment = await self.node.pay(payment_request)
        return f"L402 {macaroon}:{payment.preimage}"

    async def buy(self, document: Mapping[str, Any] = ASK) -> tuple[Reply, str]:
        """Ask, pay and ask again: the completion and the credential."""
        token = await self.pay(await self.ask(document))
        bought = await self.ask(document, token=token)
        assert bought.status == 200
        return bought, token

    async def top_up(self, sat: int = 1) -> str:
        """Pay an empty ask's top-up, more than it asks for if told so; the credential."""
        macaroon, payment_request = challenge_of(await self.ask(b""))
        payment = await self.node.pay(payment_request, amount_msat=sat * 1_000)
        token = f"L402 {macaroon}:{payment.preimage}"
        assert (await self.ask(b"", token=token)).status == 200
        return token

    async def send(
        self,
        method: str,
        target: str,
        document: Mapping[str, Any] | bytes = b"",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any method with a small body; bytes are sent as they are."""
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        return await self.caller.send(method, target, body=body, headers=_headers(token, headers))

    async def credited(self, sat: int, *, token: str | None = None) -> str:
        """A top-up of its own amount, paid and shown; the credential that it buys."""
        body = {"amount_sat": sat}
        paid = await self.pay(await self.send("POST", "/v1/topups", body, token=token))
        assert (await self.send("POST", "/v1/topups", body, token=paid)).status == 200
        return paid

    async def key(self, sat: int, **wish: object) -> tuple[str, str]:
        """The text of a fresh caller's key with so much credit, and the proof that manages it."""
        body = {"amount_sat": sat, "key": wish}
        proof = await self.pay(await self.send("POST", "/v1/topups", body))
        made = await self.send("POST", "/v1/topups", body, token=proof)
        assert made.status == 200
        return str(made.json()["key"]["key"]), proof

    async def settle(self, escrow: Escrow) -> Escrow:
        """Let the service hear what the node says of an escrow's invoice."""
        await self.service.flows.settle_invoice.ask_node(str(escrow.payment_hash))
        return self.escrow(escrow.escrow_id)

    async def drive(self, escrow: Escrow) -> Escrow:
        """Run the driver, as a timer would."""
        return await asyncio.shield(self.service.flows.runs.start(escrow.escrow_id))

    async def expire(self, escrow: Escrow) -> Escrow:
        """Let the invoice lapse: its time passes, and the node is asked to cancel it."""
        assert escrow.invoice is not None
        self.clock.set_ms(max(self.clock.now_ms(), (escrow.invoice.expires_at_s + 2) * 1_000))
        return await self.drive(escrow)

    async def later(self, passed_ms: int) -> None:
        """Let time pass, with the price list kept fresh."""
        self.clock.set_ms(self.clock.now_ms() + passed_ms)
        await self.service.flows.catalogue.refresh()

    def escrow(self, escrow_id: str) -> Escrow:
        """The row."""
        return self.books.rows.escrows[escrow_id]

    @property
    def escrows(self) -> list[Escrow]:
        """Every row, in opening order."""
        return list(self.books.rows.escrows.values())

    @property
    def last(self) -> Escrow:
        """The newest row."""
        return self.escrows[-1]

    async def until(self, state: Progress) -> Escrow:
        """The newest escrow, once it is in this state."""
        async with asyncio.timeout(5):
            while not self.escrows or self.last.progress is not state:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return self.last


# What these tests have to be asked about; the rest is looked at by loops that do not run here.
PINGS = ("books", "node", "rate", "upstream")


def _settings(chosen: Mapping[str, str]) -> Settings:
    environ = {"RATE_USD_PER_BTC": "94000.5", "IDENTICAL_WAIT_S": "0.02", **chosen}
    return read_settings({f"{PREFIX}{name}": value for name, value in environ.items()})


def _day_keys(folder: Path) -> DayKeys:
    return DayKeys(folder=folder / "body-keys")


def _static(clock: FakeClock) -> StaticRate:
    return StaticRate(usd_micro_per_btc=RATE_USD_MICRO, clock=clock)


def _routes(
    service: Service,
    draining: asyncio.Event,
    pings: Mapping[str, Ping],
    limits: FaceLimits | None,
) -> FaceParts:
    wired = face_parts(service, is_draining=draining.is_set)
    asked = {**{name: wired.pings[name] for name in PINGS}, **pings}
    return dataclasses.replace(
        wired, public_url=PUBLIC_URL, pings=asked, limits=limits or FaceLimits()
    )


def _headers(token: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**({"Authorization": token} if token else {}), **(headers or {})}


@contextlib.asynccontextmanager
async def open_face(
    folder: Path,
    *,
    limits: FaceLimits | None = None,
    trusted_proxies: tuple[str, ...] = (),
    pings: Mapping[str, Ping] | None = None,
    market: RateMarket | None = None,
    upstream: FakeUpstream | None = None,
    **settings: str,
) -> AsyncIterator[FaceRig]:
    """A face in a folder of the test's own; `settings` by their names without the prefix.

    `pings` are asked beside those of the real parts, `market` brings rates and a leaping clock,
    `upstream` is asked in place of that in memory.
    """
    fake, upstream, retention = FakeBooks(), upstream or FakeUpstream(), Retention()
    clock, day_keys = market.clock if market else FakeClock(leaping=True), _day_keys(folder)
    node = DevNode(path=folder / "node.log", network=NETWORK, alias="tests", clock=clock)
    keys, draining = derived_keys(b"\x01" * 32), asyncio.Event()
    async with (
        twin_books(fake, folder, retention=retention) as (books, reports),
        asyncio.TaskGroup() as tasks,
    ):
        parts = Parts(
            books=books,
            reports=reports,
            node=node,
            ours=OurNode(await node.identity()),
            upstream=upstream,
            rates=market.rates if market else _static(clock),
            clock=clock,
            identifiers=KeyedIdentifiers(preimage_key=keys.preimage, clock=clock),
            sealer=AesSealer(wrapping_key=keys.wrapping, days=day_keys),
            body_keys=day_keys,
            keys=keys,
            retention=retention,
            metrics=Metrics(),
            wakes=WakeHub(),
            replicas=SoleProcess("r_test"),
            duties=SoleProcess("r_test"),
        )
        service = build_service(_settings(settings), parts, tasks)
        await service.flows.catalogue.refresh()
        networks = trusted_networks(trusted_proxies)
        routes = _routes(service, draining, pings or {}, limits)
        routes = dataclasses.replace(routes, trusted_proxies=networks)
        app = build_face(routes)
        yield FaceRig(
            service=service,
            books=fake,
            upstream=upstream,
            node=node,
            clock=clock,
            parts=routes,
            app=app,
            caller=AsgiCaller(app),
            draining=draining,
        )
        await service.flows.runs.drain(0)
    node.close()
