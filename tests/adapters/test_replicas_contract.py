"""Alone, among others and faked: whoever says which processes live keeps one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.process import SoleProcess
from cobot_meter.adapters.storage.postgres.session import (
    GONE_AFTER_MS,
    PostgresSession,
    open_postgres_session,
)
from tests.contracts.replicas_suite import ReplicasSuite
from tests.fakes.clock import FakeClock
from tests.fakes.replicas import Crowd, FakeReplicas


class TestSoleProcess(ReplicasSuite):
    """Where one process has the books to itself."""

    @pytest.fixture
    def replicas(self) -> SoleProcess:
        """Alone."""
        return SoleProcess("r_one")

    @pytest.fixture
    def duties(self, replicas: SoleProcess) -> SoleProcess:
        """The same object."""
        return replicas


class TestFakeReplicas(ReplicasSuite):
    """What the flows are tested with."""

    @pytest.fixture
    def replicas(self) -> FakeReplicas:
        """One of a crowd of one."""
        return FakeReplicas(Crowd())

    @pytest.fixture
    def duties(self) -> SoleProcess:
        """Flows know no duties."""
        return SoleProcess("r_one")


class TestPostgresSession(ReplicasSuite):
    """Locks on a real server."""

    @pytest.fixture
    async def replicas(self, database: str) -> AsyncIterator[PostgresSession]:
        """Has looked before, so that suspicions have become certain."""
        clock = FakeClock()
        async with open_postgres_session(database, own_id="r_one", clock=clock) as session:
            assert await session.alive("r_never")
            clock.advance(GONE_AFTER_MS / 1_000)
            yield session

    @pytest.fixture
    def duties(self, replicas: PostgresSession) -> PostgresSession:
        """The same object."""
        return replicas
