"""Keys of the day in files: made once, agreed on, found again, dropped for good."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cobot_meter.adapters.secrets.day_key_files import (
    DayKey,
    dropped_keys,
    found_key,
    is_gone,
    made_key,
    refuse_unusable,
)
from cobot_meter.adapters.secrets.day_keys import HELD_MAX, DayKeys, missing_keys
from cobot_meter.adapters.secrets.sealer import AesSealer
from cobot_meter.domain.errors import BodyKeysUnusable, SealBroken

ROOT = Path(__file__).parents[2]
DAY, NEXT, LATER = "2026-11-26", "2026-11-27", "2026-11-28"
LABEL = "esc_1/completion"
# Where a process may be killed while it makes or drops a key: the call that it dies in.
KILLED = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the keys will lie."""
    return tmp_path / "body-keys"


def sealer_on(folder: Path, *, secret: bytes = b"w" * 32) -> AesSealer:
    """As another process, or the same one after a restart."""
    return AesSealer(wrapping_key=secret, days=DayKeys(folder=folder))


def in_a_process(code: str, *, limit: int | None = None) -> int:
    """Runs it with the module's functions at hand; how it ended."""
    start = "import os; from pathlib import Path\n"
    start += "from cobot_meter.adapters.secrets.day_key_files import *\n"
    full = "import signal, resource; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
    whole = start + (full if limit is not None else "") + code
    return subprocess.run(
        [sys.executable, "-c", whole], cwd=ROOT, timeout=60, check=False
    ).returncode


def modes(folder: Path) -> tuple[int, set[int]]:
    """Who may read the directory, and what lies there."""
    inside = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    return folder.stat().st_mode & 0o777, inside


def remove(folder: Path) -> None:
    """The directory with the one key of the day."""
    (folder / f"{DAY}.key").unlink()
    folder.rmdir()


def hanging(folder: Path) -> Path:
    """A key that whoever reads it waits for."""
    folder.mkdir(mode=0o700)
    pipe = folder / f"{DAY}.key"
    os.mkfifo(pipe, 0o600)
    return pipe


def files(folder: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in folder.iterdir())


async def test_a_key_is_made_once_for_its_owner_alone(folder: Path) -> None:
    """The next process finds it; neither directory nor file is readable by others."""
    first = await DayKeys(folder=folder).of_day(DAY)
    assert await DayKeys(folder=folder).of_day(DAY) == first
    assert await DayKeys(folder=folder).named(first.name) == first
    assert (await DayKeys(folder=folder).of_day(NEXT)).secret != first.secret
    assert modes(folder) == (0o700, {0o600})
    assert first.secret.hex() not in repr(first)
    assert first.secret.hex() not in first.name


def test_makers_at_the_same_moment_agree_on_one(folder: Path) -> None:
    """Whoever is first gives the key; what the others began is not left behind."""
    makers = 8
    together = Barrier(makers)

    def make(_: int) -> DayKey:
        together.wait(timeout=30)
        return made_key(folder, DAY)

    with ThreadPoolExecutor(makers) as threads:
        made = set(threads.map(make, range(makers)))
    assert len(made) == 1
    assert files(folder) == [f"{DAY}.key"]


def test_a_maker_that_is_killed_leaves_no_key_behind(folder: Path) -> None:
    """Killed when the secret is written and has no name yet, then when it has one."""
    dies = f"{{}} = lambda *_, **__: os._exit({KILLED}); made_key(Path({str(folder)!r}), {DAY!r})"
    assert in_a_process(dies.format("os.link")) == KILLED
    assert [name.endswith(".new") for name in files(folder)] == [True]
    assert in_a_process(dies.format("os.unlink")) == KILLED
    made = made_key(folder, DAY)
    assert found_key(folder, made.name) == made
    assert len([name for name in files(folder) if name.endswith(".new")]) == 2
    dropped_keys(folder, kept={made.name}, before=LATER)
    assert files(folder) == [f"{DAY}.key"]
    assert found_key(folder, made.name) == made


@pytest.mark.parametrize("dies_in", ["os.pwrite", "os.unlink"])
async def test_a_key_whose_dropping_is_killed_opens_nothing_once_it_is_repeated(
    folder: Path, dies_in: str
) -> None:
    """It is known as gone before it is overwritten, and the next look ends what was begun."""
    key = await sealer_on(folder).new_key(day=DAY)
    sealed = await sealer_on(folder).seal(key, b"answer", label=LABEL)
    drop = f"dropped_keys(Path({str(folder)!r}), kept=(), before={LATER!r})"
    assert in_a_process(f"{dies_in} = lambda *_, **__: os._exit({KILLED}); {drop}") == KILLED
    dropped_keys(folder, kept=(), before=LATER)
    assert not [name for name in files(folder) if name.endswith(".key")]
    with pytest.raises(SealBroken):
        await sealer_on(folder).open(key, sealed, label=LABEL)


