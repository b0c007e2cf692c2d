"""Records are added and never lost to a line that was torn."""

from __future__ import annotations

import stat
from pathlib import Path

from cobot_meter.adapters.bench_records import FILE, RecordFile
from tests.domain.benchmarks.bench_records import NOW_MS, record


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    """In order, by its owner only, and none where there is no file yet."""
    file = RecordFile(tmp_path / "data")
    assert file.read().records == ()
    made = [record(number, at_ms=NOW_MS + number) for number in range(3)]
    for one in made:
        file.append(one)
    assert file.read().records == tuple(made)
    assert file.read(since_ms=NOW_MS + 2).records == (made[2],)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_torn_line_loses_itself_alone(tmp_path: Path) -> None:
    """A process that was killed while it wrote: the next record begins a line of its own."""
    file = RecordFile(tmp_path)
    file.append(record(0))
    with (tmp_path / FILE).open("ab") as torn:
        torn.write(record(1).line().encode()[:40])
    file.append(record(2))
    kept = file.read()
    assert [one.item_id for one in kept.records] == [record(0).item_id, record(2).item_id]
    assert kept.passed_over == 1


def test_lines_of_something_else_are_counted(tmp_path: Path) -> None:
    """Bytes that are no text, and a line without an end that is longer than any record."""
    file = RecordFile(tmp_path)
    file.append(record(0))
    with (tmp_path / FILE).open("ab") as other:
        other.write(b"\xff\xfe\n" + b"x" * 20_000 + b"\n")
    assert len(file.read().records) == 1
    assert file.read().passed_over == 4
