"""What a running service says: a table once it sells, a log line for each sale, and no secret."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from cobot_meter import __version__
from tests.end_to_end.live import Live, LiveProcess, ask_body, proof_of

CANARY = "canary-in-a-prompt"
KEY = "sk-or-v1-simulated"
EXPIRY_S = "2"
TABLE = "Ask, and get an invoice"


def events(live: Live) -> list[dict[str, Any]]:
    """Every log line of the service so far."""
    return [json.loads(line) for line in live.log_lines() if line.startswith("{")]


async def seen(live: Live, message: str) -> dict[str, Any]:
    """The first line with this message, once there is one."""
    async with asyncio.timeout(30):
        while True:
            for event in events(live):
                if event["message"] == message:
                    return event
            await asyncio.sleep(0.05)


async def printed(live: Live, words: str) -> None:
    """Return when the service has printed these words."""
    async with asyncio.timeout(30):
        while True:
            if any(words in line for line in live.log_lines()):
                return
            await asyncio.sleep(0.01)


async def test_the_table_is_there_once_it_sells(tmp_path: Path) -> None:
    """Without an upstream it says what it waits for; right after the table an ask is sold."""
    live = Live(tmp_path, settings={"PYTHONIOENCODING": "ascii"})
    try:
        live.service.start()
        await printed(live, "not selling yet, waiting for: ")
        waits = next(line for line in live.log_lines() if "waiting for" in line)
        assert "models (" in waits
        assert not any(TABLE in line for line in live.log_lines())
        live.simulator.start()
        await printed(live, TABLE)
        asked = await live.ask(ask_body("About harbours"))
        assert asked.status_code == httpx.codes.PAYMENT_REQUIRED
    finally:
        await live.aclose()


async def test_every_sale_is_a_line_with_its_names_and_nothing_secret(tmp_path: Path) -> None:
    """Start, sale, lapse, recovery and stop: found by id, and no canary in any of them."""
    live = Live(tmp_path, settings={"COBOT_METER_INVOICE_EXPIRY_S": EXPIRY_S})
    try:
        await live.start()
        started = await seen(live, "started")
        assert started["version"] == __version__
        assert started["books"] == str(live.data_dir / "books.sqlite3")
        assert {"listen", "public_url", "node", "network", "upstream", "at"} < started.keys()
        assert "after_ms" in await seen(live, "selling")

        body = ask_body(f"{CANARY}: write 200 words.", max_tokens=300)
        challenge = await live.ask(body)
        preimage = await live.pay(challenge.json()["invoice"])
        proof = proof_of(challenge, preimage)
        answer = await live.ask(body, **proof)
        assert answer.status_code == httpx.codes.OK
        text = answer.json()["choices"][0]["message"]["content"]
        escrow = challenge.json()["escrow"]
        sold = await seen(live, "sold")
        assert sold["escrow_id"] == escrow["id"]
        assert sold["price_msat"] == escrow["cost"]["price_msat"]
        assert sold["paid_msat"] >= sold["price_msat"]
        assert sold["cost_usd"] == escrow["cost"]["upstream_usd"]
        assert sold["generation_id"].startswith("gen-")
        assert sold["caller_id"].startswith("c_")

        unpaid = await live.ask(ask_body(f"{CANARY} again", max_tokens=300))
        lapsed = await seen(live, "lapsed")
        assert lapsed["escrow_id"] == unpaid.json()["escrow"]["id"]
        assert live.service.signal(signal.SIGTERM) == 0
        assert [event["message"] for event in events(live)][-2:] == ["stopping", "stopped"]

        secrets = (CANARY, text[:40], preimage, KEY, challenge.json()["macaroon"])
        whole = live.service.log.read_text(errors="replace")
        assert [secret for secret in secrets if secret in whole] == []
        assert {event["level"] for event in events(live)} <= {"info", "warning"}
    finally:
        await live.aclose()


async def test_what_a_killed_process_left_is_said_to_be_recovered(tmp_path: Path) -> None:
    """The next start says how many escrows it goes on with."""
    live = Live(tmp_path, lag_s=20.0)
    try:
        await live.start()
        asking = asyncio.gather(live.ask(ask_body("About lights")), return_exceptions=True)
        await asyncio.sleep(1)
        live.kill()
        await asking
        live.service.start()
        assert (await seen(live, "recovered"))["escrows"] >= 1
    finally:
        await live.aclose()


def unread(service: LiveProcess) -> subprocess.Popen[bytes]:
    """The service's process, with a pipe that nobody reads in place of its log."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        return subprocess.Popen(
            [sys.executable, "-m", "cobot_meter", *service.command],
            env={**os.environ, **service.environment},
            stdout=closed,
            stderr=closed,
        )


async def test_a_service_whose_table_nobody_reads_goes_on_selling(tmp_path: Path) -> None:
    """Both its streams end in a pipe without a reader: it starts, sells and stops as ever."""
    live = Live(tmp_path)
    try:
        live.simulator.start()
        live.service.process = unread(live.service)
        live.service.log.touch()
        await live.until_ready()
        body = ask_body("About readers")
        challenge = await live.ask(body)
        proof = proof_of(challenge, await live.pay(challenge.json()["invoice"]))
        assert (await live.ask(body, **proof)).status_code == httpx.codes.OK
        assert live.service.signal(signal.SIGTERM) == 0
    finally:
        await live.aclose()
