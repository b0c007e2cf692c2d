"""Real nodes for tests: one network for the whole run, started when the first test asks for it.

A test that takes `nodes` is marked `real_nodes` and runs on the one worker that has the network.
One that asks for it while it runs (`request.getfixturevalue`) bears the mark itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest

from deploy.regtest.binaries import Binaries, built, cache_folder
from deploy.regtest.network import Network

MARK = "real_nodes"
FIXTURES = {"node_binaries", "standing_network", "nodes"}
LEFT_OUT = "the nodes are not built: `make nodes` says what is missing, and builds them"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever uses the nodes, and keep it on one worker."""
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARK)
        if item.get_closest_marker(MARK):
            item.add_marker(pytest.mark.xdist_group(MARK))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give every skip for want of nodes the same place, so that one line tells them all."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and LEFT_OUT in report.longrepr[2]:
        report.longrepr = ("tests/regtest/fixtures.py", 1, LEFT_OUT)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingNetwork:
    """The network, and how long it took from nothing to the first payment."""

    network: Network
    took_s: float


@pytest.fixture(scope="session")
def node_binaries() -> Binaries:
    """The programs, or a skip."""
    binaries = built(cache_folder())
    if binaries is None:
        pytest.skip(LEFT_OUT)
    return binaries


@pytest.fixture(scope="session")
def standing_network(
    node_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StandingNetwork]:
    """Chain, alice, bob and carol, for as long as the run lasts."""
    network = Network(tmp_path_factory.mktemp("regtest"), node_binaries)
    began_s = time.monotonic()
    try:
        asyncio.run(network.start())
        yield StandingNetwork(network=network, took_s=time.monotonic() - began_s)
    finally:
        network.kill()


@pytest.fixture
async def nodes(standing_network: StandingNetwork) -> Network:
    """The network, serving and paying, whatever the test before did to it."""
    network = standing_network.network
    await network.restore()
    return network
