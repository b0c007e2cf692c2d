"""What was asked of other agents, and how far it is: a file each, for the time until it is done.

Must not know: how a bill is paid, or a message sent.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cobot_pay.peers.blocks import Bill
from cobot_pay.peers.whole_files import PRIVATE_FOLDER, write_whole


class Course(enum.StrEnum):
    """What is done already."""

    ASKED = "asked"
    BILLED = "billed"
    PAID = "paid"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One end of a conversation: a channel, a place in it, and who is there."""

    channel_type: str
    channel_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTask:
    """`peer` was asked, for the one at `user`; `paid_at_s` is 0 before it is paid.

    `told` are the sentences that the user heard already, so that a retry is not told again.
    """

    ref: str
    peer: Line
    user: Line
    task: str
    max_msat: int
    asked_at_s: int
    course: Course = Course.ASKED
    bill: Bill | None = None
    paid_at_s: int = 0
    told: str = ""


class AskedUnreadable(Exception):
    """A file that cannot be read, of what may have been paid."""


class AskedFiles:
    """All that is not done; the files of what is done are moved aside."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there. Raises AskedUnreadable."""
        self._folder = folder
        self._done = folder / "done"
        self._done.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        self._open = {one.ref: one for one in map(_read, sorted(folder.glob("*.json")))}

    def open(self) -> list[PeerTask]:
        """What is not done."""
        return [*self._open.values()]

    def get(self, ref: str) -> PeerTask | None:
        """What was asked under this reference and is not done."""
        return self._open.get(ref)

    def put(self, asked: PeerTask) -> None:
        """Keep it as it is now. Raises OSError."""
        path = self._folder / f"{asked.ref}.json"
        write_whole(path, json.dumps(asdict(asked)))
        self._open[asked.ref] = asked
        if asked.course is Course.DONE:
            path.replace(self._done / path.name)
            del self._open[asked.ref]


def _read(path: Path) -> PeerTask:
    try:
        return _asked(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as fault:
        message = f"{path} cannot be read ({fault}); mend it or move it away"
        raise AskedUnreadable(message) from fault


def _asked(document: Mapping[str, Any]) -> PeerTask:
    bill = document["bill"]
    given = {
        **document,
        "peer": Line(**document["peer"]),
        "user": Line(**document["user"]),
        "course": Course(document["course"]),
        "bill": None if bill is None else Bill(**bill),
    }
    return PeerTask(**given)
