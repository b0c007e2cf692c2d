"""What is made of the names that bodies give to the keys of the day."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cobot_meter.adapters.secrets.day_keys import DayKeys
from cobot_meter.domain.body_keys import key_name
from cobot_meter.domain.errors import BodyKeysUnusable
from cobot_meter.flows.offer.keep_body_keys import MISSING, NAMES_MAX, KeepBodyKeys
from cobot_meter.flows.steady_clock import SteadyClock
from tests.fakes.clock import FakeClock

# The clock of the tests begins on 2023-11-14.
YESTERDAY, TODAY, TOMORROW = "2023-11-13", "2023-11-14", "2023-11-15"
MARK = "0123456789abcdef"
LOGGER = "cobot_meter.flows.offer.keep_body_keys"


class Named:
    """Books whose bodies name these."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        return tuple(sorted(self.names))[:limit]


def keeping(folder: Path, books: Named, clock: FakeClock | None = None) -> KeepBodyKeys:
    """In a process of its own."""
    clock = clock or FakeClock()
    return KeepBodyKeys(
        books=books, keys=DayKeys(folder=folder), steady_clock=SteadyClock(clock=clock)
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines so far."""
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


async def test_todays_key_is_there_before_anybody_asks(tmp_path: Path) -> None:
    """So that the first ask of a day does not make it, and what would stop it is seen before."""
    folder, clock = tmp_path / "body-keys", FakeClock()
    look = keeping(folder, Named(), clock).look
    await look()
    clock.advance(86_400)
    await look()
    assert sorted(path.name for path in folder.iterdir()) == [f"{TODAY}.key", f"{TOMORROW}.key"]


async def test_the_key_that_was_used_last_is_not_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Others sell with another directory: nothing is opened, one line says what to do."""
    name = key_name(TODAY, MARK)
    books = Named(key_name(YESTERDAY, MARK), name)
    one = keeping(tmp_path / "body-keys", books)
    with caplog.at_level(logging.WARNING, LOGGER):
        await one.look()
        await one.look()
    with pytest.raises(BodyKeysUnusable) as refused:
        one.check()
    with pytest.raises(BodyKeysUnusable):
        await one.ping()
    assert one.notice is None
    (line,) = said(caplog)
    assert line == f"nothing is sold: {refused.value.why}"
    assert f"touch {key_name(YESTERDAY, MARK)}.gone {name}.gone" in line
    assert "COBOT_METER_BODY_KEYS_DIR" in line
    books.names = ()
    with caplog.at_level(logging.WARNING, LOGGER):
        await one.look()
    one.check()
    assert said(caplog)[1:] == ["the keys of the day are as they should be again"]


async def test_two_that_should_share_a_directory_and_do_not(tmp_path: Path) -> None:
    """Each sees the other's name, and sells nothing more; brought together, both go on."""
    folders = [tmp_path / "one", tmp_path / "other"]
    keys = [DayKeys(folder=folder) for folder in folders]
    books = Named(*[(await days.of_day(TODAY)).name for days in keys])
    pair = [keeping(folder, books) for folder in folders]
    for one in pair:
        await one.look()
        with pytest.raises(BodyKeysUnusable):
            one.check()
    (folders[1] / f"{TODAY}.key").rename(folders[0] / f"{TODAY}-other.key")
    for one in (pair[0], keeping(folders[0], books)):
        await one.look()
        one.check()


async def test_a_key_of_days_ago_that_is_missing_stops_no_sale(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault hurts the smallest thing: it is told, and new asks are taken."""
    folder = tmp_path / "body-keys"
    today = (await DayKeys(folder=folder).of_day(TODAY)).name
    old = key_name("2023-10-30", MARK)
    one = keeping(folder, Named(today, old))
    with caplog.at_level(logging.WARNING, LOGGER):
        await one.look()
    one.check()
    assert one.notice == MISSING
    assert one.missing == (old,)
    (line,) = said(caplog)
    assert line.startswith("some kept completions cannot be opened: ")
    (folder / f"{old}.gone").touch()
    await one.look()
    assert one.notice is None


async def test_a_directory_that_will_not_do_stops_the_sale_before_an_ask_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, until it will do again."""
    folder = tmp_path / "share" / "body-keys"
    one = keeping(folder, Named())
    with caplog.at_level(logging.WARNING, LOGGER):
        await one.look()
        with pytest.raises(BodyKeysUnusable):
            one.check()
        folder.parent.mkdir()
        await one.look()
    one.check()
    assert len(said(caplog)) == 2


async def test_what_is_no_name_is_nobodys_key(tmp_path: Path) -> None:
    """Bytes that only happen to be as long never become a path."""
    one = keeping(tmp_path / "body-keys", Named("../../../etc/passwd".ljust(27, "x"), "\xff" * 27))
    await one.look()
    one.check()
    assert one.missing == ()


async def test_where_not_every_name_was_read_nothing_is_dropped(tmp_path: Path) -> None:
    """What was not read may be needed."""
    folder = tmp_path / "body-keys"
    old = (await DayKeys(folder=folder).of_day("2023-10-30")).name
    many = (f"2023-{number // 28 % 12 + 1:02}-01.{number:016x}" for number in range(NAMES_MAX))
    books = Named(*many)
    one = keeping(folder, books)
    await one.look()
    assert (folder / "2023-10-30.key").exists()
    books.names = ()
    await one.look()
    assert not (folder / "2023-10-30.key").exists()
    assert (folder / f"{old}.gone").exists()
