"""The service on PostgreSQL as real processes: a sale, a fail-over in its middle, two replicas."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.live import PROGRESS, READY_S, Live, LiveProcess, ask_body, proof_of
from tests.fakes.lnd.lnd_server import FakeLnd
from tests.postgres.cluster import Cluster

BODY = ask_body("Tell me about harbours.")
URL = "COBOT_METER_DATABASE_URL"
BODY_KEYS = "COBOT_METER_BODY_KEYS_DIR"
WITHIN_S = 40.0


def rows(cluster: Cluster, url: str, sql: str) -> str:
    """What one statement says of these books."""
    return cluster.sql(sql, database=url.rpartition("/")[2])


async def until(cluster: Cluster, url: str, sql: str, wanted: str) -> None:
    """Wait until the statement says this."""
    async with asyncio.timeout(WITHIN_S):
        while rows(cluster, url, sql) != wanted:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.05)


async def command(process: LiveProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """An operator's command with the settings of a serving process."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cobot_meter", *words],
        env={**os.environ, **process.environment},
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )


@pytest.fixture
async def live(tmp_path: Path, database: str) -> AsyncIterator[Live]:
    """One serving process with its books in PostgreSQL."""
    pair = Live(tmp_path, settings={URL: database})
    try:
        await pair.start()
        yield pair
    finally:
        await pair.aclose()


async def bought(live: Live) -> None:
    """Ask, pay and claim."""
    challenge = await live.ask(BODY)
    assert challenge.status_code == httpx.codes.PAYMENT_REQUIRED, challenge.text
    preimage = await live.pay(challenge.json()["invoice"])
    answer = await live.ask(BODY, **proof_of(challenge, preimage))
    assert answer.status_code == httpx.codes.OK, answer.text


