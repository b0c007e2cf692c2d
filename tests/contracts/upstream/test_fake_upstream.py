"""The upstream in memory keeps the contract, so flows tested with it are tested with the truth."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.contracts.upstream.upstream_bench import Ending, ScriptedBench
from tests.contracts.upstream.upstream_suite import Upstreams
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Failed, Outcome, Refused, Unknown

OUTCOMES: Mapping[Ending, Outcome] = {
    Ending.REFUSED: Refused(status=429),
    Ending.FAILS_FREE: Failed(),
    Ending.FAILS_CHARGED: Failed(cost="0.0001", says_cost=True),
    Ending.LOST_NAMED: Unknown(announced=True),
    Ending.LOST_NAMELESS: Unknown(announced=False),
    Ending.LATE_RECORD: Completes(lookups_before_record=3),
}


class FakeBench:
    """The fake is its own other side."""

    def __init__(self) -> None:
        self.upstream = FakeUpstream()
        self.model = PRICED_MODEL
        self.dead = FakeUpstream()
        self.dead.reachable = False
        self.locked_out = FakeUpstream()
        self.locked_out.key_accepted = False

    async def time_passes(self) -> None:
        """Look-ups alone bring a late record nearer."""

    async def next_ends(self, ending: Ending) -> None:
        self.upstream.then(OUTCOMES[ending])

    async def next_is_cut(self, *, after: int) -> None:
        said = len(Completes().answer.split())
        self.upstream.then(Unknown(words=after) if after <= said else Completes())

    async def next_dawdles(self) -> None:
        self.upstream.then(Completes(dawdles=True))

    async def left(self) -> int:
        return self.upstream.left

    async def spent_pusd(self) -> int:
        return self.upstream.spent_pusd

    async def posts(self) -> int:
        return self.upstream.posts


@pytest.fixture
def bench() -> ScriptedBench:
    """A fresh upstream in memory."""
    return FakeBench()


class TestFakeUpstream(Upstreams):
    """The suite, against the fake."""
