"""The limits of cobots that spend from one file: each leaves them there when it starts.

They are written in its `cobot.yml`, which no other program reads; so that `cobot-pay balance` can
say how they stand, they are kept beside what was spent. Nothing is refused by what is kept here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cobot_pay.spending.book import Book
from cobot_pay.spending.limits import Amounts, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class CobotLimits:
    """What one cobot allows itself: it runs in `folder` and buys at `origin`."""

    folder: str
    origin: str
    limits: Limits
    started_at_s: int


def keep_limits(book: Book, kept: CobotLimits) -> None:
    """In place of what the cobot of this folder left before."""
    row = (kept.folder, kept.origin, json.dumps(asdict(kept.limits)), kept.started_at_s)
    with book.change() as changed:
        changed.execute("INSERT OR REPLACE INTO cobot_limits VALUES (?, ?, ?, ?)", row)


def kept_limits(book: Book) -> list[CobotLimits]:
    """Of every cobot that started with this file, by folder."""
    with book.look() as looked:
        rows = looked.execute("SELECT * FROM cobot_limits ORDER BY folder").fetchall()
    return [
        CobotLimits(
            folder=row["folder"],
            origin=row["origin"],
            limits=_limits(row["limits"]),
            started_at_s=row["started_at_s"],
        )
        for row in rows
    ]


def _limits(text: str) -> Limits:
    told = json.loads(text)
    return Limits(msat=Amounts(**told["msat"]), micro_usd=Amounts(**told["micro_usd"]))
