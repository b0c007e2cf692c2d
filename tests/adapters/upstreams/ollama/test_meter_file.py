"""The meter on disk: kills between its lines, disks that are full, and a file that stays short."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from cobot_meter.adapters.upstreams.ollama import meter as meter_file
from cobot_meter.adapters.upstreams.ollama.meter import KEPT_MS, MeterFile, open_meter
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    SettingInvalid,
    UpstreamFailed,
    UpstreamUnreachable,
)
from tests.fakes.clock import FakeClock

MODEL = "ollama/llama3.2:3b"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the meter lies."""
    return tmp_path / "ollama.jsonl"


def lines_in(path: Path) -> int:
    """How many lines the file has."""
    return path.read_bytes().count(b"\n")


def mode_of(path: Path) -> int:
    """Who may read it; 0 when it is not there."""
    return path.stat().st_mode if path.exists() else 0


def tear(path: Path) -> None:
    """Take away its last bytes, as a power cut does."""
    os.truncate(path, path.stat().st_size - 5)


async def run(meter: MeterFile, name: str, cost_pusd: int) -> None:
    """One run from its beginning to its end."""
    await meter.started(name, model=MODEL)
    await meter.ended(name, model=MODEL, cost_pusd=cost_pusd, tokens=(3, 4))
    meter.over(name)


async def test_what_was_written_is_found_again(path: Path) -> None:
    """Total and records are the same after a restart, with the model and a digest."""
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        await run(meter, "ollama-1", 2_500_000)
        before = meter.cost("ollama-1")
    assert (before.total_cost, before.provider, before.model) == ("0.0000025", "Ollama", MODEL)
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == 2_500_000
        assert meter.cost("ollama-1") == before
    assert mode_of(path) & 0o077 == 0


async def test_looking_makes_no_file(path: Path) -> None:
    """A meter that is only read leaves the directory as it was."""
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == 0
        with pytest.raises(CostNotYetKnown):
            meter.cost("ollama-1")
    assert mode_of(path) == 0


async def test_killed_between_the_two_lines(path: Path) -> None:
    """Begun and never ended: not yet known while it runs, and free once its process is gone."""
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        await meter.started("ollama-1", model=MODEL)
        with pytest.raises(CostNotYetKnown):
            meter.cost("ollama-1")
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.cost("ollama-1").cost_pusd == 0
        assert meter.total_pusd == 0


async def test_killed_inside_a_line(path: Path) -> None:
    """A torn line is cut off before the next one is written."""
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        await run(meter, "ollama-1", 7)
        await run(meter, "ollama-2", 11)
    tear(path)
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == 7
        assert meter.cost("ollama-2").cost_pusd == 0
        await run(meter, "ollama-3", 13)
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == 20


async def test_damage_stops_the_start(path: Path) -> None:
    """One sentence names the file and the line."""
    await asyncio.to_thread(path.write_bytes, b"nonsense\n")
    with pytest.raises(SettingInvalid, match=r"ollama\.jsonl cannot be read: line 1 is damaged"):
        async with open_meter(path, provider="Ollama", clock=FakeClock()):
            pass


async def test_nobody_waits_and_the_line_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is canceled while its cost is written has that cost, and at no look another."""
    slow = threading.Event()

    def write(file: int, data: bytes) -> None:
        assert slow.wait(5)
        os.write(file, data)

    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        await meter.started("ollama-1", model=MODEL)
        monkeypatch.setattr(meter_file, "_write_all", write)
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(
                meter.ended("ollama-1", model=MODEL, cost_pusd=9, tokens=(1, 1))
            )
            await asyncio.sleep(0)
            ending.cancel()
        meter.over("ollama-1")
        with pytest.raises(CostNotYetKnown):
            meter.cost("ollama-1")
        slow.set()
        await meter.aclose()
        assert meter.cost("ollama-1").cost_pusd == 9 == meter.total_pusd


async def test_a_full_disk_sells_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written did not happen: refused before the run, free after it."""
    full = [False]

    def write(file: int, data: bytes) -> None:
        os.write(file, data[:5] if full[0] else data)
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(meter_file, "_write_all", write)
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        await meter.started("ollama-1", model=MODEL)
        full[0] = True
        with pytest.raises(UpstreamFailed):
            await meter.ended("ollama-1", model=MODEL, cost_pusd=9, tokens=(1, 1))
        assert meter.cost("ollama-1").cost_pusd == 0
        with pytest.raises(UpstreamUnreachable):
            await meter.started("ollama-2", model=MODEL)
        full[0] = False
        await run(meter, "ollama-3", 4)
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == 4


async def test_old_lines_become_one_sum(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays short, at a start and while running; the total stays what it was."""
    clock = FakeClock()
    monkeypatch.setattr(meter_file, "FOLDED_AFTER_LINES", 6)
    async with open_meter(path, provider="Ollama", clock=clock) as meter:
        await run(meter, "ollama-old", 5)
        await meter.started("ollama-slow", model=MODEL)
        clock.advance(KEPT_MS // 1_000 + 1)
        for number in range(3):
            await run(meter, f"ollama-{number}", 1)
        with pytest.raises(CostNotYetKnown):
            meter.cost("ollama-old")
        assert meter.cost("ollama-0").cost_pusd == 1
        await meter.ended("ollama-slow", model=MODEL, cost_pusd=20, tokens=(1, 1))
        assert meter.cost("ollama-slow").cost_pusd == 20
        assert meter.total_pusd == 28
    assert lines_in(path) == 1 + 6 + 2
    clock.advance(KEPT_MS // 1_000 + 1)
    async with open_meter(path, provider="Ollama", clock=clock) as meter:
        assert meter.cost("ollama-slow").cost_pusd == 20  # time alone makes nothing old
        await run(meter, "ollama-new", 1)
        assert meter.total_pusd == 29
    async with open_meter(path, provider="Ollama", clock=clock) as meter:
        await run(meter, "ollama-newer", 1)
        assert meter.total_pusd == 30
    assert lines_in(path) == 1 + 4
