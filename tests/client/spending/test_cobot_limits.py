"""The limits that cobots leave in the file that they spend from."""

from __future__ import annotations

from pathlib import Path

from cobot_pay import Amounts, Limits, StoredBudget
from cobot_pay.spending.cobot_limits import CobotLimits, keep_limits, kept_limits

LIMITS = Limits(
    msat=Amounts(request=1_000_000, hour=10_000_000, day=50_000_000),
    micro_usd=Amounts(day=1_000_000),
)


def of(folder: str, limits: Limits = LIMITS, *, at_s: int = 5) -> CobotLimits:
    """What the cobot of this folder leaves."""
    return CobotLimits(folder=folder, origin="http://b.example:", limits=limits, started_at_s=at_s)


def test_each_cobot_leaves_what_it_started_with_last(tmp_path: Path) -> None:
    """By folder; a later start takes the place of the one before, and a limit that is gone is."""
    book = StoredBudget(tmp_path / "payments.sqlite").book
    assert kept_limits(book) == []
    for one in (of("/srv/b"), of("/srv/a"), of("/srv/b", Limits(), at_s=9)):
        keep_limits(book, one)
    assert kept_limits(book) == [of("/srv/a"), of("/srv/b", Limits(), at_s=9)]


def test_a_file_of_before_takes_them_too(tmp_path: Path) -> None:
    """Whoever has paid with an earlier version keeps the file."""
    budget = StoredBudget(tmp_path / "payments.sqlite")
    with budget.book.change() as book:
        book.execute("DROP TABLE cobot_limits")
    keep_limits(StoredBudget(tmp_path / "payments.sqlite").book, of("/srv/a"))
    assert kept_limits(budget.book) == [of("/srv/a")]
