"""The books cannot be written for a while: no restart, no lost run, and everybody is told."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.live import Live, ask_body, proof_of
from tests.end_to_end.test_postgres_service import command, until
from tests.postgres.cluster import Cluster

pytestmark = pytest.mark.slow

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
FULL_S, AWAY_S = 30.0, 60.0
BUYERS = 8
QUICK_S = 15.0  # a busy machine may take some of it; a patient wait would take 20
HEARD = {httpx.codes.SERVICE_UNAVAILABLE}


def body(name: str) -> dict[str, object]:
    """An ask of its own."""
    return ask_body(f"Tell me about harbours, number {name}.")


def size_of(path: Path) -> int:
    """In bytes."""
    return path.stat().st_size


async def begin_asks(live: Live) -> list[asyncio.Task[httpx.Response]]:
    """So many asks under way, all of them running upstream for some seconds."""
    await live.control_upstream("timing", latency_s=4)
    asking = [
        asyncio.get_running_loop().create_task(live.ask(body(str(number))))
        for number in range(BUYERS)
    ]
    async with asyncio.timeout(20):
        while (await live.upstream_book())["posts"] != BUYERS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await live.control_upstream("timing", latency_s=0)
    return asking


async def refused_meanwhile(live: Live, for_s: float) -> None:
    """New asks are refused quickly all the time, and `/readyz` says so."""
    until_s, number, ready = time.monotonic() + for_s, 0, set()
    while time.monotonic() < until_s:
        asked_s, number = time.monotonic(), number + 1
        answer = await live.ask(body(f"new {number}"))
        assert answer.status_code in HEARD, answer.text
        assert time.monotonic() - asked_s < QUICK_S
        for word in ("sqlite", "ledger", "disk", "database", "Error"):
            assert word not in answer.json()["error"]["message"]
        ready.add((await live.http.get(f"{live.face}/readyz")).status_code)
        await asyncio.sleep(0.5)
    assert httpx.codes.SERVICE_UNAVAILABLE in ready


async def nothing_was_lost(live: Live, asking: list[asyncio.Task[httpx.Response]]) -> None:
    """Each run of before is sold, none was run twice, and the books are right."""
    for one in asking:
        with contextlib.suppress(httpx.ReadTimeout):  # its run goes on without it
            await one
    for number in range(BUYERS):
        async with asyncio.timeout(40):
            challenge = await live.ask(body(str(number)))
            while challenge.status_code != httpx.codes.PAYMENT_REQUIRED:
                assert challenge.status_code in HEARD, challenge.text
                await asyncio.sleep(0.2)
                challenge = await live.ask(body(str(number)))
        preimage = await live.pay(challenge.json()["invoice"])
        answer = await live.ask(body(str(number)), **proof_of(challenge, preimage))
        assert answer.status_code == httpx.codes.OK, answer.text
    assert (await live.upstream_book())["posts"] == BUYERS
    audit = await command(live.service, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr


def outage_lines(live: Live) -> list[str]:
    """What the log says of outages, and it must not say it with tracebacks."""
    lines = live.log_lines()
    assert not [line for line in lines if "traceback" in line.lower()]
    return [line for line in lines if "the books cannot be written" in line]


async def test_a_full_disk_for_half_a_minute(live: Live) -> None:
    """No file may grow: asks are refused, and with room again the same process goes on."""
    process = live.service.process
    assert process is not None
    asking = await begin_asks(live)
    log = size_of(live.data_dir / "books.sqlite3-wal")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log, resource.RLIM_INFINITY))
    await refused_meanwhile(live, FULL_S)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    await live.until_ready()
    await nothing_was_lost(live, asking)
    assert process.poll() is None
    began, ended = outage_lines(live)
    assert "over after" not in began
    assert "over after" in ended


async def test_postgresql_is_away_for_a_minute(
    tmp_path: Path, cluster: Cluster, database: str
) -> None:
    """Killed while runs are under way, started a minute later: every finished run is sold."""
    live = Live(tmp_path, settings={"COBOT_METER_DATABASE_URL": database})
    try:
        await live.start()
        asking = await begin_asks(live)
        await asyncio.to_thread(cluster.kill)
        await refused_meanwhile(live, AWAY_S)
        await asyncio.to_thread(cluster.start)
        await live.until_ready()
        unfinished = "SELECT count(*) FROM run WHERE run_state = 'requested'"
        await until(cluster, database, unfinished, "0")
        await nothing_was_lost(live, asking)
        began, ended = outage_lines(live)
        assert "over after" not in began
        assert "over after" in ended
    finally:
        await live.aclose()
