"""`make kill-storm`: two hundred kills, and a report that is kept in docs/kill-storm.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from deploy.regtest.binaries import Binaries, built, cache_folder
from deploy.regtest.network import regtest_network
from tests.postgres.cluster import Cluster, running_cluster
from tests.storm.storm import Report, Storm


def main() -> int:
    """Exit 0 when nothing was lost."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it remarks on every process we start
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    kills: int = parser.parse_args().kills
    binaries = built(cache_folder())
    if binaries is None:
        print("the nodes are not built: `make nodes` builds them", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name, running_cluster() as cluster:
        report = asyncio.run(_blow(Path(name), kills, binaries, cluster))
    print(f"{report} in {time.monotonic() - began_s:.0f} s")
    for finding in report.findings:
        print(f"✗ {finding}")
    return 1 if report.findings else 0


async def _blow(folder: Path, kills: int, binaries: Binaries, cluster: Cluster) -> Report:
    async with regtest_network(folder / "nodes", binaries) as network:
        storm = Storm(folder, network, cluster, cluster.new_database())
        return await storm.blow(kills, progress=print)


if __name__ == "__main__":
    sys.exit(main())
