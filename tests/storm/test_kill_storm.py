"""Thirty kills in the ordinary test run; `make kill-storm` does two hundred."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.regtest.network import Network
from tests.postgres.cluster import Cluster
from tests.storm.storm import Storm

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]
KILLS = 30


async def test_nothing_is_lost_in_thirty_kills(
    nodes: Network,
    cluster: Cluster,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Service, lnd and PostgreSQL die ten times each: no paid one lost, no unpaid one released."""
    storm = Storm(tmp_path, nodes, cluster, cluster.new_database())
    report = await storm.blow(KILLS)
    record_property("counted", str(report))
    assert report.findings == ()
    assert report.kills.total() == KILLS
    assert sum(1 for one in report.purchases if one.delivered) >= KILLS
