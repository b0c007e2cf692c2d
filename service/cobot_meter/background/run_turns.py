"""Whose run may begin: all share the slots, and a part of them is kept for who pays.

What costs nothing passes every guard of the books, so it is bounded here by number: an address has
so many unpaid runs under way at most, may run on half of the common slots, and only so many wait.
Our own work (timers, recovery) waits as well, and goes before the unpaid.

Whoever waits cannot begin now: a slot that becomes free is given away at once, to the first that
may have it.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from dataclasses import dataclass

from cobot_meter.domain.errors import AddressBusy, ServiceBusy

BASIS_POINTS = 10_000
RETRY_S = 3


class Lane(enum.IntEnum):
    """In the order in which a free slot is given away."""

    PAYING = 0
    OURS = 1
    UNPAID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBounds:
    """`kept_bps` of `runs_max` slots, in 1/100 %, are never given to unpaid runs.

    At most `address_max` unpaid asks of one address are under way, waiting ones included, and at
    most `waiting_max` of each lane wait.
    """

    runs_max: int = 1_024
    kept_bps: int = 2_500
    address_max: int = 256
    waiting_max: int = 1_024

    @property
    def common(self) -> int:
        """Slots that unpaid runs may have together."""
        return max(1, self.runs_max - self.runs_max * self.kept_bps // BASIS_POINTS)

    @property
    def of_an_address(self) -> int:
        """Slots that the unpaid runs of one address may have."""
        return max(1, self.common // 2)


class RunTurns:
    """The slots of one process."""

    def __init__(self, bounds: RunBounds) -> None:
        """All are free."""
        self._bounds = bounds
        self._running: Counter[Lane] = Counter()
        self._running_of: Counter[str] = Counter()
        self._under_way_of: Counter[str] = Counter()
        self._waiting: dict[Lane, dict[Turn, asyncio.Future[None]]] = {lane: {} for lane in Lane}

    def turn(self) -> Turn:
        """A turn for one run, which has no place yet."""
        return Turn(self)

    def waiting(self, lane: Lane) -> int:
        """How many runs wait in that lane."""
        return len(self._waiting[lane])

    def take(self, turn: Turn, lane: Lane, address: str) -> bool:
        """Whether `turn` has a slot now; else it waits among those of its lane.

        Raises AddressBusy and ServiceBusy when no more are taken; then it has no place.
        """
        bounds = self._bounds
        if lane is Lane.UNPAID and self._under_way_of[address] >= bounds.address_max:
            message = (
                f"{bounds.address_max} requests that nobody has paid for are under way from this "
                "network address, and no more are taken at once: repeat this one in a few seconds."
            )
            raise AddressBusy(message, retry_after_s=RETRY_S)
        free = self._may_begin(lane, address)
        if not free and lane is not Lane.OURS and len(self._waiting[lane]) >= bounds.waiting_max:
            message = (
                f"{bounds.waiting_max} requests wait for their turn already, and no more are "
                "taken: repeat this one in a few seconds."
            )
            raise ServiceBusy(message, retry_after_s=RETRY_S)
        if lane is Lane.UNPAID:
            self._under_way_of[address] += 1
        if free:
            self._begin(lane, address)
        else:
            self._waiting[lane][turn] = asyncio.get_running_loop().create_future()
        return free

    async def wait(self, turn: Turn, lane: Lane) -> None:
        """Return once `turn` has a slot; at once where it does not wait in this lane."""
        begins = self._waiting[lane].get(turn)
        if begins is not None:
            await begins

    def give_back(self, lane: Lane, address: str, waiting: Turn | None) -> None:
        """Free the slot of a turn that ran, or the place of the one that is `waiting`."""
        if lane is Lane.UNPAID:
            _less(self._under_way_of, address)
        if waiting is not None:
            del self._waiting[lane][waiting]
            return
        self._running[lane] -= 1
        if lane is Lane.UNPAID:
            _less(self._running_of, address)
        self._give_away()

    def _may_begin(self, lane: Lane, address: str) -> bool:
        if self._running.total() >= self._bounds.runs_max:
            return False
        if lane is not Lane.UNPAID:
            return True
        return (
            self._running[lane] < self._bounds.common
            and self._running_of[address] < self._bounds.of_an_address
        )

    def _begin(self, lane: Lane, address: str) -> None:
        self._running[lane] += 1
        if lane is Lane.UNPAID:
            self._running_of[address] += 1

    def _give_away(self) -> None:
        """The slot that has become free, to the first of the first lane that may have it."""
        for lane, waiting in self._waiting.items():
            for turn, begins in waiting.items():
                if self._may_begin(lane, turn.address):
                    del waiting[turn]
                    self._begin(lane, turn.address)
                    turn.runs = True
                    if not begins.done():
                        begins.set_result(None)
                    return


class Turn:
    """The place of one run: none yet, one among those that wait, or a slot."""

    __slots__ = ("_lane", "_turns", "address", "runs")

    def __init__(self, turns: RunTurns) -> None:
        """No place yet."""
        self._turns = turns
        self._lane: Lane | None = None
        self.address = ""
        self.runs = False

    def take(self, lane: Lane, address: str = "") -> bool:
        """Whether a slot is its own now; else it waits for one. Taken anew, it may change lanes.

        Raises AddressBusy and ServiceBusy, and then it has no place.
        """
        if self._lane is not lane:
            self.give_back()
            self.runs = self._turns.take(self, lane, address)
            self._lane, self.address = lane, address
        return self.runs

    async def wait(self) -> None:
        """Return once the slot is its own."""
        if self._lane is not None:
            await self._turns.wait(self, self._lane)

    def give_back(self) -> None:
        """No place any more, whatever it had."""
        if self._lane is not None:
            lane, self._lane = self._lane, None
            self._turns.give_back(lane, self.address, None if self.runs else self)
            self.runs = False


def _less(counts: Counter[str], address: str) -> None:
    """One less, and nothing is kept of an address that has none."""
    counts[address] -= 1
    if not counts[address]:
        del counts[address]
