"""A durable meter for an upstream that keeps no bill of its own.

Every line is on disk before what it says is acted on: that a run begins before it is sent, what it
cost before its answer is given on. One thread writes. Must not know: HTTP, or what a token costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.adapters.upstreams.meter_lines import (
    MeterBook,
    ended_line,
    folded,
    read_book,
    started_line,
)
from service.domain.completions import GenerationCost
from service.domain.errors import (
    CostNotYetKnown,
    SettingInvalid,
    UpstreamFailed,
    UpstreamUnreachable,
)
from service.ports.clock import Clock

LOG = logging.getLogger(__name__)
# Twice as long as costs are looked up for; counted back from the newest line, so that a service
# which was away for a week finds what it had been running.
KEPT_MS = 2 * 86_400_000
FOLDED_AFTER_LINES = 10_000


class MeterFile:
    """The meter of one upstream, written by one process."""

    def __init__(self, path: Path, book: MeterBook, *, provider: str, clock: Clock) -> None:
        """`book` is what the file says; the file is only made when the first run begins."""
        self._path = path
        self._book = book
        self._provider = provider
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, "meter")
        self._file: int | None = None
        self._unsound = False
        self._lines = 0
        self._running: set[str] = set()
        self._ending: set[str] = set()

    @property
    def total_pusd(self) -> int:
        """All that every run ever cost."""
        return self._book.total_pusd

    def cost(self, generation_id: str) -> GenerationCost:
        """What one run cost; 0 when it is over and no cost was written.

        Raises CostNotYetKnown while it runs, and for what this meter does not know.
        """
        run = self._book.runs.get(generation_id)
        if run is None or (run.cost_pusd is None and generation_id in self._running):
            raise CostNotYetKnown(f"no cost of {generation_id[:80]} yet")
        return run.record(self._provider)

    async def started(self, generation_id: str, *, model: str) -> None:
        """Before a run is sent. Raises UpstreamUnreachable when it cannot be written."""
        line = started_line(generation_id, model=model, at_ms=self._clock.now_ms())
        self._running.add(generation_id)
        try:
            await self._written(lambda: self._append(line))
        except OSError as fault:
            raise UpstreamUnreachable(_unwritten(fault)) from fault

    async def ended(
        self, generation_id: str, *, model: str, cost_pusd: int, tokens: tuple[int, int]
    ) -> None:
        """Once a whole answer is here. Raises UpstreamFailed: then it cost nothing."""
        line = ended_line(
            generation_id,
            model=model,
            at_ms=self._clock.now_ms(),
            cost_pusd=cost_pusd,
            tokens=tokens,
        )
        self._ending.add(generation_id)
        try:
            await self._written(lambda: self._end(generation_id, line))
        except OSError as fault:
            raise UpstreamFailed(_unwritten(fault), inline_cost=None) from fault

    def over(self, generation_id: str) -> None:
        """Nothing further will be written of this run, but for what is being written just now."""
        if generation_id not in self._ending:
            self._running.discard(generation_id)

    async def aclose(self) -> None:
        """Finish what is being written, and close the file."""
        await asyncio.to_thread(self._writer.shutdown)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _written(self, write: Callable[[], None]) -> None:
        """A write that has begun is ended, whoever no longer waits for it."""
        await asyncio.shield(asyncio.wrap_future(self._writer.submit(write)))

    def _end(self, generation_id: str, line: bytes) -> None:
        try:
            self._append(line)
        finally:
            self._running.discard(generation_id)
            self._ending.discard(generation_id)

    def _append(self, line: bytes) -> None:
        """Write and sync one line, or leave the file as it was. Raises OSError."""
        file = self._opened()
        try:
            _write_all(file, line)
            os.fsync(file)
        except OSError:
            self._unsound = True
            os.ftruncate(file, self._book.whole_bytes)
            self._unsound = False
            raise
        self._book.take(line.rstrip(b"\n"))
        self._book.whole_bytes += len(line)
        self._lines += 1
        if self._lines >= FOLDED_AFTER_LINES:
            self._fold(file)

    def _opened(self) -> int:
        """The file, cut back to what is whole, and made shorter if it can be. Raises OSError."""
        if self._unsound:
            raise OSError(errno.EIO, "an earlier write may be half there; restart the service")
        if self._file is None:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.ftruncate(file, self._book.whole_bytes)
                _sync_folder(self._path)
            except OSError:
                os.close(file)
                raise
            self._file = file
            self._fold(file)
        return self._file

    def _fold(self, file: int) -> None:
        """Put a shorter file in the place of this one; when that fails this one stays."""
        self._lines = 0
        before_ms = self._book.newest_ms - KEPT_MS
        if all(run.at_ms >= before_ms for run in self._book.runs.values()):
            return
        kept = frozenset(self._running)
        with contextlib.suppress(OSError, ValueError):
            shorter = folded(self._path.read_bytes(), before_ms=before_ms, kept=kept)
            self._file, self._book = _replaced(self._path, shorter), read_book(shorter)
            self._unsound = True
            os.close(file)
            _sync_folder(self._path)
            self._unsound = False


@contextlib.asynccontextmanager
async def open_meter(path: Path, *, provider: str, clock: Clock) -> AsyncIterator[MeterFile]:
    """The meter in this file, which need not be there. Raises SettingInvalid when it is damaged."""
    meter = MeterFile(path, await asyncio.to_thread(_read, path), provider=provider, clock=clock)
    try:
        yield meter
    finally:
        await meter.aclose()


def _read(path: Path) -> MeterBook:
    try:
        return read_book(path.read_bytes())
    except FileNotFoundError:
        return MeterBook()
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else fault
        message = f"{path} cannot be read: {said}; restore it, it is part of the books"
        raise SettingInvalid(message) from fault


def _replaced(path: Path, data: bytes) -> int:
    """Put `data` in the place of the file in one step; the new file, open. Raises OSError."""
    beside = path.with_suffix(".new")
    file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        _write_all(file, data)
        os.fsync(file)
        beside.replace(path)
    except OSError:
        os.close(file)
        raise
    return file


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritten(fault: OSError) -> str:
    LOG.error("the meter of an upstream cannot be written: %s", fault.strerror)
    return "what the upstream runs cannot be metered just now"
