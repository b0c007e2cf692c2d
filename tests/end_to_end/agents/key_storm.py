"""Many requests at once against a real service, and what the books say of them afterwards.

Told from outside alone: statuses, prices in answers, credits, the operator's commands and the
simulator's bill. Must not know: how anything is reserved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.domain.money import pusd_from_text
from tests.end_to_end.live import Live

PATIENT = HttpLimits(connect_timeout_s=60, pool_timeout_s=120, read_timeout_s=120)
OK, BAD, TO_PAY, BUSY = 200, 400, 402, 503
CONFIRMED_S = 150.0
TRIES = 5
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """What one request got: its status, and of a whole answer the price and the sale."""

    status: int
    code: str = ""
    price_msat: int = 0
    sale: str = ""


class Storm:
    """Requests of one key; all of `fire` are under way at once."""

    def __init__(self, live: Live, http: httpx.AsyncClient, key: str) -> None:
        """`http` keeps as many connections as there are requests."""
        self._live = live
        self._http = http
        self._worn = {"Authorization": f"Bearer {key}"}
        self.most_open = 0

    async def fire(self, bodies: Sequence[Mapping[str, Any]]) -> list[Told]:
        """What each of them got."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            async with asyncio.TaskGroup() as asked:
                asks = [asked.create_task(self._ask(body)) for body in bodies]
            watching.cancel()
        return [ask.result() for ask in asks]

    async def key(self) -> dict[str, Any]:
        """The key as `/v1/key` tells of it, with its caller's credit; nothing is reserved."""
        url = f"{self._live.face}/v1/key"
        told = (await self._http.get(url, headers=self._worn)).json()["data"]["cobot"]
        assert told["key"]["reserved_msat"] == 0
        return {"available_msat": told["available_msat"], **told["key"]}

    async def _ask(self, body: Mapping[str, Any]) -> Told:
        answer = await self._answer(body)
        if answer.status_code != OK:
            error = answer.json()["error"]
            assert error["message"]
            return Told(answer.status_code, str(error["code"]))
        document = answer.json() if not body.get("stream") else _last_chunk(answer.text)
        ours = document["cobot"]
        return Told(OK, "", ours["cost"]["price_msat"], ours["escrow_id"])

    async def _answer(self, body: Mapping[str, Any]) -> httpx.Response:
        """As an agent asks: once more where the connection closed before it could be said.

        A service gives up a connection whose head takes ten seconds, which a busy machine's may.
        """
        url = f"{self._live.face}/v1/chat/completions"
        for _ in range(TRIES - 1):
            with contextlib.suppress(httpx.TransportError):
                return await self._http.post(url, json=dict(body), headers=self._worn)
        return await self._http.post(url, json=dict(body), headers=self._worn)

    async def _watch(self) -> None:
        """How many runs were open at once upstream, looked at now and then."""
        while True:
            book = await self._live.upstream_book()
            self.most_open = max(self.most_open, int(str(book["open"])))
            await asyncio.sleep(_POLL_S)


def _last_chunk(text: str) -> dict[str, Any]:
    *chunks, done = [line for line in text.splitlines() if line.startswith("data:")]
    assert done == "data: [DONE]", text[-500:]
    last: dict[str, Any] = json.loads(chunks[-1].removeprefix("data:"))
    return last


def paid_msat(told: Sequence[Told]) -> int:
    """What all of them cost together: answers of one sale are paid for once."""
    return sum({one.sale: one.price_msat for one in told if one.status == OK}.values())


@asynccontextmanager
async def storm_of(live: Live, key: str) -> AsyncIterator[Storm]:
    """With connections of its own."""
    async with http_session(PATIENT) as http:
        yield Storm(live, http, key)


async def prove_books(live: Live, *, confirmed: bool = False) -> None:
    """The audit finds nothing, and the cost booked is the simulator's bill.

    As it was said in the answers, to less than a pico-USD for each; once all of it is `confirmed`,
    which takes a minute, it is the bill itself.
    """
    async with asyncio.timeout(CONFIRMED_S):
        while True:
            booked_pusd, bill_pusd, runs = await _costs(live)
            apart = abs(booked_pusd - bill_pusd)
            assert apart <= runs, f"{booked_pusd} pico-USD are booked of {bill_pusd}"
            if not confirmed or not apart:
                break
            await asyncio.sleep(1)
    audit = await _command(live, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "the books are right" in audit.stdout


async def _costs(live: Live) -> tuple[int, int, int]:
    """What is booked as cost, what the simulator has charged, and for how many runs."""
    ledger = json.loads((await _command(live, "ledger", "--json")).stdout)
    rows = ledger["trial_balance"]
    booked_pusd = sum(row["net"] for row in rows if row["account"].startswith("cost/"))
    book = await live.upstream_book()
    bill_pusd = pusd_from_text(str(book["spent_usd"]))
    assert bill_pusd > 0
    return booked_pusd, bill_pusd, int(str(book["runs"]))


async def _command(live: Live, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cobot_meter", *words],
        env={**os.environ, **live.service.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
