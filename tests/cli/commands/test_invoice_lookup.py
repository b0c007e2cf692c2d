"""What a name on the command line means: a key is looked up, an end is searched for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cobot_meter.cli.lookup import CANDIDATES, find_invoice
from cobot_meter.cli.terminal import CommandFailed, Misused
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.topups import open_topup
from tests.contracts.books.books_samples import RETENTION, topup
from tests.fakes.books import FakeBooks


class KeyedBooks(FakeBooks):
    """Books that count how often they are searched, and how often walked from row to row."""

    searched = walked = 0

    async def escrows(self) -> AsyncIterator[Escrow]:
        self.walked += 1
        async for escrow in super().escrows():
            yield escrow

    async def topups(self) -> AsyncIterator[Topup]:
        self.walked += 1
        async for one in super().topups():
            yield one

    async def subjects_like(
        self, head: str, tail: str, *, limit: int
    ) -> tuple[Escrow | Topup, ...]:
        self.searched += 1
        return await super().subjects_like(head, tail, limit=limit)


async def books_with(*names: str) -> tuple[KeyedBooks, list[Topup]]:
    """A top-up of each name, oldest first."""
    books = KeyedBooks(retention=RETENTION)
    made = [replace(topup(name), address_key=name) for name in names]
    for one in made:
        await books.apply(open_topup(one))
    return books, made


async def test_a_whole_name_is_looked_up_by_its_key() -> None:
    """An id and a payment hash; nothing is searched for."""
    books, (one, _) = await books_with("top_first_end", "top_other_end")
    assert await find_invoice(books, one.topup_id) == one
    assert await find_invoice(books, one.payment_hash) == one
    assert (books.searched, books.walked) == (0, 0)


async def test_an_end_is_searched_for() -> None:
    """As the lists show it, with the beginning before the dots or without."""
    books, (one, _) = await books_with("top_first_end", "ab_other_end")
    assert await find_invoice(books, "first_end") == one
    assert await find_invoice(books, "top…first_end") == one
    assert await find_invoice(books, one.payment_hash[-12:]) == one
    assert (books.searched, books.walked) == (3, 0)


@pytest.mark.parametrize(("count", "more"), [(2, ""), (CANDIDATES, ""), (40, " and more")])
async def test_several_are_told_newest_first(count: int, more: str) -> None:
    """At most five candidates, whatever the books hold."""
    names = [f"top_{number:02}_the_end" for number in range(count)]
    books, _ = await books_with(*names)
    with pytest.raises(Misused) as refused:
        await find_invoice(books, "_the_end")
    told = ", ".join(names[::-1][:CANDIDATES])
    assert f"several of them end so: {told}{more}; give more of it" in str(refused.value)


@pytest.mark.parametrize("given", ["nothing_of_the_kind", "%_end_end", "top_none_end"])
async def test_none_is_told_as_none(given: str) -> None:
    """A sentence; what databases read as a pattern is none here."""
    books, _ = await books_with("top_first_end")
    with pytest.raises(CommandFailed, match="there is no such"):
        await find_invoice(books, given)


async def test_a_short_end_is_refused_unread() -> None:
    """It could be anybody's."""
    books, _ = await books_with("top_first_end")
    with pytest.raises(Misused, match="give the whole id"):
        await find_invoice(books, "d")
    assert (books.searched, books.walked) == (0, 0)