def test_what_is_dropped_is_overwritten_first(folder: Path) -> None:
    """The bytes that the file had are zeros, for whoever still has it under another name."""
    key = made_key(folder, DAY)
    os.link(folder / f"{DAY}.key", folder / "kept by a snapshot")
    assert dropped_keys(folder, kept=(), before=LATER) == (key.name,)
    assert set((folder / "kept by a snapshot").read_text(encoding="ascii").strip()) == {"0"}
    assert files(folder) == [f"{key.name}.gone", "kept by a snapshot"]
    assert is_gone(folder, key.name)
    assert dropped_keys(folder, kept=(), before=LATER) == ()


def test_only_what_nobody_needs_is_dropped(folder: Path) -> None:
    """A day that a body names stays, and so do the days that may still be sealed with."""
    made = {day: made_key(folder, day).name for day in (DAY, NEXT, LATER)}
    assert dropped_keys(folder, kept={made[DAY]}, before=NEXT) == ()
    assert dropped_keys(folder, kept=(), before=NEXT) == (made[DAY],)
    assert missing_keys(folder, made.values()) == ()
    assert found_key(folder, made[NEXT]) is not None
    assert found_key(folder, made[DAY]) is None


def test_a_damaged_key_that_is_needed_is_left_for_whoever_can_mend_it(folder: Path) -> None:
    """Half of it may be found elsewhere; when nothing of its day is needed it goes too."""
    name = made_key(folder, DAY).name
    (folder / f"{DAY}.key").write_text("00" * 31, encoding="ascii")
    assert dropped_keys(folder, kept={name}, before=LATER) == ()
    assert missing_keys(folder, {name}) == (name,)
    assert files(folder) == [f"{DAY}.key"]
    assert len(dropped_keys(folder, kept=(), before=LATER)) == 1
    assert f"{DAY}.key" not in files(folder)


def test_that_a_key_was_dropped_is_known_for_longer_than_backups_are_kept(folder: Path) -> None:
    """After 400 days it is forgotten, unless books that were restored still name it."""
    old = [made_key(folder, day).name for day in ("2025-10-24", "2025-10-25", "2025-10-26")]
    dropped_keys(folder, kept=(), before="2025-12-01")
    dropped_keys(folder, kept={old[1]}, before="2026-11-30")
    assert files(folder) == [f"{name}.gone" for name in old[1:]]


async def test_a_body_opens_with_both_secrets_and_its_day_only(
    folder: Path, tmp_path: Path
) -> None:
    """Not with secret.key and another day, nor with the day and another secret.key."""
    sealer = sealer_on(folder)
    key = await sealer.new_key(day=DAY)
    sealed = await sealer.seal(key, b"answer", label=LABEL)
    assert await sealer_on(folder).open(key, sealed, label=LABEL) == b"answer"
    another = await sealer.new_key(day=NEXT)
    for wrong, opened_by in (
        (key, sealer_on(folder, secret=b"x" * 32)),
        (another[:27] + key[27:], sealer_on(folder)),
        (key[27:], sealer_on(folder)),
    ):
        with pytest.raises(SealBroken):
            await opened_by.open(wrong, sealed, label=LABEL)
    with pytest.raises(BodyKeysUnusable):
        await sealer_on(tmp_path / "elsewhere").open(key, sealed, label=LABEL)


async def test_once_a_day_was_used_no_file_is_looked_at(folder: Path) -> None:
    """What runs can seal its answer, and the next ask its request, whatever became of the files."""
    sealer = sealer_on(folder)
    key = await sealer.new_key(day=DAY)
    remove(folder)
    sealed = await sealer.seal(key, b"answer", label=LABEL)
    assert await sealer.open(key, sealed, label=LABEL) == b"answer"
    assert (await sealer.new_key(day=DAY))[:27] == key[:27]


async def test_what_is_held_has_a_bound(folder: Path) -> None:
    """The key that was used longest ago is read from its file again."""
    days = DayKeys(folder=folder)
    first = await days.of_day("2026-01-01")
    for number in range(HELD_MAX):
        await days.of_day(f"2027-{number // 28 + 1:02}-{number % 28 + 1:02}")
    (folder / "2026-01-01.key").unlink()
    with pytest.raises(BodyKeysUnusable):
        await days.named(first.name)


async def test_a_key_that_vanished_is_put_back_by_whoever_holds_it(folder: Path) -> None:
    """While a body names it; without one it may stay away, and another process misses it."""
    days = DayKeys(folder=folder)
    key = await days.of_day(DAY)
    (folder / f"{DAY}.key").unlink()
    assert await DayKeys(folder=folder).missing({key.name}) == (key.name,)
    assert await days.missing(()) == ()
    assert files(folder) == []
    (folder / f"{key.name}.gone").touch()
    assert await days.missing({key.name}) == ()
    assert await DayKeys(folder=folder).named(key.name) == key
    assert files(folder) == [f"{DAY}.key"]


