"""Several processes and one file: who may write, who may read, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.sqlite.books import SqliteBooks, open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.domain.errors import SettingInvalid
from tests.adapters.storage.book_files import audited
from tests.contracts.books.books_guards import WIDE
from tests.contracts.books.books_samples import RETENTION, Sale, opened

ROOT = Path(__file__).parents[4]
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


async def sell(books: SqliteBooks, name: str, count: int) -> int:
    """So many sales one after the other; how many transitions were acknowledged."""
    acknowledged = 0
    for number in range(count):
        sale = Sale(books, opened(f"esc_{name}_{number}", caller_id=f"c_{name}"))
        await sale.open(terms=WIDE)
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        await sale.settle()
        acknowledged += len(sale.transitions)
    return acknowledged


async def test_a_second_writer_is_refused(path: Path) -> None:
    """One line names the process that has the books; when that ends, the next may write."""
    async with open_sqlite_books(path, retention=RETENTION):
        with pytest.raises(
            SettingInvalid, match=rf"in use by another process \(pid {os.getpid()}\)"
        ):
            async with open_sqlite_books(path, retention=RETENTION):
                pass
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await books.ping()


def test_a_second_process_is_refused(path: Path) -> None:
    """The lock holds between processes, and the kernel lifts it when its holder is killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.storage.sqlite.selling_process", path, "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as seller:
        assert seller.stdout is not None
        assert seller.stdout.readline() == "open\n"
        with pytest.raises(SettingInvalid, match=f"pid {seller.pid}"):
            asyncio.run(_open_and_close(path))
        seller.kill()
    asyncio.run(_open_and_close(path))


async def test_reading_commands_work_beside_a_writer(path: Path) -> None:
    """Another connection reads what is committed while the books are open for writing."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await Sale(books, opened("esc_1")).sell()
        async with open_sqlite_reports(path) as reports:
            assert len([entry async for entry in reports.journal()]) == 8
            await Sale(books, opened("esc_2")).sell()
            assert len([entry async for entry in reports.journal()]) == 16
    async with open_sqlite_reports(path) as reports:
        assert len([entry async for entry in reports.journal()]) == 16


async def test_sqlite_busy_storm(books: SqliteBooks, path: Path, tmp_path: Path) -> None:
    """64 writers, a process that holds the file for 2 s and a backup: nothing lost, no error."""
    copy = tmp_path / "backup.sqlite3"
    holding = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), "2", stdout=asyncio.subprocess.PIPE
    )
    assert holding.stdout is not None
    async with asyncio.TaskGroup() as tasks:
        first = [tasks.create_task(sell(books, f"a{number}", 2)) for number in range(64)]
        assert await holding.stdout.readline() == b"held\n"
        held_at = time.monotonic()
        backup = tasks.create_task(asyncio.to_thread(_back_up, path, copy))
        second = [tasks.create_task(sell(books, f"b{number}", 1)) for number in range(64)]
    assert time.monotonic() - held_at > 1
    assert await holding.wait() == 0
    acknowledged = sum(task.result() for task in [*first, *second])
    assert backup.done()
    assert len(await audited(path)) == acknowledged == 64 * 3 * 7
    assert await audited(copy) is not None


@pytest.mark.parametrize("lines", [40, 300])
def test_a_killed_writer_leaves_all_it_acknowledged(path: Path, lines: int) -> None:
    """After kill -9 amid writing, every acknowledged entry is there and the books balance."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.storage.sqlite.selling_process", path, "32"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as seller:
        assert seller.stdout is not None
        acknowledged = [seller.stdout.readline().strip() for _ in range(lines)][1:]
        seller.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in seller.stdout if line.endswith("\n")]
    assert seller.returncode == -signal.SIGKILL
    written = {entry.key for entry in asyncio.run(audited(path))}
    assert set(acknowledged) <= written
    asyncio.run(_open_and_sell(path))
    assert len(asyncio.run(audited(path))) == len(written) + 7


async def _open_and_close(path: Path) -> None:
    async with open_sqlite_books(path, retention=RETENTION):
        pass


async def _open_and_sell(path: Path) -> None:
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await sell(books, "after", 1)


def _back_up(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target, pages=32, sleep=0.005)
