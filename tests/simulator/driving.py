"""Driving the simulator without a socket, through answers that never end or break off.

A reader here leaves after so many bytes, as a careful client does; a cut connection is seen as one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openrouter_simulator.app import Simulator, build_simulator
from tests.fakes.clock import FakeClock
from tests.simulator.asking import CHAT, MODEL, PROMPT

ENOUGH_BYTES = 400_000
HANG_S = 0.002


@dataclass(slots=True)
class Reader:
    """One request, and what came back. `cut`: the connection was lost; `left`: we hung up."""

    body: bytes
    leave_after: int = ENOUGH_BYTES
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytearray = field(default_factory=bytearray)
    cut: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False

    @property
    def left(self) -> bool:
        """Whether the reader hung up before the end."""
        return self.gone.is_set()

    @property
    def document(self) -> Any:  # noqa: ANN401
        """The JSON of the answer, exact."""
        return json.loads(bytes(self.answer), parse_float=Decimal)

    async def receive(self) -> MutableMapping[str, Any]:
        """The body, once; then nothing, until we hang up."""
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take what comes, and hang up when it was enough."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif not self.left:
            self.answer += message["body"]
            if len(self.answer) > self.leave_after:
                self.gone.set()


async def ask(
    simulator: Simulator,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    leave_after: int = ENOUGH_BYTES,
) -> Reader:
    """One request to its end, or until it is cut, or until we have read enough."""
    reader = Reader(body, leave_after)
    path, _, query = path.partition("?")
    told = {"authorization": "Bearer sk-or-v1-test", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
    }
    try:
        await simulator(scope, reader.receive, reader.send)
    except ConnectionAbortedError:
        reader.cut = True
    return reader


async def post(
    simulator: Simulator,
    *,
    fault: str = "",
    headers: Mapping[str, str] | None = None,
    leave_after: int = ENOUGH_BYTES,
    **fields: object,
) -> Reader:
    """A chat POST that asks for faults by header; `fields` go over the usual ones."""
    document = {
        "model": MODEL,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 64,
    } | fields
    told = {"X-Simulator-Fault": fault, **(headers or {})} if fault else headers
    body = json.dumps(document).encode()
    return await ask(simulator, "POST", CHAT, body=body, headers=told, leave_after=leave_after)


async def get(simulator: Simulator, path: str, *, key: str = "sk-or-v1-test") -> Reader:
    """A GET below `/api/v1`."""
    return await ask(simulator, "GET", f"/api/v1{path}", headers={"authorization": f"Bearer {key}"})


async def control(simulator: Simulator, what: str, **document: object) -> Any:  # noqa: ANN401
    """A POST below `/control` that must be accepted."""
    body = json.dumps(document).encode()
    reader = await ask(simulator, "POST", f"/control/{what}", body=body)
    assert reader.status == 200, reader.answer
    return reader.document


def fresh_simulator(*, seed: int = 3) -> Simulator:
    """Five dollars, no lag, no latency, hangs of 2 ms, a clock that stands still."""
    simulator = build_simulator(
        seed=seed, credit_usd=Decimal(5), lag_s=0.0, latency_s=0.0, clock=FakeClock()
    )
    simulator.account.timing.hang_s = HANG_S
    return simulator
