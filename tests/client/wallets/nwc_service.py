"""A wallet service of our own (NIP-47) at a relay: pays what it has a preimage of, as told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from cobot_pay.invoice_terms import read_invoice
from cobot_pay.nostr.ciphers import NIP04, NIP44, Encryption
from cobot_pay.nostr.events import Event, Unsigned, read_event, sign_event
from cobot_pay.nostr.keys import NostrKey
from cobot_pay.nwc_wallet import NwcWallet
from tests.client.wallets.nostr_relay import NostrRelay, relaying

METHODS = "pay_invoice get_balance lookup_invoice list_transactions"
Answer = dict[str, Any]


class NwcService:
    """What it does with a request is written in its attributes; `paid` is what really left it."""

    def __init__(self, relay: NostrRelay) -> None:
        self.relay = relay
        self.key, self.client = NostrKey.new(), NostrKey.new()
        self.preimages: dict[str, str] = {}  # by payment hash: what a payment would learn
        self.paid: dict[str, Answer] = {}  # by payment hash: its transactions
        self.methods = METHODS
        self.ciphers = f"{NIP44} {NIP04}"
        self.error: tuple[str, str] | None = None  # answered in place of paying
        self.pays_and_says: Answer | None = None  # answered after paying
        self.silent = False  # pays, and says nothing
        self.asleep = False  # does nothing at all
        self.seen: list[Answer] = []
        self.ciphers_seen: list[str] = []
        self.expirations: list[int] = []

    @property
    def uri(self) -> str:
        """What the wallet shows as its connection."""
        return (
            f"nostr+walletconnect://{self.key.public}?relay={quote(self.relay.url, safe='')}"
            f"&secret={self.client._key.secret.hex()}"
        )

    def wallet(self, **more: float) -> NwcWallet:
        """The wallet under test, whose waits are short."""
        waits = {"payment_s": 2.0, "reach_s": 2.0, "look_up_s": 0.5, "ask_again_s": 0.02, **more}
        return NwcWallet(self.uri, **waits)

    async def announce(self) -> None:
        """Leave word of itself at the relay."""
        tags = (("encryption", self.ciphers),) if self.ciphers else ()
        said = Unsigned(kind=13_194, content=self.methods, created_at=_now_s(), tags=tags)
        async with aiohttp.ClientSession() as http, http.ws_connect(self.relay.url) as socket:
            await socket.send_json(["EVENT", sign_event(self.key, said).document()])
            while _read((await socket.receive()).data)[:1] != ["OK"]:
                continue

    async def serve(self, listening: asyncio.Event) -> None:
        """Answer requests until cancelled."""
        async with aiohttp.ClientSession() as http, http.ws_connect(self.relay.url) as socket:
            wanted = {"kinds": [23_194], "#p": [self.key.public]}
            await socket.send_json(["REQ", "mine", wanted])
            async for message in socket:
                match _read(message.data):
                    case ["EOSE", _]:
                        listening.set()
                    case ["EVENT", _, document] if not self.asleep:
                        response = self._respond(read_event(document))
                        if response is not None:
                            await socket.send_json(["EVENT", response.document()])

    def _respond(self, request: Event) -> Event | None:
        cipher = request.tag("encryption") or NIP04
        self.ciphers_seen.append(cipher)
        self.expirations.append(int(request.tag("expiration")) - request.created_at)
        encryption = Encryption(cipher, mine=self.key, theirs=request.pubkey)
        asked = json.loads(encryption.decrypt(request.content))
        self.seen.append(asked)
        answer = self._answer(asked["method"], asked["params"])
        if self.silent and asked["method"] == "pay_invoice":
            return None
        content = encryption.encrypt(json.dumps({"result_type": asked["method"], **answer}))
        tags = (("p", request.pubkey), ("e", request.id))
        return sign_event(
            self.key, Unsigned(kind=23_195, content=content, created_at=_now_s(), tags=tags)
        )

    def _answer(self, method: str, params: Answer) -> Answer:
        if method == "get_balance":
            return {"error": None, "result": {"balance": 123_000}}
        if method == "list_transactions":
            return {"error": None, "result": {"transactions": list(self.paid.values())}}
        if method == "lookup_invoice":
            found = self.paid.get(params["payment_hash"])
            if found is None:
                return _refusal("NOT_FOUND", "no such payment")
            return {"error": None, "result": found}
        return self._pay(params["invoice"])

    def _pay(self, invoice: str) -> Answer:
        terms = read_invoice(invoice)
        if self.error is not None:
            return _refusal(*self.error)
        preimage = self.preimages[terms.payment_hash]
        known = self.paid.setdefault(
            terms.payment_hash,
            {
                "type": "outgoing",
                "state": "settled",
                "settled_at": 1_763_837_000,
                "payment_hash": terms.payment_hash,
                "preimage": preimage,
                "amount": terms.amount_msat,
                "fees_paid": 1_001,
            },
        )
        if self.pays_and_says is not None:
            return self.pays_and_says
        result = {"preimage": known["preimage"], "fees_paid": known["fees_paid"]}
        return {"error": None, "result": result}


def _refusal(code: str, message: str) -> Answer:
    return {"error": {"code": code, "message": message}, "result": None}


def _read(text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except ValueError:
        return []


def _now_s() -> int:
    return int(time.time())


@asynccontextmanager
async def serving_wallet(
    kind: type[NwcService] = NwcService, *, announced: bool = True
) -> AsyncIterator[NwcService]:
    """A service that listens at a relay of its own."""
    async with relaying() as relay:
        service, listening = kind(relay), asyncio.Event()
        if announced:
            await service.announce()
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(service.serve(listening))
            await listening.wait()
            yield service
            serving.cancel()
