"""The storm: callers who buy all the time, and three kinds of process that die at random moments.

The service, its Lightning node and its database are killed in turn with SIGKILL and started again;
the simulator that plays the upstream stays, so that its credit book can be compared with ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from deploy.regtest.network import Network
from deploy.regtest.waiting import until
from tests.end_to_end.live import Live
from tests.postgres.cluster import Cluster
from tests.storm.buyers import Buyer, Purchase
from tests.storm.verdict import Evidence, findings, settled_at

BUYERS = 4
CALM_S = (0.05, 1.2)
SEED = 20_261_123
RECKONINGS = 30
HTLC_MSAT = 1_000
UNGUARDED = {
    "COBOT_METER_NEWCOMER_CAP_SAT": "100000000",
    "COBOT_METER_CAP_MAX_SAT": "100000000",
    "COBOT_METER_UNPAID_DAY_USD": "10000",
    "COBOT_METER_ADDRESS_RUNS_MAX": "100000",
    "COBOT_METER_RUNS_WAITING_MAX": "100000",
}

Kill = Callable[[], Awaitable[None]]
Progress = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What happened and what was wrong afterwards."""

    kills: Counter[str] = field(default_factory=Counter)
    purchases: tuple[Purchase, ...] = ()
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        victims = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        paid = sum(1 for one in self.purchases if one.preimage)
        delivered = sum(1 for one in self.purchases if one.delivered)
        lost = sum(1 for one in self.purchases if one.run_lost)
        repeats = sum(one.repeats for one in self.purchases)
        torn = sum(1 for one in self.purchases if one.nodes_disagree)
        lapsed = sum(1 for one in self.purchases if one.lapsed)
        disagree = f"{torn} on which the nodes disagree, " if torn else ""
        return (
            f"{self.kills.total()} kills ({victims}): {len(self.purchases)} asked, {paid} paid, "
            f"{delivered} delivered, {lost} runs lost before they were paid, {lapsed} lapsed, "
            f"{disagree}{repeats} repeats; "
            f"{len(self.findings)} findings"
        )


class Storm:
    """One service on real parts, and whoever buys there."""

    def __init__(self, folder: Path, network: Network, cluster: Cluster, database_url: str) -> None:
        """`database_url` is that of an empty database of the cluster."""
        self._network = network
        self._cluster = cluster
        self._folder = folder
        self._database_url = database_url
        self._random = random.Random(SEED)
        self._live: Live | None = None

    async def blow(self, kills: int, *, progress: Progress = lambda _: None) -> Report:
        """So many kills while callers buy, then calm, then the reckoning."""
        report = Report()
        known = await settled_at(self._network.bob)
        live = self._live = Live(self._folder, settings=await self._settings())
        try:
            await live.start()
            buyers = [Buyer(live, self._network, f"{number}") for number in range(BUYERS)]
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for buyer in buyers:
                    tasks.create_task(buyer.buy_until(over))
                await self._kill(kills, report, progress)
                over.set()
            report.purchases = tuple(one for buyer in buyers for one in buyer.purchases)
            report.findings = tuple(await self._reckon(live, report.purchases, known))
        finally:
            await live.aclose()
        return report

    async def _kill(self, kills: int, report: Report, progress: Progress) -> None:
        victims: Sequence[tuple[str, Kill]] = (
            ("service", self._kill_service),
            ("lnd", self._kill_lnd),
            ("postgres", self._kill_postgres),
        )
        for number in range(kills):
            await asyncio.sleep(self._random.uniform(*CALM_S))
            name, kill = victims[number % len(victims)]
            await kill()
            report.kills[name] += 1
            progress(f"{number + 1} of {kills}: {name} was killed and is back")

    async def _kill_service(self) -> None:
        assert self._live is not None
        self._live.kill()
        await self._live.start()

    async def _kill_lnd(self) -> None:
        assert self._live is not None
        await self._network.bob.kill()
        await self._network.bob.start()
        await self._wake_channels()
        await self._live.until_ready()

    async def _wake_channels(self) -> None:
        """One more HTLC to bob's lnd: what nodes owe each other is signed with the next.

        One that died between taking a commitment and giving its own does not give it by itself:
        all payments of that moment would wait until somebody else pays.
        """
        alice, bob = self._network.alice, await self._network.bob.identity()

        async def reached() -> bool:
            if await alice.reaches_with_htlc(bob, HTLC_MSAT):
                return True
            await alice.forget_failures()
            return False

        await until("an HTLC gets from alice to bob", reached)

    async def _kill_postgres(self) -> None:
        assert self._live is not None
        self._cluster.kill()
        self._cluster.start()
        await self._live.until_ready()

    async def _settings(self) -> dict[str, str]:
        bob = self._network.bob
        macaroon = self._folder / "bob.macaroon"
        macaroon.write_bytes(await bob.bake_macaroon([f"uri:{path}" for path in BAKE_URIS]))
        return {
            "COBOT_METER_NODE": "lnd",
            "COBOT_METER_LND_ADDRESS": bob.rpc_address,
            "COBOT_METER_LND_TLS_CERT": str(bob.tls_cert_path),
            "COBOT_METER_LND_MACAROON": str(macaroon),
            "COBOT_METER_DATABASE_URL": self._database_url,
            "COBOT_METER_LOG_LEVEL": "warning",
            **UNGUARDED,
        }

    async def _reckon(
        self, live: Live, purchases: Sequence[Purchase], known: dict[str, int]
    ) -> list[str]:
        """Compare everything with everything; what was lost upstream takes a moment to be found."""
        found: list[str] = []
        for _ in range(RECKONINGS):
            settled = await settled_at(self._network.bob)
            evidence = Evidence(
                purchases=purchases,
                invoices=await self._said(live, "invoices", "list", "--limit", "100000"),
                ledger=(await self._said(live, "ledger"))["trial_balance"],
                audit=await self._said(live, "audit"),
                settled={key: settled[key] for key in settled.keys() - known.keys()},
            )
            found = findings(evidence)
            if not found:
                break
            await asyncio.sleep(1)
        return found

    async def _said(self, live: Live, *command: str) -> Any:  # noqa: ANN401 - JSON
        """What a reading command prints, beside the running service."""

        def run() -> str:
            done = subprocess.run(
                [sys.executable, "-m", "cobot_meter", *command, "--json"],
                env={**os.environ, **live.service.environment},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.stdout, done.stderr
            return done.stdout

        return json.loads(await asyncio.to_thread(run))
