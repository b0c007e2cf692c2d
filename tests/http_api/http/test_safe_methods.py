"""GET, HEAD and OPTIONS leave the books as they are: on every route, on a real SQLite file.

One GET does more, and only once: whoever reads a paid completion for the first time, with the proof
that opens it, has it released. A HEAD of it hands nothing over and releases nothing.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import httpx
import pytest

from cobot_meter.wiring.opening.databases import BOOKS_FILE
from tests.cli.shop import CommandLine, command_line_in, one_sold_one_open, selling
from tests.http_api.face_rig import CHAT

# Nothing of the service's own accord may write while the routes are read.
QUIET = {"COMPARE_INTERVAL_S": "3600", "SWEEP_INTERVAL_S": "3600", "DUE_INTERVAL_S": "3600"}


def digest(folder: Path) -> str:
    """Every row of every table."""
    with sqlite3.connect(folder / BOOKS_FILE) as books:
        lines = "\n".join(books.iterdump())
    books.close()
    return hashlib.sha256(lines.encode()).hexdigest()


def quiet_shop(folder: Path) -> CommandLine:
    """A service without timers."""
    more = {f"COBOT_METER_{name}": value for name, value in QUIET.items()}
    return CommandLine({**command_line_in(folder).environ, **more})


def filled(path: str, escrow_id: str) -> str:
    """A path of the description with words in place of what it leaves open."""
    words = {"escrow_id": escrow_id, "author": "openai", "slug": "gpt-5-mini", "model": "some"}
    words |= {"topup_id": "top_1", "key_id": "key_1", "task_id": "esc_1"}
    return path.format(**words)


@pytest.mark.parametrize("state", ["open", "released"])
async def test_reading_writes_nothing(tmp_path: Path, state: str) -> None:
    """Every route of the description, nameless and with a credential, from many addresses."""
    environ = {"COBOT_METER_TRUSTED_PROXIES": "127.0.0.0/8", **quiet_shop(tmp_path).environ}
    async with (
        selling(CommandLine(environ)) as (running, agent),
        httpx.AsyncClient(base_url=running.face.url, trust_env=False, timeout=20) as http,
    ):
        sold, unpaid = await one_sold_one_open(agent)
        escrow_id = str((unpaid if state == "open" else sold).escrow["id"])
        assert sold.payment is not None
        token = f"L402 {sold.challenge['macaroon']}:{sold.payment.preimage}"
        described = (await http.get("/openapi.json")).json()["paths"]
        paths = [filled(path, escrow_id) for path in (*described, "/metrics", "/v1/nope")]
        assert CHAT in paths
        before = digest(tmp_path)
        for method in ("GET", "HEAD", "OPTIONS"):
            for number, path in enumerate(paths):
                for headers in ({}, {"Authorization": token}, {"Authorization": "Bearer any"}):
                    where = {"X-Forwarded-For": f"203.0.113.{number}", **headers}
                    answer = await http.request(method, path, headers=where)
                    assert answer.status_code < 500, (method, path, answer.text)
        assert digest(tmp_path) == before
        assert (await http.post(CHAT, content=b"")).status_code == 402
        assert digest(tmp_path) != before
