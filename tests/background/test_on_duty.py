"""A duty is done by who has it; the others wait a moment and look again."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.process import SoleProcess
from cobot_meter.background.supervise import LOOK_S, OnDuty
from cobot_meter.domain.errors import NodeUnavailable
from tests.fakes.clock import FakeClock


class Elsewhere:
    """Another process has every duty."""

    async def mine(self, name: str) -> bool:
        """See the port."""
        return not name


async def test_who_has_the_duty_acts() -> None:
    """The act is done, and what it raises comes out."""
    done = []

    async def act() -> None:
        done.append("acted")
        raise NodeUnavailable("the node is away")

    with pytest.raises(NodeUnavailable):
        await OnDuty(duties=SoleProcess("r_one"), clock=FakeClock()).do("timers", act)
    assert done == ["acted"]


async def test_who_has_it_not_waits() -> None:
    """Nothing is done, and a moment passes before the next look."""
    clock = FakeClock(leaping=True)
    began_ms = clock.now_ms()

    async def act() -> None:
        pytest.fail("it is another process's duty")

    await OnDuty(duties=Elsewhere(), clock=clock).do("timers", act)
    assert clock.now_ms() - began_ms == LOOK_S * 1_000
