"""The face with the simulator behind it, whose streamed answers can be cut after any event.

What is cut has run to its end and is charged in full: the caller's side may not be, and the bill
is the simulator's, whatever the service believes. Must not know: what a test expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_decimal
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from openrouter_simulator.account import Account
from openrouter_simulator.app import Simulator, build_simulator
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import serving
from tests.fakes.upstream import FakeUpstream
from tests.http_api.face_rig import FaceRig, open_face

MODEL = "openai/gpt-5-mini"
NAME = "gateway"
DAY_MS = 86_400_000
_CHAT = "/api/v1/chat/completions"
_END = b"\n\n"
_STREAMED = (b":", b"data:")
_ROWS = 10_000
_UNHEARD_S = 0.1

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Cut(enum.StrEnum):
    """How a stream ends before its end."""

    CLEANLY = "cleanly"
    BY_RESET = "by reset"
    WITH_ERROR = "with an error"
    WITH_ERROR_AND_USAGE = "with an error and the usage"


class Reset(Exception):
    """The connection is dropped here: the server under the application closes it at once."""


class CuttingSimulator:
    """A simulator whose next streamed answers end after `events` of theirs, where `cut` is set.

    While somebody has put an event into `heard`, each event of an answer waits until `said` tells
    that something was heard of the one before, or for a moment: some say nothing to a caller.
    """

    def __init__(self, simulator: Simulator) -> None:
        """Nothing is cut; `was_cut` tells of the newest answer."""
        self.heard: asyncio.Event | None = None
        self._simulator = simulator
        self.cut: Cut | None = None
        self.events = 0
        self.was_cut = False

    def said(self) -> None:
        """Let the next event go out."""
        if self.heard is not None:
            self.heard.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != _CHAT:
            await self._simulator(scope, receive, send)
            return
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        await self._simulator(scope, receive, keep)
        head, *rest = told
        await send(head)
        body = b"".join(message.get("body", b"") for message in rest)
        events = _events(body) if body.startswith(_STREAMED) else [body]
        self.was_cut = self.cut is not None and self.events < len(events)
        for event in events[: self.events] if self.was_cut else events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await self._paced()
        if self.was_cut:
            await self._ended(events, send)
        await send({"type": "http.response.body", "body": b""})

    async def _paced(self) -> None:
        if self.heard is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.heard.wait(), _UNHEARD_S)
        if self.heard is not None:
            self.heard.clear()

    async def _ended(self, events: list[bytes], send: Send) -> None:
        match self.cut:
            case Cut.BY_RESET:
                raise Reset
            case Cut.WITH_ERROR | Cut.WITH_ERROR_AND_USAGE:
                frame = _error(events, with_usage=self.cut is Cut.WITH_ERROR_AND_USAGE)
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            case _:
                return


def _events(body: bytes) -> list[bytes]:
    """Each event of a stream; comments come before the event that follows them."""
    events, comments = [], b""
    for part in body.split(_END):
        if part.startswith(b":"):
            comments += part + _END
        elif part:
            events.append(comments + part + _END)
            comments = b""
    return events


def _error(events: list[bytes], *, with_usage: bool) -> bytes:
    """OpenRouter's event for a provider that was lost in the middle."""
    frames = [
        orjson.loads(line.removeprefix(b"data: "))
        for event in events
        for line in event.splitlines()
        if line.startswith(b"data: {")
    ]
    usage = next(frame["usage"] for frame in frames if frame.get("usage"))
    error = {"code": 502, "message": "Provider disconnected"}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    told = {"usage": usage} if with_usage else {}
    return (
        b"data: " + orjson.dumps({**frames[0], "choices": [choice], "error": error, **told}) + _END
    )


class BilledUpstream(OpenRouter):
    """The adapter, and what its other side has charged."""

    def __init__(self, client: Any, terms: OpenRouterSettings, account: Account) -> None:  # noqa: ANN401
        super().__init__(client, terms)
        self._account = account

    @property
    def spent_pusd(self) -> int:
        """The simulator's bill."""
        return pusd_from_decimal(self._account.book.spent_usd)


@dataclass(slots=True)
class SimulatedFace:
    """A face, what cuts its answers, and the account that it is charged to."""

    rig: FaceRig
    cutter: CuttingSimulator
    account: Account

    @property
    def bill_pusd(self) -> int:
        """What the simulator has charged until now."""
        return pusd_from_decimal(self.account.book.spent_usd)

    async def standing(self, proof: str) -> tuple[int, int]:
        """What the caller may spend, and what is reserved of it."""
        told = (await self.rig.get("/v1/credits", token=proof)).json()["cobot"]
        return told["available_msat"], told["reserved_msat"]

    async def quiet(self) -> None:
        """Wait until no run is under way."""
        runs = self.rig.service.flows.runs
        async with asyncio.timeout(20):
            while runs.active:  # noqa: ASYNC110 - nobody tells of the last one
                await asyncio.sleep(0.001)

    async def prove_sound(self) -> None:
        """Days later every dollar of the bill is in the books, and the audit finds nothing."""
        rig, flows = self.rig, self.rig.service.flows
        for passed_ms in (0, 30_000, 600_000, DAY_MS, DAY_MS, DAY_MS):
            await rig.later(passed_ms)
            await flows.recover.unfinished()
            await flows.recover.due(rig.clock.now_ms(), limit=_ROWS)
            await self.quiet()
        ledger = rig.books.rows.ledger
        assert ledger.open_reservations() == {}
        assert -ledger.of(chart.upstream_credits(NAME)).net == self.bill_pusd
        assert ledger.of(chart.COST_UNATTRIBUTED).net == 0
        self.account.book.verify()
        self.account.book.verify_posts()
        audit = AuditLedger(
            reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
        )
        assert list((await audit.audit()).findings) == []


@contextlib.asynccontextmanager
async def simulated_face(folder: Path) -> AsyncIterator[SimulatedFace]:
    """A face of the test's own, with a simulator on a socket behind the real adapter."""
    simulator = build_simulator(
        seed=1,
        credit_usd=Decimal(100),
        lag_s=0.0,
        latency_s=0.0,
        clock=FakeClock(leaping=True),
        api_key="k",
    )
    cutter = CuttingSimulator(simulator)
    async with serving(cutter) as base_url, http_session(HttpLimits()) as client:
        terms = OpenRouterSettings(name=NAME, base_url=f"{base_url}/api/v1", api_key="k")
        upstream = cast("FakeUpstream", BilledUpstream(client, terms, simulator.account))
        async with open_face(folder, upstream=upstream) as rig:
            yield SimulatedFace(rig, cutter, simulator.account)
