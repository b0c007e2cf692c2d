"""The load, in a process of its own: reads a plan from standard input, answers with figures.

Plans: `cycles` (ask, pay, claim), `asks` (ask, read the 402), `direct` (the upstream alone), `paid`
(ask with a key that has credit, or of whom asks for none, and read the answer); `askers` and
`pollers` wait, until they are told to stop, for an upstream that never answers or for a payment
that never comes. Every answer is checked: one that is not what it should be ends the run; only
`paid` counts it as an error and goes on, since not every program that it measures is ours.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field

import orjson
import uvloop

from benchmarks.http_connections import Connection, Response, connect, request_bytes

CHAT = "/v1/chat/completions"
MESSAGES = 20
MESSAGE_CHARS = 235
OK, PAYMENT_REQUIRED = 200, 402
RATE_OF = 2  # answers at least; a rate is what comes between two
WAITING = ("pollers", "askers")
Done = tuple[float, float]  # when, and how long it took
_OFFER = re.compile(rb'L402 macaroon="([^"]+)", invoice="([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do. `port` serves asks, `node_port` the wallet; who is `paid` asks at `path`.

    Buyers begin spread over `spread_ms`: agents do not come all in the same moment, and a crowd in
    step would measure how long the upstream and we wait for each other.
    """

    kind: str
    port: int
    count: int
    in_flight: int
    node_port: int = 0
    spread_ms: int = 0
    model: str = "mock/model"
    path: str = CHAT
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of it: how many a second once all were under way, and the middle one's time."""

    done: int
    per_s: float
    p50_ms: float
    p99_ms: float = 0.0
    errors: int = 0


def body_of(model: str, *, stream: bool = False) -> bytes:
    """A conversation of about 5 kB that nobody asked before."""
    fresh = secrets.token_hex(8)
    messages = [
        {"role": "assistant" if number % 2 else "user", "content": f"{number} {'word ' * 47}"}
        for number in range(MESSAGES - 1)
    ]
    messages.append({"role": "user", "content": fresh})
    streamed = {"stream": True} if stream else {}
    return orjson.dumps({"model": model, "messages": messages, "max_tokens": 256, **streamed})


class NotAnsweredError(Exception):
    """An ask that was paid for, and got no completion."""


class Buyer:
    """One agent with a connection to the service and one to its wallet."""

    def __init__(self, plan: Plan, face: Connection, wallet: Connection | None) -> None:
        """`wallet` is needed to pay."""
        self._plan = plan
        self._face = face
        self._wallet = wallet

    async def ask(self) -> Response:
        """Ask for something new; the answer is a 402."""
        body = body_of(self._plan.model)
        response = await self._face.ask(request_bytes("POST", CHAT, body=body))
        return _checked(response, PAYMENT_REQUIRED)

    async def cycle(self) -> None:
        """Ask, pay the invoice, claim the completion."""
        offered = await self.ask()
        found = _OFFER.search(offered.headers[b"www-authenticate"])
        assert found
        assert self._wallet
        macaroon, invoice = found.groups()
        payment = request_bytes("POST", "/pay", body=b'{"payment_request":"%b"}' % invoice)
        paid = orjson.loads(_checked(await self._wallet.ask(payment), OK).body)
        credential = b"L402 %b:%b" % (macaroon, paid["payment_preimage"].encode())
        escrow_id = offered.headers[b"x-escrow-id"].decode()
        claim = request_bytes(
            "GET", f"/v1/escrows/{escrow_id}/completion", authorization=credential
        )
        claimed = _checked(await self._face.ask(claim), OK)
        assert b'"choices"' in claimed.body

    async def unanswerable(self) -> bytes:
        """The request to wait with: an ask, or one for the payment of an ask answered before."""
        if self._plan.kind == "askers":
            return request_bytes("POST", CHAT, body=body_of(self._plan.model))
        escrow_id = (await self.ask()).headers[b"x-escrow-id"].decode()
        return request_bytes("GET", f"/v1/escrows/{escrow_id}?wait=60")

    async def wait(self, request: bytes) -> None:
        """Wait until we hang up: an answer would be a fault."""
        try:
            answered = await self._face.ask(request)
        except ConnectionError:
            return
        message = f"{answered.status} where nothing was due: {answered.body[:400]!r}"
        raise SystemExit(message)

    def hang_up(self) -> None:
        """Stop waiting."""
        self._face.close()

    async def direct(self) -> None:
        """Ask the upstream itself."""
        request = request_bytes("POST", "/api/v1/chat/completions", body=body_of(self._plan.model))
        _checked(await self._face.ask(request), OK)

    async def paid(self) -> None:
        """Ask what the key pays for. Raises NotAnsweredError."""
        plan = self._plan
        bearer = b"Bearer " + plan.key.encode() if plan.key else b""
        body = body_of(plan.model)
        request = request_bytes("POST", plan.path, body=body, authorization=bearer)
        try:
            answer = await self._face.ask(request)
        except ConnectionError as error:
            self._face = await connect(plan.port)
            raise NotAnsweredError(str(error)) from error
        if answer.status != OK or b'"choices"' not in answer.body:
            raise NotAnsweredError(f"{answer.status}: {answer.body[:400]!r}")


