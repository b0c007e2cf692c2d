"""`openrouter-simulator`: the simulator by itself, as somebody who wants nothing else has it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from openrouter_simulator.__main__ import main
from tests.end_to_end.live import free_port

ASK = {
    "model": "mistralai/mistral-small-2603",
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "Why do invoices expire?"}],
}


@contextlib.contextmanager
def serving(*words: str) -> Iterator[httpx.Client]:
    """The command in a process of its own, until its API answers, and after that its end."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "openrouter_simulator",
        "--listen",
        f"127.0.0.1:{port}",
        *words,
    ]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ)) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20) as client,
    ):
        try:
            _until_it_answers(client, process)
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _until_it_answers(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            client.get("/models/count")
            return
        time.sleep(0.05)
    message = f"the simulator ended with {process.returncode}"
    raise AssertionError(message)


def test_it_sells_and_remembers_what_it_charged(tmp_path: Path) -> None:
    """A completion, its record, and after a restart the same usage of the key."""
    words = ("--book", str(tmp_path / "book.jsonl"), "--lag-s", "0", "--latency-s", "0")
    headers = {"Authorization": "Bearer sk-any"}
    with serving(*words) as client:
        answer = client.post("/chat/completions", json=ASK, headers=headers)
        assert answer.status_code == 200, answer.text
        record = client.get("/generation", params={"id": answer.json()["id"]}, headers=headers)
        assert record.status_code == 200, record.text
        usage = client.get("/key", headers=headers).json()["data"]["usage"]
    with serving(*words) as client:
        assert client.get("/key", headers=headers).json()["data"]["usage"] == usage > 0


def test_a_key_that_was_named_is_the_only_one() -> None:
    """With `--key` another key gets 401."""
    with serving("--key", "sk-mine") as client:
        wrong = client.post(
            "/chat/completions", json=ASK, headers={"Authorization": "Bearer sk-yours"}
        )
        assert wrong.status_code == 401


@pytest.mark.parametrize(
    "words",
    [
        *(("--listen", text) for text in ("8403", "127.0.0.1:", "127.0.0.1:99999", ":1", "h:٣")),
        *(("--credit-usd", text) for text in ("-1", "NaN", "Infinity", "much")),
        *(("--lag-s", text) for text in ("-0.1", "nan", "inf", "soon")),
    ],
)
def test_what_does_not_fit_is_named(
    words: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one sentence that shows what was given and what would fit."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert repr(words[1]) in capfd.readouterr().err
