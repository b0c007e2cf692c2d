"""Where commissions are kept: a file each, written whole and flushed before anything follows.

What is over lies in a folder of its day; at a start only the open ones and today's are read.
Must not know: what a commission is for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from cobot_meter.cobot.commission import PAID_FOR, Commission, read_commission
from cobot_pay.peers.whole_files import PRIVATE_FOLDER, write_whole

_DAY_S = 86_400


class Unreadable(Exception):
    """A file of the shelf that cannot be read: money may depend on it, so nothing is sold."""


class Shelf:
    """All commissions that are open, and those that were asked for today."""

    def __init__(self, folder: Path, *, now_s: Callable[[], int]) -> None:
        """Reads what is there. Raises Unreadable."""
        self._folder = folder
        self._now_s = now_s
        self._open_folder = folder / "open"
        self._open_folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        self._kept = {one.number: one for one in _read_all(self._day_folder(now_s()))}
        for one in _read_all(self._open_folder):
            away = self._day_folder(one.asked_at_s) / f"{one.number}.json"
            if away.exists():  # it was killed between the two steps of putting it away
                (self._open_folder / away.name).unlink()
            else:
                self._kept[one.number] = one

    def open(self) -> list[Commission]:
        """What is not over, the oldest first."""
        found = [one for one in self._kept.values() if not one.over]
        return sorted(found, key=lambda one: one.asked_at_s)

    def get(self, number: str) -> Commission | None:
        """The commission of this number, if it is open or was over within a day or two."""
        found = self._kept.get(number)
        return found or self._put_away(number)

    def unpaid_today_msat(self) -> int:
        """What is lost if nobody pays any more, of all that is open or was asked for today."""
        today = self._now_s() // _DAY_S
        return sum(
            one.stake_msat
            for one in self._kept.values()
            if one.stage not in PAID_FOR and (not one.over or one.asked_at_s // _DAY_S == today)
        )

    def put(self, commission: Commission) -> None:
        """Keep it as it is now: on the disk when this returns. Raises OSError."""
        name = f"{commission.number}.json"
        text = json.dumps(commission.document())
        if not commission.over:
            write_whole(self._open_folder / name, text)
        else:
            day = self._day_folder(commission.asked_at_s)
            day.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)
            write_whole(day / name, text)
            (self._open_folder / name).unlink(missing_ok=True)
            self._forget_old()
        self._kept[commission.number] = commission

    def _put_away(self, number: str) -> Commission | None:
        now_s = self._now_s()
        for at_s in (now_s, now_s - _DAY_S):
            path = self._day_folder(at_s) / f"{number}.json"
            if path.exists():
                return _read(path)
        return None

    def _forget_old(self) -> None:
        """Those of other days are found on the disk where they are asked for."""
        today = self._now_s() // _DAY_S
        for one in [*self._kept.values()]:
            if one.over and one.asked_at_s // _DAY_S != today:
                del self._kept[one.number]

    def _day_folder(self, at_s: int) -> Path:
        return self._folder / f"day-{at_s // _DAY_S}"


def _read_all(folder: Path) -> Iterator[Commission]:
    if folder.is_dir():
        for path in sorted(folder.glob("*.json")):
            yield _read(path)


def _read(path: Path) -> Commission:
    try:
        return read_commission(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as fault:
        message = (
            f"{path} cannot be read ({fault}); nothing is sold until it is mended or moved away"
        )
        raise Unreadable(message) from fault