def _checked(response: Response, status: int) -> Response:
    if response.status != status:
        message = f"{response.status} where {status} was due: {response.body[:400]!r}"
        raise SystemExit(message)
    return response


@dataclass(slots=True)
class Tally:
    """What was done, and what was not."""

    done: list[Done] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def figures(self) -> Figures:
        """All of it; the first error is told."""
        if self.errors:
            print(f"{len(self.errors)} errors, the first: {self.errors[0]}", file=sys.stderr)
        if len(self.done) < RATE_OF:
            raise SystemExit("hardly one was answered: there is no rate")
        times_s = sorted(took_s for _, took_s in self.done)
        return Figures(
            done=len(self.done),
            per_s=_steady(self.done),
            p50_ms=times_s[len(times_s) // 2] * 1_000,
            p99_ms=times_s[len(times_s) * 99 // 100] * 1_000,
            errors=len(self.errors),
        )


async def _run(plan: Plan) -> Figures:
    """Keep `in_flight` buyers busy until `count` is done."""
    buyers = [await _buyer(plan) for _ in range(plan.in_flight)]
    actions: dict[str, Callable[[Buyer], Awaitable[object]]] = {
        "cycles": Buyer.cycle,
        "asks": Buyer.ask,
        "direct": Buyer.direct,
        "paid": Buyer.paid,
    }
    action = actions[plan.kind]
    turns, tally = iter(range(plan.count)), Tally()
    async with asyncio.TaskGroup() as tasks:
        for number, buyer in enumerate(buyers):
            pause_s = plan.spread_ms / 1_000 * number / plan.in_flight
            tasks.create_task(_repeat(buyer, action, turns, tally, pause_s=pause_s))
    return tally.figures()


def _steady(done: list[Done]) -> float:
    """The rate of the middle: without those who came before all were there, or after some left."""
    first, last = len(done) // 5, len(done) * 4 // 5
    seconds = done[last][0] - done[first][0]
    return (last - first) / seconds


async def _repeat(
    buyer: Buyer,
    action: Callable[[Buyer], Awaitable[object]],
    turns: Iterator[int],
    tally: Tally,
    *,
    pause_s: float,
) -> None:
    await asyncio.sleep(pause_s)
    for _ in turns:
        started = time.perf_counter()
        try:
            await action(buyer)
        except NotAnsweredError as error:
            tally.errors.append(str(error))
            continue
        ended = time.perf_counter()
        tally.done.append((ended, ended - started))


async def _buyer(plan: Plan) -> Buyer:
    wallet = await connect(plan.node_port) if plan.node_port else None
    return Buyer(plan, await connect(plan.port), wallet)


async def _wait(plan: Plan) -> Figures:
    """Everybody asks what will not be answered; they are held until a line comes in."""
    buyers = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.count):
            buyer = await _buyer(plan)
            buyers.append(buyer)
            tasks.create_task(buyer.wait(await buyer.unanswerable()))
        print("waiting", flush=True)
        await asyncio.to_thread(sys.stdin.buffer.readline)
        for buyer in buyers:
            buyer.hang_up()
    return Figures(done=len(buyers), per_s=0, p50_ms=0)


async def _carry_out(plan: Plan) -> Figures:
    return await (_wait(plan) if plan.kind in WAITING else _run(plan))


def main() -> None:
    """Carry out the plan of the first line."""
    plan = Plan(**orjson.loads(sys.stdin.buffer.readline()))
    figures = uvloop.run(_carry_out(plan))
    sys.stdout.buffer.write(orjson.dumps(asdict(figures)) + b"\n")


if __name__ == "__main__":
    main()
