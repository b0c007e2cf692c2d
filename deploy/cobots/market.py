"""A service with everything embedded, and what its operator and its callers do by command and HTTP.

Must not know: cobots.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from cobot_pay.wallet import Wallet

READY_S = 60.0
TIMEOUT_S = 30.0
NODE_ACCOUNTS = "ln/node/"
CAP_SAT = 10_000
FEE_MAX_MSAT = 10_000
_PORTS = range(10_000, 32_000)


class MarketFailed(Exception):
    """The service did not start, or did not do what it is for."""


class Market:
    """One service as a process; `face` is its address, and `node` that of its play money's node."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """`folder` takes its data and its log; `settings` name a real node. Nothing runs yet."""
        self.folder = folder
        self.face, self.node, upstream = (f"http://127.0.0.1:{_free_port()}" for _ in range(3))
        self._environment = {
            **os.environ,
            "COBOT_METER_DATA_DIR": str(folder / "data"),
            "COBOT_METER_LISTEN": self.face.removeprefix("http://"),
            "COBOT_METER_NODE_LISTEN": self.node.removeprefix("http://"),
            "COBOT_METER_SIMULATOR_LISTEN": upstream.removeprefix("http://"),
            "COBOT_METER_METRICS_LISTEN": "off",
            "COBOT_METER_SIMULATOR_LAG_S": "0",
            "NO_COLOR": "1",
            "COLUMNS": "110",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False)

    def start(self) -> None:
        """Start it, and wait until it takes asks. Raises MarketFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "service.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cobot_meter", "serve"],
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if self._http.get(f"{self.face}/readyz").status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
        raise MarketFailed(log.read_text(errors="replace")[-4_000:])

    def stop(self) -> None:
        """End it as an operator does."""
        self._http.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=READY_S)

    def command(self, *words: str, module: str = "cobot_meter") -> str:
        """What one of our commands prints. Raises MarketFailed."""
        ended = subprocess.run(
            [sys.executable, "-m", module, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        if ended.returncode != 0:
            raise MarketFailed(ended.stdout + ended.stderr)
        return ended.stdout

    async def key(self, sat: int, wallet: Wallet) -> tuple[str, str]:
        """An API key with so much credit, paid by this wallet, and the caller that it belongs to.

        Raises L402Error.
        """
        url, body = f"{self.face}/v1/topups", {"amount_sat": sat, "key": {"name": "cobot"}}
        asked = self._post(url, body)
        paid = await wallet.pay(str(asked["invoice"]), max_fee_msat=FEE_MAX_MSAT)
        proof = f"L402 {asked['macaroon']}:{paid.preimage}"
        key = str(self._post(url, body, Authorization=proof)["key"]["key"])
        credit = self._http.get(
            f"{self.face}/v1/credits", headers={"Authorization": f"Bearer {key}"}
        )
        return key, str(credit.json()["cobot"]["caller_id"])

    def received_msat(self) -> int:
        """What the service has booked at its node."""
        rows = json.loads(self.command("ledger", "--json"))["trial_balance"]
        nodes = (row for row in rows if row["account"].startswith(NODE_ACCOUNTS))
        return sum(int(row["net"]) for row in nodes)

    def trust(self, caller_id: str) -> str:
        """The operator's word that this caller may sell tasks."""
        return self.command("callers", "cap", caller_id, str(CAP_SAT))

    def _post(self, url: str, body: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.post(url, json=body, headers=headers).json()
        return answer


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
