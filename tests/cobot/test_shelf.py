"""What a restart finds of the commissions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.cobot.commission import Milestone, commission_number
from cobot_meter.cobot.shelf import Shelf, Unreadable
from tests.cobot.shop import NOW_S, Shop, peer

DAY_S = 86_400


def files_in(folder: Path) -> list[Path]:
    """Whatever lies there."""
    return [*folder.iterdir()]


async def test_a_commission_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every field of it, the bill too."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    await shop.run_until_letters(1)
    (kept,) = shop.shelf.open()
    (found,) = shop.again().shelf.open()
    assert found == kept
    assert found.bill is not None


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """What strangers asked, and answers that are not paid for."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    modes = [one.stat().st_mode & 0o077 for one in files_in(tmp_path / "open")]
    assert modes == [0]


async def test_what_is_over_is_put_away_by_its_day(tmp_path: Path) -> None:
    """It counts today, is found tomorrow if its message comes again, and no start reads it."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    over = replace(shop.taken[0], stage=Milestone.ENDED, stake_msat=7_000)
    shop.shelf.put(over)
    assert files_in(tmp_path / "open") == []
    assert shop.again().shelf.unpaid_today_msat() == 7_000
    tomorrow = Shelf(tmp_path, now_s=lambda: NOW_S + DAY_S)
    assert tomorrow.unpaid_today_msat() == 0
    assert tomorrow.get(over.number) == over


async def test_a_kill_while_it_is_put_away_leaves_it_over(tmp_path: Path) -> None:
    """Both files are there then, and the finished one may be the older folder's."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    open_file = tmp_path / "open" / f"{shop.taken[0].number}.json"
    before = open_file.read_bytes()
    over = replace(shop.taken[0], stage=Milestone.DELIVERED)
    shop.shelf.put(over)
    open_file.write_bytes(before)
    again = shop.again()
    assert again.shelf.open() == []
    assert again.shelf.get(over.number) == over


async def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Money may depend on it: it is named, and nothing is sold."""
    shop = Shop(tmp_path)
    (tmp_path / "open" / "torn.json").write_text('{"number": "torn"')
    with pytest.raises(Unreadable, match=r"torn\.json cannot be read"):
        shop.again()


def test_a_number_is_of_the_whole_name() -> None:
    """The parts of two names cannot be shifted to make the same number."""
    assert commission_number(peer("a"), "b") == commission_number(peer("a"), "b")
    assert commission_number(peer("ab"), "c") != commission_number(peer("a"), "bc")
