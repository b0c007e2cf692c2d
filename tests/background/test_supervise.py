"""What a loop's faults leave in the log."""

from __future__ import annotations

import pytest

from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import BooksBusy, NodeUnavailable
from tests.fakes.clock import FakeClock


async def test_books_that_are_away_are_no_line_a_turn(caplog: pytest.LogCaptureFixture) -> None:
    """They are counted; the outage itself has its one line where the books are kept."""
    counted: list[str] = []
    supervisor = Supervisor(clock=FakeClock(), report=counted.append)

    async def fails(fault: Exception) -> None:
        raise fault

    caplog.set_level("INFO")
    for _ in range(3):
        assert not await supervisor.once("sweep", lambda: fails(BooksBusy("away")))
    assert not await supervisor.once("sweep", lambda: fails(NodeUnavailable("no node")))
    assert [record.getMessage() for record in caplog.records] == ["sweep: no node"]
    assert counted == ["sweep"] * 4
