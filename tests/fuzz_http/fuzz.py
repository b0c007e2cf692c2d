"""Sends inputs to a service in a process of its own, on a real SQLite file, and judges it after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.end_to_end.live import Live, ask_body, proof_of
from tests.fuzz_http.inputs import Known, input_of

AT_ONCE = 24
ANSWER_S = 30.0
SILENCE_S = 0.08  # a damaged request may be one that never ends
WARM_UP = 2_000
GROWTH_BYTES_MAX = 20 * 1_024 * 1_024
PAID_EVERY = 500
POOL = 40
SETTLED_S = 60.0
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n")
# Nothing is refused for the sake of the day's budget: what is refused early proves little.
SETTINGS = {
    "COBOT_METER_TRUSTED_PROXIES": "127.0.0.0/8",
    "COBOT_METER_UNPAID_DAY_USD": "10000",
    "COBOT_METER_NEWCOMER_CAP_SAT": "1000000",
    "COBOT_METER_INVOICE_EXPIRY_S": "3600",
}


@dataclass(slots=True)
class Verdict:
    """What was answered, and what must not be."""

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    grown_bytes: int = 0

    def __str__(self) -> str:
        """One line of figures."""
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(self.answers.items()))
        grown = self.grown_bytes / 1_048_576
        return f"{self.inputs} inputs; answers {answers}; memory grew by {grown:.1f} MiB"


class Fuzz:
    """One run."""

    def __init__(self, folder: Path, seed: int) -> None:
        """The data of the service is in `folder`."""
        self._live = Live(folder, settings=SETTINGS)
        self._seed = seed
        self._known = Known()
        self._verdict = Verdict()

    async def run(self, first: int, count: int, *, warm_up: int = WARM_UP) -> Verdict:
        """Send inputs `first` and on, then judge."""
        try:
            await self._live.start()
            warm = min(warm_up, count // 2)
            await self._send_all(range(first, first + warm))
            before = self._resident_bytes()
            await self._send_all(range(first + warm, first + count))
            self._verdict.grown_bytes = self._resident_bytes() - before
            await self._judge()
        finally:
            await self._live.aclose()
        return self._verdict

    async def _send_all(self, numbers: range) -> None:
        left = iter(numbers)

        async def sender() -> None:
            for number in left:
                if number % PAID_EVERY == 0:
                    await self._buy(number)
                await self._send(number)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(sender())

    async def _send(self, number: int) -> None:
        data = input_of(self._seed, number, self._known)
        self._verdict.inputs += 1
        try:
            answer = await self._exchange(data)
        except OSError as fault:
            self._wrong(number, data, f"{type(fault).__name__}")
            return
        status = _STATUS.match(answer)
        self._verdict.answers[status[1].decode() if status else "closed"] += 1
        if any(code == b"500" for code in _STATUS.findall(answer)):
            self._wrong(number, data, f"answered {answer[:300]!r}")
        for escrow in re.findall(rb'"(esc_[A-Za-z0-9_-]{20,80})"', answer)[:1]:
            self._known.escrows = [*self._known.escrows[-POOL:], escrow.decode()]

    async def _exchange(self, data: bytes) -> bytes:
        """What comes back, until the answer is whole, the end, or a silence."""
        port = int(self._live.face.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        got = b""
        try:
            writer.write(data)
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(ANSWER_S):
                    while not _is_whole(got):
                        quiet_s = ANSWER_S if _looks_whole(data) and not got else SILENCE_S
                        async with asyncio.timeout(quiet_s):
                            piece = await reader.read(65_536)
                        if not piece:
                            break
                        got += piece
        finally:
            writer.transport.abort()
        return got

    async def _buy(self, number: int) -> None:
        """A credential that opens something, for later inputs to carry."""
        body = ask_body(f"Bought {self._seed} {number}")
        asked = await self._live.ask(body)
        if asked.status_code != httpx.codes.PAYMENT_REQUIRED:
            return
        proof = proof_of(asked, await self._live.pay(asked.json()["invoice"]))
        bought = await self._live.ask(body, **proof)
        if bought.status_code != httpx.codes.OK:
            self._verdict.wrongs.append(f"a paid ask got {bought.status_code}: {bought.text[:300]}")
        self._known.tokens = [*self._known.tokens[-POOL:], proof["Authorization"]]

    async def _judge(self) -> None:
        await self._until_quiet()
        log = "\n".join(self._live.log_lines())
        for mark in ("Traceback", "unforeseen", '"traceback"', '"level":"error"'):
            if mark in log:
                at = log.index(mark)
                self._verdict.wrongs.append(f"in the log: {log[max(0, at - 300) : at + 1500]}")
        if self._verdict.grown_bytes > GROWTH_BYTES_MAX:
            self._verdict.wrongs.append(f"memory grew by {self._verdict.grown_bytes} bytes")
        audit = await asyncio.to_thread(self._audit)
        if audit.returncode:
            self._verdict.wrongs.append(f"audit: {audit.stdout[-2000:]} {audit.stderr[-500:]}")

    async def _until_quiet(self) -> None:
        """Ready within a while; what was asked for last may still run."""
        ready: dict[str, object] = {}
        for _ in range(int(SETTLED_S / 0.5)):
            answer = await self._live.http.get(f"{self._live.face}/readyz")
            ready = answer.json()
            if answer.status_code == httpx.codes.OK:
                return
            await asyncio.sleep(0.5)
        self._verdict.wrongs.append(f"not ready: {json.dumps(ready)}")

    def _audit(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cobot_meter", "audit"],
            env={**os.environ, **self._live.service.environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def _resident_bytes(self) -> int:
        process = self._live.service.process
        assert process is not None
        pages = Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def _wrong(self, number: int, data: bytes, what: str) -> None:
        self._verdict.wrongs.append(f"input {self._seed}:{number} {what}\n  {data[:2000]!r}")


def _looks_whole(data: bytes) -> bool:
    """Whether an answer is to be waited for: the head has ended, and so has its body as told."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,7})(?:\r\n|$)", head)
    return bool(end) and b"chunked" not in head and len(body) >= (int(length[1]) if length else 0)


def _is_whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    return bool(end) and length is not None and len(body) >= int(length[1])
