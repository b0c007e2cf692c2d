"""A durable meter for an upstream that keeps no bill of its own: one JSON object a line.

Every line is on disk before what it says is acted on: that a run begins before it is sent, what it
cost before its answer is given on. A run that began and has no cost line cost nothing. A last line
that is not whole was being written when the process ended: it is passed over, because nothing was
sold on it. Any other line that cannot be read is damage. One thread writes. Must not know: HTTP, or
what a token costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    SettingInvalid,
    UpstreamFailed,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import AMOUNT_MAX, TOTAL_MAX, usd_text
from cobot_meter.domain.upstream.completions import GenerationCost
from cobot_meter.ports.process import Clock

_END = b"\n"
_DAMAGE = "not a line of a meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredRun:
    """One run; `cost_pusd` is None while no line says it. `sha256` is that of its last line."""

    generation_id: str
    model: str
    at_ms: int
    sha256: str
    cost_pusd: int | None = None

    def record(self, provider: str) -> GenerationCost:
        """What a look-up answers, once it is certain that no cost line will follow."""
        cost_pusd = self.cost_pusd or 0
        return GenerationCost(
            generation_id=self.generation_id,
            total_cost=usd_text(cost_pusd),
            cost_pusd=cost_pusd,
            provider=provider,
            model=self.model,
            record_sha256=self.sha256,
            final=True,
        )


@dataclass(slots=True, kw_only=True)
class MeterBook:
    """All that a meter says; `whole_bytes` are good, what follows them is a torn line."""

    total_pusd: int = 0
    folded_pusd: int = 0
    newest_ms: int = 0
    whole_bytes: int = 0
    runs: dict[str, MeteredRun] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        """Add one line, without its end. Raises ValueError when it is none of ours."""
        document = orjson.loads(line)
        match document:
            case {"folded_pusd": folded}:
                folded_pusd = _let_in(folded, most=TOTAL_MAX)
                self.folded_pusd += folded_pusd
                self.total_pusd += folded_pusd
            case {"started": str(generation_id), "model": str(model), "at_ms": at_ms}:
                self._keep(_run(generation_id, model, at_ms, line))
            case {
                "ended": str(generation_id),
                "model": str(model),
                "at_ms": at_ms,
                "cost_pusd": cost,
            }:
                cost_pusd = _let_in(cost, most=AMOUNT_MAX)
                self._keep(replace(_run(generation_id, model, at_ms, line), cost_pusd=cost_pusd))
                self.total_pusd += cost_pusd
            case _:
                raise ValueError(_DAMAGE)

    def _keep(self, run: MeteredRun) -> None:
        known = self.runs.get(run.generation_id)
        if known is not None and (known.cost_pusd is not None or run.cost_pusd is None):
            message = f"{run.generation_id[:80]} is there twice"
            raise ValueError(message)
        self.runs[run.generation_id] = run
        self.newest_ms = max(self.newest_ms, run.at_ms)


def read_book(data: bytes) -> MeterBook:
    """The book. Raises ValueError that names the line which is damaged."""
    book = MeterBook()
    *lines, _ = data.split(_END)
    for number, line in enumerate(lines, start=1):
        try:
            book.take(line)
        except ValueError as fault:
            message = f"line {number} is damaged ({fault})"
            raise ValueError(message) from fault
        book.whole_bytes += len(line) + 1
    return book


def started_line(generation_id: str, *, model: str, at_ms: int) -> bytes:
    """Written before a run is sent."""
    return _line({"started": generation_id, "model": model, "at_ms": at_ms})


def ended_line(
    generation_id: str, *, model: str, at_ms: int, cost_pusd: int, tokens: tuple[int, int]
) -> bytes:
    """Written once its whole answer is here; `tokens` are those of prompt and answer."""
    prompt_tokens, completion_tokens = tokens
    return _line(
        {
            "ended": generation_id,
            "model": model,
            "at_ms": at_ms,
            "cost_pusd": cost_pusd,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
        }
    )


def folded(data: bytes, *, before_ms: int, kept: frozenset[str]) -> bytes:
    """A meter's lines with one sum in the place of the runs that ended before `before_ms`.

    The total stays what it was. All lines of a run stay together; those of `kept` stay whatever
    their age. Raises ValueError.
    """
    book = read_book(data)
    stays = {
        run.generation_id
        for run in book.runs.values()
        if run.at_ms >= before_ms or run.generation_id in kept
    }
    gone_pusd = sum(
        run.cost_pusd or 0 for run in book.runs.values() if run.generation_id not in stays
    )
    lines = data[: book.whole_bytes].split(_END)[:-1]
    rest = [line + _END for line in lines if _generation_of(line) in stays]
    return _line({"folded_pusd": book.folded_pusd + gone_pusd}) + b"".join(rest)


def _generation_of(line: bytes) -> str | None:
    document = orjson.loads(line)
    named = document.get("started") or document.get("ended")
    return named if isinstance(named, str) else None


def _run(generation_id: str, model: str, at_ms: object, line: bytes) -> MeteredRun:
    if outside.identifier(generation_id) is None:
        raise ValueError(_DAMAGE)
    return MeteredRun(
        generation_id=generation_id,
        model=outside.maybe_text(model),
        at_ms=_let_in(at_ms, most=outside.TIME_MAX_MS),
        sha256=sha256(line).hexdigest(),
    )


def _let_in(said: object, *, most: int) -> int:
    """A number that a meter of ours can have written. Raises ValueError."""
    let_in = outside.count(said, most=most) if isinstance(said, int) else None
    if let_in is None:
        raise ValueError(_DAMAGE)
    return let_in


def _line(document: dict[str, object]) -> bytes:
    return orjson.dumps(document) + _END


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
