"""The records of benchmark runs, wherever they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.benchmarks.record import BenchRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecords:
    """What could be read, and how many lines could not: torn ones, or of another version."""

    records: tuple[BenchRecord, ...]
    passed_over: int


class BenchRecords(Protocol):
    """Records in the order in which they were made."""

    def read(self, *, since_ms: int = 0) -> KeptRecords:
        """All that is as young, however long that takes. Raises OSError."""

    def mark(self) -> tuple[int, int]:
        """Something that differs as soon as another record is there. Raises OSError."""
