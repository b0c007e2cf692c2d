"""How the benchmarks of the credit path count: statements, waits, confirmations, and peers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from benchmarks.credit.confirmations import DUE_S, QUIET_S, WRITTEN_S, Confirmations
from benchmarks.credit.counted_service import CountedTask, Counts, described
from benchmarks.credit.peers import installed
from benchmarks.credit.targets import Target
from benchmarks.rig.processes import Child
from benchmarks.rig.stacks import Upstream

BEGUN, RESTED, CONFIRMED = 1.0, 1.5, 3.5


class SpendingChild(Child):
    """A process that has used as much CPU as the test says."""

    def __init__(self) -> None:
        self.spent_s = BEGUN

    def cpu_s(self) -> float:
        """As the test says."""
        return self.spent_s


class CountingUpstream(Upstream):
    """An upstream that was asked as often as the test says."""

    asked: dict[str, int]

    def count(self, what: str = "completions") -> int:
        """As the test says."""
        return self.asked[what]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("INSERT INTO journal (sequence) VALUES (1)", "INSERT journal"),
        ("INSERT OR IGNORE INTO secret_mark VALUES (1)", "INSERT secret_mark"),
        ("UPDATE account SET debits_posted = 1", "UPDATE account"),
        ("SELECT a, b\nFROM escrow JOIN run USING (run_id)", "SELECT escrow"),
        ("DELETE FROM body WHERE escrow_id = 'x'", "DELETE body"),
        ("BEGIN IMMEDIATE", "BEGIN"),
        ("COMMIT", "COMMIT"),
    ],
)
def test_a_statement_is_counted_under_its_verb_and_table(sql: str, what: str) -> None:
    """Two statements that differ in values alone are the same one."""
    assert described(sql) == what


async def test_a_task_is_counted_as_often_as_it_waits() -> None:
    """What returns at once is no wait, and the task's result is what it was."""
    counts = Counts()

    async def at_once() -> int:
        return 1

    async def three_times() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return await at_once()

    assert await asyncio.Task(CountedTask(three_times(), counts)) == 1
    (counted,) = orjson.loads(counts.document())["waits"].values()
    assert counted == 3


async def test_a_task_that_is_cancelled_ends() -> None:
    """The exception goes through to where the task waits."""
    task = asyncio.Task(CountedTask(asyncio.sleep(60), Counts()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_confirmations_are_counted_from_the_first_to_the_last() -> None:
    """What was spent at rest before the first look-up is not theirs; all of the rest is."""
    child = SpendingChild()
    upstream = CountingUpstream(child=child, port=0)
    CountingUpstream.asked = asked = {"completions": 5, "lookups": 5}
    target = Target(name="service", child=child, port=0, upstream=upstream, confirmed_in=1)
    found = Confirmations.begin(target)
    asked["completions"] = 8
    found.load_ended()
    child.spent_s = RESTED
    assert not found.look()
    child.spent_s, asked["lookups"] = CONFIRMED, 8
    assert not found.look()
    found.last_rise -= WRITTEN_S
    assert found.look()
    assert (found.cpu_s, found.lookups, found.runs) == (CONFIRMED - RESTED, 3, 3)


def test_a_sample_is_through_when_nothing_more_comes() -> None:
    """Which generations are confirmed is not known: the minute has to pass, and a while more."""
    child = SpendingChild()
    upstream = CountingUpstream(child=child, port=0)
    CountingUpstream.asked = asked = {"completions": 0, "lookups": 0}
    target = Target(name="service", child=child, port=0, upstream=upstream, confirmed_in=20)
    found = Confirmations.begin(target)
    asked["completions"] = 40
    found.load_ended()
    found.last_rise -= QUIET_S
    assert not found.look()
    child.spent_s, asked["lookups"] = CONFIRMED, 2
    assert not found.look()
    found.ended -= DUE_S + QUIET_S
    assert not found.look()
    found.last_rise -= QUIET_S
    assert found.look()
    assert (found.cpu_s, found.lookups, found.runs) == (CONFIRMED - BEGUN, 2, 40)


def test_a_target_that_confirms_nothing_is_not_waited_for() -> None:
    """A proxy of others is through when its load is."""
    child = SpendingChild()
    upstream = CountingUpstream(child=child, port=0)
    CountingUpstream.asked = {"completions": 0, "lookups": 0}
    found = Confirmations.begin(Target(name="bare", child=child, port=0, upstream=upstream))
    found.load_ended()
    assert found.look()
    assert found.cpu_s == 0


def test_a_peer_that_cannot_be_installed_is_left_out(tmp_path: Path) -> None:
    """The comparison goes without it, says why, and nothing half-made stays behind."""
    lock = tmp_path / "peer.lock"
    lock.write_text("this is == no lock\n", encoding="utf-8")
    below = tmp_path / "peers"
    peer = installed("A peer", lock=lock, below=below)
    assert peer.folder is None
    assert peer.without.startswith("A peer is left out: it could not be installed (")
    assert not list(below.iterdir())
