"""A service and a simulator as real processes, to be killed and started again.

The simulator is a process of its own, so that what was charged upstream survives the service. The
development node is inside the service, with its state in a file. Must not know: any test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

MODEL = "openai/gpt-5-mini"
READY_S = 90.0
POLL_S = 0.05
LOG_TAIL = 4_000


# How far each escrow is, as callers read it, from its row and that of its run.
PROGRESS = (
    "SELECT CASE state WHEN 'running' THEN run_state WHEN 'priced' THEN 'costed' ELSE state END "
    "FROM escrow JOIN run USING (run_id)"
)
# Below those that the system gives to outgoing connections: it would give one of its own to
# somebody else before the server that it is meant for listens on it.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    """A port that nobody listens on just now."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def ask_body(text: str, **more: object) -> dict[str, object]:
    """A small chat request."""
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "max_tokens": 60, **more}


@dataclass
class LiveProcess:
    """One command of ours, its environment and its log."""

    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output is appended to the log."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cobot_meter", *self.command],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output,
            )

    def log_tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(timeout=READY_S)
        self.process = None
        return code


@dataclass
class Live:
    """The pair of processes and a client for each face."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    lag_s: float = 0.0

    def __post_init__(self) -> None:
        """Choose ports; nothing runs yet."""
        self.face, self.node, self.upstream = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        self.data_dir = self.folder / "data"
        environment = {
            "COBOT_METER_DATA_DIR": str(self.data_dir),
            "COBOT_METER_LISTEN": self.face.removeprefix("http://"),
            "COBOT_METER_NODE_LISTEN": self.node.removeprefix("http://"),
            "COBOT_METER_SIMULATOR_LISTEN": self.upstream.removeprefix("http://"),
            "COBOT_METER_METRICS_LISTEN": "off",
            "COBOT_METER_SIMULATOR_LAG_S": str(self.lag_s),
            "COBOT_METER_SIMULATOR_LATENCY_S": "0",
        }
        served = {
            **environment,
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": f"{self.upstream}/api/v1",
            "OPENROUTER_API_KEY": "sk-or-v1-simulated",
            "COBOT_METER_COMPARE_INTERVAL_S": "0.1",
            "COBOT_METER_DUE_INTERVAL_S": "0.1",
            "COBOT_METER_SWEEP_INTERVAL_S": "0.2",
            **self.settings,
        }
        self.simulator = LiveProcess(("simulator",), environment, self.folder / "simulator.log")
        self.service = LiveProcess(("serve",), served, self.folder / "service.log")
        self.http = httpx.AsyncClient(timeout=30.0)

    async def start(self) -> None:
        """Start what does not run, and wait until it is ready."""
        if self.simulator.process is None:
            self.simulator.start()
            await self._until_ok(f"{self.upstream}/api/v1/models", self.simulator)
        self.service.start()
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait until the service takes asks; it must not end meanwhile."""
        await self._until_ok(f"{self.face}/readyz", self.service)

    async def _until_ok(self, url: str, owner: LiveProcess) -> None:
        said = "nothing"
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            if owner.process is None or owner.process.poll() is not None:
                raise AssertionError(owner.log_tail())
            try:
                answer = await self.http.get(url)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code == httpx.codes.OK:
                    return
                said = answer.text
            await asyncio.sleep(POLL_S)
        message = f"{url} says {said}\n{owner.log_tail()}"
        raise AssertionError(message)

    def log_lines(self) -> list[str]:
        """What the service has printed so far."""
        return self.service.log.read_text(errors="replace").splitlines()

    def kill(self) -> None:
        """Kill -9 of the serving process."""
        self.service.signal(signal.SIGKILL)

    async def aclose(self) -> None:
        """End both processes and the client."""
        await self.http.aclose()
        for process in (self.service, self.simulator):
            if process.process is not None and process.process.poll() is None:
                process.signal(signal.SIGKILL)

    async def ask(self, body: dict[str, object], **headers: str) -> httpx.Response:
        """POST the body to the paid route."""
        url = f"{self.face}/v1/chat/completions"
        return await self.http.post(url, json=body, headers=headers)

    async def pay(self, payment_request: str) -> str:
        """Pay at the development node; the preimage."""
        paid = await self.http.post(f"{self.node}/pay", json={"payment_request": payment_request})
        assert paid.status_code == httpx.codes.OK, paid.text
        return str(paid.json()["payment_preimage"])

    async def control_node(self, **faults: object) -> None:
        """Switch faults of the development node."""
        answer = await self.http.post(f"{self.node}/control/faults", json=faults)
        assert answer.status_code == httpx.codes.OK, answer.text

    async def control_upstream(self, what: str, **values: object) -> dict[str, object]:
        """Control the simulator: `faults`, `timing`, ..."""
        answer = await self.http.post(f"{self.upstream}/control/{what}", json=values)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    async def upstream_book(self) -> dict[str, object]:
        """The simulator's credit book."""
        answer = await self.http.get(f"{self.upstream}/control/book")
        return dict(answer.json())


def proof_of(challenge: httpx.Response, preimage: str) -> dict[str, str]:
    """The Authorization header that a paid 402 earns."""
    return {"Authorization": f"L402 {challenge.json()['macaroon']}:{preimage}"}
