"""One server for each worker that needs one, and a fresh database for each test.

A test that takes `cluster` or `database` is marked `postgres` by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cobot_meter.adapters.storage.postgres.schema import upgrade_postgres
from tests.postgres.cluster import Cluster, binaries, owner_exists, running_cluster

MARK = "postgres"
FIXTURES = {"cluster", "template", "database"}
LEFT_OUT = "PostgreSQL 15 or newer is not installed (Debian: apt-get install postgresql)"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever uses a server."""
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARK)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The server, or a skip."""
    if binaries() is None or not owner_exists():
        pytest.skip(LEFT_OUT)
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of a database whose tables are there and empty."""
    url = cluster.new_database()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, upgrade_postgres(url)).result()
    return url.rpartition("/")[2]


@pytest.fixture
def database(cluster: Cluster, template: str) -> str:
    """The URL of a database of this test's own, with empty books."""
    return cluster.new_database(template)
