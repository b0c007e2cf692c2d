"""What one run hears of its answer, handed to whoever follows it, from the start and as it comes.

The run reads on whether somebody follows or not. Nothing is kept for whoever may come: the reader
of the answer has what was said until now, since it puts the whole together, and a follower begins
with that. What came since then waits for each follower, up to a size; then the run reads no further
until it is read, so that the upstream is held up as the follower is. That has an end for each, or
somebody who stopped reading would keep the run until its time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from cobot_meter.domain.errors import ServiceBusy
from cobot_meter.domain.upstream.deltas import Deltas
from cobot_meter.ports.escrow_runs import FellBehind, Follower
from cobot_meter.ports.upstream import AnswerPiece

_TOO_MANY = "This request is being followed by many already; ask again when it has ended."


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBounds:
    """How many may follow one run, and for how much and how long one of them may hold it up.

    `bytes_max` is of the upstream's bytes that wait for one follower; `patience_s` how long the run
    waits for one in all. Where all have gone a run is deserted after `grace_s`: agents that repeat
    do so at once.
    """

    followers_max: int = 16
    bytes_max: int = 32_768
    patience_s: float = 10.0
    grace_s: float = 2.0


_BOUNDS = FeedBounds()
_ANEW = Deltas(anew=True)


class Place:
    """What waits for one who follows; implements `ports.escrow_runs.Follower`."""

    __slots__ = ("_feed", "_stopped", "_waiting", "_waiting_bytes", "_woken", "patience_s")

    def __init__(self, feed: RunFeed, patience_s: float) -> None:
        """`patience_s` is for how many seconds in all the run still waits for this one to read."""
        self.patience_s = patience_s
        self._feed = feed
        self._waiting: deque[Deltas | AnswerPiece] = deque()
        self._waiting_bytes = 0
        self._woken: asyncio.Future[None] | None = None
        self._stopped: type[Exception] | None = None

    @property
    def waiting_bytes(self) -> int:
        """How much of the upstream's bytes is not read yet."""
        return self._waiting_bytes

    def put(self, said: Deltas | AnswerPiece) -> None:
        """Add what was said."""
        self._waiting.append(said)
        if not isinstance(said, Deltas):
            self._waiting_bytes += said.size
        self._wake()

    def stop(self, why: type[Exception]) -> None:
        """Nothing further is added; `why` is raised after what waits."""
        self._stopped = why
        self._wake()

    def __aiter__(self) -> Place:
        """Itself."""
        return self

    async def __anext__(self) -> Deltas:
        """What was said next. Raises FellBehind for who did not read in time, after what waits."""
        while not self._waiting:
            if self._stopped is not None:
                raise self._stopped
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        said = self._waiting.popleft()
        if isinstance(said, Deltas):
            return said
        self._waiting_bytes -= said.size
        self._feed.read_on()
        return said.deltas()

    async def aclose(self) -> None:
        """Follow no longer; the run goes on."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._feed.leave(self)

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


class RunFeed:
    """Implements `ports.escrow_runs.AnswerListener`."""

    __slots__ = (
        *("_bounds", "_followers", "_kept", "_latest", "_left_at", "_over", "_read_on", "told"),
    )

    def __init__(self, bounds: FeedBounds = _BOUNDS) -> None:
        """Nobody follows, and nothing was said."""
        self._bounds = bounds
        self._followers: tuple[Place, ...] = ()
        self._latest: AnswerPiece | None = None
        self._over = False
        self._kept = False
        self._left_at: float | None = None
        self.told = False
        self._read_on: asyncio.Event | None = None

    @property
    def deserted(self) -> bool:
        """Whether all who followed have gone for a while, and nobody waits for the whole."""
        if self._left_at is None or self._kept:
            return False
        return asyncio.get_running_loop().time() - self._left_at >= self._bounds.grace_s

    def keep(self) -> None:
        """Somebody waits for the whole: it is deserted no more, whoever goes."""
        self._kept = True

    def begin(self) -> None:
        """An attempt is about to be sent: tell followers that what an earlier one said is void."""
        if self._latest is not None:
            self._latest, self.told = None, False
            for follower in self._followers:
                follower.put(_ANEW)

    def hear(self, piece: AnswerPiece) -> bool:
        """Hand a piece to every follower; whether one of them has to read before more is asked for.

        Where it is True, wait for `room` first.
        """
        self._latest = piece
        for follower in self._followers:
            follower.put(piece)
            self.told = True
        return bool(self._followers) and bool(self._full())

    async def room(self) -> None:
        """Return when every follower has read on, or is followed no longer because it did not.

        A follower is waited for `patience_s` in all, over the whole run; then it gets FellBehind.
        """
        time = asyncio.get_running_loop().time
        while full := self._full():
            self._read_on, since = asyncio.Event(), time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(one.patience_s for one in full)):
                    await self._read_on.wait()
            for one in full:
                one.patience_s -= time() - since
                if one.patience_s <= 0:
                    self.keep()  # the answer is handed over whole when it comes again
                    self.leave(one)
                    one.stop(FellBehind)
        self._read_on = None

    def end(self) -> None:
        """Nothing more is said: followers come to their end once they have read what waits."""
        self._over, self._latest = True, None
        followers, self._followers = self._followers, ()
        for follower in followers:
            follower.stop(StopAsyncIteration)

    def follow(self) -> Follower | None:
        """Everything from the start, and then as it comes; None when nothing more is said.

        Raises ServiceBusy when `followers_max` follow already.
        """
        if self._over:
            return None
        if len(self._followers) >= self._bounds.followers_max:
            raise ServiceBusy(_TOO_MANY)
        place = Place(self, self._bounds.patience_s)
        if self._latest is not None:
            place.put(self._latest.so_far())
            self.told = True
        self._followers = (*self._followers, place)
        self._left_at = None
        return place

    def leave(self, place: Place) -> None:
        """Drop this follower; the run reads on if it waited for it."""
        self._followers = tuple(one for one in self._followers if one is not place)
        if not self._followers:
            self._left_at = asyncio.get_running_loop().time()
        self.read_on()

    def read_on(self) -> None:
        """Wake the run if it waits in `room`: a follower has read or left."""
        if self._read_on is not None:
            self._read_on.set()

    def _full(self) -> list[Place]:
        most = self._bounds.bytes_max
        return [one for one in self._followers if one.waiting_bytes > most]
