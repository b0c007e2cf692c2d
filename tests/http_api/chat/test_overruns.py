"""A run that costs more than its ceiling: the caller pays the ceiling, and somebody is told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ASK, open_face


async def test_an_overrun_is_ours_and_raises_an_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A price at the ceiling, the rest in our costs, a line in the log and a count for alarms."""
    async with open_face(tmp_path) as rig:
        rig.upstream.usually = Completes(cost="0.006")
        with caplog.at_level(logging.ERROR):
            await rig.ask(ASK)
        escrow = rig.last
        assert escrow.price_msat == escrow.quote.ceiling_msat
        assert escrow.price.overrun_msat > 0
        assert [record.getMessage().split(":")[0] for record in caplog.records] == ["overrun"]
        assert "cobot_meter_overruns_total 1.0" in (await rig.get("/metrics")).body.decode()


async def test_a_cost_that_is_not_believed_raises_one_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over ten ceilings nothing is charged or booked: 503, one line, and it is looked up again."""
    async with open_face(tmp_path) as rig:
        rig.upstream.usually = Completes(cost="5")
        with caplog.at_level(logging.ERROR):
            reply = await rig.ask(ASK)
        assert (reply.status, reply.error["code"]) == (503, "cost_pending")
        assert rig.last.run.cost is None
        assert rig.last.run.lookup_at_ms is not None
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("overrun: ")
        assert "not believed" in line
        assert "cobot_meter_overruns_total 1.0" in (await rig.get("/metrics")).body.decode()


async def test_an_honest_run_raises_none(tmp_path: Path) -> None:
    """Below the ceiling nothing is counted."""
    async with open_face(tmp_path) as rig:
        await rig.ask(ASK)
        assert "cobot_meter_overruns_total 0.0" in (await rig.get("/metrics")).body.decode()