async def test_a_sale_on_postgresql_is_audited(live: Live) -> None:
    """Ask, pay, read; then the audit and the ledger of the same database are right."""
    await bought(live)
    audit = await command(live.service, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    check = await command(live.service, "db", "check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert not (live.data_dir / "books.sqlite3").exists()


@pytest.mark.slow
async def test_the_server_fails_in_the_middle_of_a_sale(
    tmp_path: Path, cluster: Cluster, database: str
) -> None:
    """Killed between invoice and payment: the service goes on, and what was paid is delivered."""
    live = Live(tmp_path, settings={URL: database})
    try:
        await live.start()
        challenge = await live.ask(BODY)
        assert challenge.status_code == httpx.codes.PAYMENT_REQUIRED, challenge.text
        await asyncio.to_thread(cluster.kill)
        preimage = await live.pay(challenge.json()["invoice"])
        refused = await live.ask(BODY, **proof_of(challenge, preimage))
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
        await asyncio.to_thread(cluster.start)
        await live.until_ready()
        answer = await live.ask(BODY, **proof_of(challenge, preimage))
        assert answer.status_code == httpx.codes.OK, answer.text
        audit = await command(live.service, "audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
    finally:
        await live.aclose()


@contextlib.asynccontextmanager
async def replicas(tmp_path: Path, database: str) -> AsyncIterator[tuple[Live, Live, FakeLnd]]:
    """Two serving processes on one database, one node, one upstream and one secret."""
    (tmp_path / "lnd").mkdir()
    lnd = FakeLnd(tmp_path / "lnd")
    await lnd.start()
    settings = {
        URL: database,
        BODY_KEYS: str(tmp_path / "body-keys"),
        "COBOT_METER_NODE": "lnd",
        "COBOT_METER_LND_ADDRESS": f"127.0.0.1:{lnd.port}",
        "COBOT_METER_LND_TLS_CERT": str(lnd.certificate_path),
        "COBOT_METER_LND_MACAROON": str(lnd.macaroon_path),
    }
    pair = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        pair.append(Live(tmp_path / name, settings=settings))
    one, other = pair
    other.simulator = one.simulator
    other.upstream = one.upstream
    other.service.environment["COBOT_METER_UPSTREAM_URL"] = f"{one.upstream}/api/v1"
    for live in pair:
        del live.service.environment["COBOT_METER_NODE_LISTEN"]
    try:
        await one.start()
        other.data_dir.mkdir(mode=0o700)
        shutil.copy(one.data_dir / "secret.key", other.data_dir / "secret.key")
        await other.start()
        yield one, other, lnd
    finally:
        await other.aclose()
        await one.aclose()
        await lnd.stop()


@pytest.mark.slow
async def test_two_replicas_sell_the_same_ask_once(
    tmp_path: Path, cluster: Cluster, database: str
) -> None:
    """Asked of both at once: one run, one invoice; paid, both know, and either one delivers."""
    async with replicas(tmp_path, database) as (one, other, lnd):
        asked = await asyncio.gather(one.ask(BODY), other.ask(BODY))
        assert [answer.status_code for answer in asked] == [402, 402], [a.text for a in asked]
        invoices = {answer.json()["invoice"] for answer in asked}
        assert len(invoices) == 1
        assert (await one.upstream_book())["posts"] == 1
        preimage = lnd.memory.pay(invoices.pop())
        assert preimage
        await until(cluster, database, PROGRESS, "settled")
        for live, challenge in zip((other, one), asked[::-1], strict=True):
            answer = await live.ask(BODY, **proof_of(challenge, preimage))
            assert answer.status_code == httpx.codes.OK, answer.text
        audit = await command(one.service, "audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.mark.slow
async def test_a_replica_that_does_not_see_the_keys_of_the_day_sells_nothing(
    tmp_path: Path, database: str
) -> None:
    """Not ready and no sale, while the other one sells; with the directory it is ready at once."""
    async with replicas(tmp_path, database) as (one, other, lnd):
        challenge = await one.ask(BODY)
        assert challenge.status_code == httpx.codes.PAYMENT_REQUIRED, challenge.text
        other.service.signal(signal.SIGTERM)
        shared = other.service.environment.pop(BODY_KEYS)
        other.service.start()
        await until_answers(other, httpx.codes.SERVICE_UNAVAILABLE)
        ready = await other.http.get(f"{other.face}/readyz")
        assert ready.json()["parts"]["body_keys"]["code"] == "body_keys_unusable", ready.text
        refused = await other.ask(ask_body("Tell me about lighthouses."))
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.json()["error"]["code"] == "body_keys_unusable"
        assert "share the directory with the replica that has it" in other.service.log_tail()
        preimage = lnd.memory.pay(challenge.json()["invoice"])
        assert preimage
        answer = await one.ask(BODY, **proof_of(challenge, preimage))
        assert answer.status_code == httpx.codes.OK, answer.text
        other.service.signal(signal.SIGTERM)
        other.service.environment[BODY_KEYS] = shared
        await other.start()
        sold = await other.ask(ask_body("Tell me about lighthouses."))
        assert sold.status_code == httpx.codes.PAYMENT_REQUIRED, sold.text


async def until_answers(live: Live, status: int) -> None:
    """Wait until it listens, and says how ready it is."""
    async with asyncio.timeout(READY_S):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await live.http.get(f"{live.face}/readyz")).status_code == status:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_killed_replicas_ask_is_finished_by_the_other(
    tmp_path: Path, cluster: Cluster, database: str
) -> None:
    """Killed while its request runs upstream: the other books the outcome, and sells anew."""
    async with replicas(tmp_path, database) as (one, other, _):
        await one.control_upstream("timing", latency_s=60)
        asking = asyncio.ensure_future(one.ask(BODY))
        await until(cluster, database, PROGRESS, "requested")
        other.service.signal(signal.SIGTERM)
        await other.start()
        assert rows(cluster, database, PROGRESS) == "requested"
        one.kill()
        with contextlib.suppress(httpx.TransportError):
            await asking
        await one.control_upstream("timing", latency_s=0)
        await until(cluster, database, PROGRESS, "failed")
        why = rows(cluster, database, "SELECT failure_code FROM escrow")
        assert why == "outcome_unknown"
        again = await other.ask(ask_body("Tell me about lighthouses."))
        assert again.status_code == httpx.codes.PAYMENT_REQUIRED, again.text