async def test_a_directory_that_went_away_is_not_made_again(folder: Path) -> None:
    """It is a share that is not mounted: a key that is made beside it would be nobody else's."""
    days = DayKeys(folder=folder)
    key = await days.of_day(DAY)
    remove(folder)
    for look in (days.of_day(NEXT), days.prepare(DAY), days.missing({key.name})):
        with pytest.raises(BodyKeysUnusable) as refused:
            await look
        assert "No such file or directory" in refused.value.why
    assert not list(folder.parent.iterdir())


async def test_two_directories_can_be_brought_together(folder: Path, tmp_path: Path) -> None:
    """Two keys of one day lie side by side, and each opens what it sealed."""
    other = tmp_path / "other"
    keys = [await sealer_on(place).new_key(day=DAY) for place in (folder, other)]
    sealed = [
        await sealer_on(place).seal(key, b"answer", label=LABEL)
        for place, key in zip((folder, other), keys, strict=True)
    ]
    (other / f"{DAY}.key").rename(folder / f"{DAY}-b.key")
    together = sealer_on(folder)
    for key, body in zip(keys, sealed, strict=True):
        assert await together.open(key, body, label=LABEL) == b"answer"
    assert len(dropped_keys(folder, kept=(), before=LATER)) == 2


async def test_what_an_operator_calls_gone_is_not_waited_for(folder: Path) -> None:
    """Missing until then: it may come back. Afterwards its bodies are lost, and that is final."""
    key = await sealer_on(folder).new_key(day=DAY)
    sealed = await sealer_on(folder).seal(key, b"answer", label=LABEL)
    name = key[:27].decode()
    (folder / f"{DAY}.key").unlink()
    assert await DayKeys(folder=folder).missing({name}) == (name,)
    with pytest.raises(BodyKeysUnusable) as missing:
        await sealer_on(folder).open(key, sealed, label=LABEL)
    assert f"cd {folder} && touch {name}.gone" in missing.value.why
    assert str(folder) not in missing.value.message
    (folder / f"{name}.gone").touch()
    assert await DayKeys(folder=folder).missing({name}) == ()
    with pytest.raises(SealBroken):
        await sealer_on(folder).open(key, sealed, label=LABEL)


def open_to_others(folder: Path) -> None:
    """The directory."""
    made_key(folder, DAY)
    folder.chmod(0o750)


def key_open_to_others(folder: Path) -> None:
    """The file."""
    made_key(folder, DAY)
    (folder / f"{DAY}.key").chmod(0o640)


def no_parent(folder: Path) -> None:
    """A share that is not mounted."""
    folder.parent.rmdir()


def a_file(folder: Path) -> None:
    """Something else has the name."""
    folder.write_bytes(b"")


def damaged(folder: Path) -> None:
    """Half a secret."""
    made_key(folder, DAY)
    (folder / f"{DAY}.key").write_text("00" * 31, encoding="ascii")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (open_to_others, "run: chmod 700"),
        (key_open_to_others, "run: chmod 600"),
        (no_parent, "No such file or directory; let this user write there"),
        (a_file, "File exists"),
        (damaged, "must hold 64 hex digits"),
    ],
)
async def test_a_directory_that_will_not_do_is_one_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """For the operator, with the path; whoever asks is told that nothing was charged."""
    (tmp_path / "share").mkdir()
    folder = tmp_path / "share" / "body-keys"
    spoil(folder)
    with pytest.raises(BodyKeysUnusable) as refused:
        await sealer_on(folder).new_key(day=DAY)
    assert says in refused.value.why
    assert str(folder) in refused.value.why
    assert "\n" not in refused.value.why
    assert str(folder) not in refused.value.message


def test_a_full_disk_keeps_no_half_key(folder: Path) -> None:
    """The maker is refused with the reason, and the next one begins anew."""
    code = f"""
from cobot_meter.domain.errors import BodyKeysUnusable
try:
    made_key(Path({str(folder)!r}), {DAY!r})
except BodyKeysUnusable as refused:
    os._exit(7 if "make room" in refused.why else 8)
"""
    assert in_a_process(code, limit=0) == 7
    assert files(folder) == []
    assert made_key(folder, DAY).name.startswith(DAY)


def test_what_cannot_be_kept_is_seen_without_trying(folder: Path) -> None:
    """As a command looks that changes nothing."""
    with pytest.raises(BodyKeysUnusable, match="cannot seal"):
        refuse_unusable(folder)
    assert not folder.exists()
    made_key(folder, DAY)
    refuse_unusable(folder)


async def test_files_that_do_not_answer_hold_nobody_up(folder: Path) -> None:
    """A key that cannot be read in time is refused, and read when it can be."""
    pipe = hanging(folder)
    with pytest.raises(BodyKeysUnusable) as refused:
        await DayKeys(folder=folder, look_s=0.2).of_day(DAY)
    assert "does not answer within 0.2 s" in refused.value.why
    await asyncio.to_thread(pipe.write_text, "ab" * 32)  # lets the thread go that still reads
