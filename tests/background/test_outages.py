"""A fault that comes again and again: a line at its beginning, one in a while, one at its end."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest

from cobot_meter.background.outages import GAP_MAX_MS, GAP_MS, Outage, Outages
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import NodeUnavailable
from tests.fakes.clock import FakeClock


def test_an_hour_of_the_same_fault_is_a_handful_of_lines() -> None:
    """Twice a second: the count of what went unsaid is told with each line, and lines thin out."""
    clock = FakeClock()
    outages = Outages(clock=clock)
    lines = []
    for _ in range(7_200):
        unsaid = outages.failed("node", "away")
        if unsaid is not None:
            lines.append(unsaid)
        clock.advance(0.5)
    assert lines[:2] == [0, GAP_MS // 500 - 1]
    assert len(lines) < 8
    assert outages.well("node") == Outage(faults=7_200, length_ms=3_600_000)
    assert outages.well("node") is None


def test_faults_that_differ_are_told_apart_up_to_a_bound() -> None:
    """The first few, each once; then a count has to do."""
    outages = Outages(clock=FakeClock())
    said = [outages.failed("run", f"fault {number}") for number in range(100)]
    assert said == [0] * 5 + [None] * 95


def test_a_part_that_flaps_does_not_fill_the_log() -> None:
    """Its ends are told only when their beginnings were."""
    clock = FakeClock()
    outages = Outages(clock=clock)
    begun = ended = 0
    for _ in range(1_000):
        begun += outages.failed("node", "away") is not None
        ended += outages.well("node") is not None
        clock.advance(0.1)
    assert begun == ended
    assert begun <= 1_000 * 0.1 * 1_000 / GAP_MS + 1


def test_a_long_outage_is_told_of_at_least_every_hour_or_two() -> None:
    """The gap grows to an hour and not beyond."""
    clock = FakeClock()
    outages = Outages(clock=clock)
    told = []
    for minute in range(24 * 60):
        if outages.failed("node", "away") is not None:
            told.append(minute)
        clock.advance(60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(told)]
    assert max(gaps) * 60_000 <= GAP_MAX_MS


def test_what_is_well_says_nothing() -> None:
    """Names that never failed have no end."""
    assert Outages(clock=FakeClock()).well("node") is None


@pytest.mark.parametrize("fault", [NodeUnavailable("it is away"), OSError("refused")])
async def test_a_supervised_loop_says_when_it_fails_and_when_it_is_well(
    caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    """Thousands of turns: one line for the beginning, at most one traceback, one for the end."""
    clock = FakeClock(leaping=True)
    reported: list[str] = []
    supervisor = Supervisor(clock=clock, report=reported.append)

    async def failing() -> None:
        raise fault

    async def well() -> None:
        await asyncio.sleep(0)

    with caplog.at_level(logging.INFO):
        for _ in range(100):
            await supervisor.once("node", failing)
        clock.advance(7)
        await supervisor.once("node", well)
    begun, ended = caplog.records
    assert begun.message.startswith("node: ")
    assert (begun.exc_info is None) == isinstance(fault, NodeUnavailable)
    assert ended.message == "node: well again after 100 faults in 7.0 s"
    assert reported == ["node"] * 100
