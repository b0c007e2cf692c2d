"""The time in which an answer may be read; it stands still while nobody reads.

`asyncio.timeout_at` sets a timer for each read, which took 5 µs where all else that an event costs
took as much again. This has one timer for an answer.
"""

from __future__ import annotations

import asyncio
import math


class ReadingTime:
    """`with` it around every read of one answer, all in one task; `close` it in the end.

    Raises TimeoutError in the read during which the time is up.
    """

    __slots__ = (
        "_cancelling",
        "_deadline",
        "_loop",
        "_reading",
        "_since",
        "_task",
        "_timer",
        "_up",
    )

    def __init__(self, deadline: float) -> None:
        """`deadline` is the loop's time; it moves by whatever passes between two reads."""
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._since = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._reading = False
        self._up = False

    def __enter__(self) -> None:
        """Begin to read. Raises TimeoutError where the time is up already."""
        now = self._loop.time()
        if now > self._since:
            self._deadline += now - self._since
        if now >= self._deadline:
            raise TimeoutError
        if self._task is None:
            self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)
        self._reading = True

    def __exit__(self, kind: object, fault: BaseException | None, _trace: object) -> None:
        """Read, or not: a cancellation that was this timer's own becomes TimeoutError."""
        self._reading = False
        self._since = self._loop.time()
        if self._up and self._task is not None:
            self._up = False
            if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from fault

    def close(self) -> None:
        """Nothing is read any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """The timer went off; the deadline may have moved since it was set."""
        self._timer = None
        if not self._reading:
            return  # the next read sets it anew
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        elif self._task is not None:
            self._up = True
            self._task.cancel()
