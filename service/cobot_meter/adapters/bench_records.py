"""The records of benchmark runs: one JSON object a line, only ever added to.

They are measurements and no money: the books have what each answer cost, and can be audited without
this file. So it is no table of theirs, and whoever wants room deletes it. Must not know: what the
records mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cobot_meter.domain.benchmarks.record import BenchRecord, read_record
from cobot_meter.ports.bench_records import KeptRecords

FILE = "benchmarks.jsonl"
LINE_BYTES_MAX = 8_192
_END = b"\n"


class RecordFile:
    """The file in the data directory."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened before it is needed."""
        self.path = folder / FILE

    def append(self, record: BenchRecord) -> None:
        """Add a line, in one write: two runs at once do not tear each other's. Raises OSError.

        Behind a torn line a new one is begun, else this one would be lost with it.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            begun = _END if _is_torn(self.path) else b""
            os.write(file, begun + record.line().encode() + _END)
        finally:
            os.close(file)

    def read(self, *, since_ms: int = 0) -> KeptRecords:
        """All that is as young; none where nothing was ever run. Raises OSError."""
        if not self.path.exists():
            return KeptRecords(records=(), passed_over=0)
        with self.path.open("rb") as file:
            return _kept(iter(lambda: file.readline(LINE_BYTES_MAX), b""), since_ms)

    def mark(self) -> tuple[int, int]:
        """Its length and when it was last written; nothing of either where there is no file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_size, found.st_mtime_ns)


def _is_torn(path: Path) -> bool:
    """Whether the last line was being written when its process ended."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if not end:
            return False
        file.seek(end - 1)
        return file.read(1) != _END


def _kept(lines: Iterable[bytes], since_ms: int) -> KeptRecords:
    records, passed_over = [], 0
    for line in lines:
        try:
            record = read_record(line.decode())
        except ValueError:
            passed_over += 1
            continue
        if record.at_ms >= since_ms:
            records.append(record)
    return KeptRecords(records=tuple(records), passed_over=passed_over)
