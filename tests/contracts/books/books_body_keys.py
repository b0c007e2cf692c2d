"""What books promise of the names that sealed bodies give to the keys of the day."""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.body_keys import WRAPPED_BYTES, key_name
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.contracts.books.books_samples import Sale, opened, opening

MARK = "0123456789abcdef"
FIRST, SECOND = key_name("2026-11-27", MARK), key_name("2026-11-28", MARK)
OTHER = key_name("2026-11-28", "f" * 16)


def sealed_with(name: str, number: int) -> StoredBodies:
    """Bodies whose wrapped key has this name before it; without one it is as it was before."""
    return StoredBodies(
        wrapped_key=name.encode() + bytes([number]) * WRAPPED_BYTES, request=b"sealed ask"
    )


async def ended(books: Books, number: int, name: str) -> Sale:
    """A sale that was released, and whose bodies are still there."""
    sale = Sale(books, opened(f"esc_{number}", caller_id=f"c_{number}"))
    await sale.apply(replace(opening(sale.escrow), bodies=sealed_with(name, number)))
    await sale.generate()
    await sale.cost()
    await sale.invoice()
    await sale.settle(settle_index=number + 1)
    await sale.record(on.CompletionDelivered())
    return sale


class BooksBodyKeys:
    """Of the fixtures `books` and `reports`."""

    async def test_each_key_of_a_day_is_named_once(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """In the order of the days, up to a limit; a key without a name is passed over."""
        assert await books.body_keys(limit=9) == ()
        names = (SECOND, FIRST, FIRST, OTHER, "")
        sales = [await ended(books, number, name) for number, name in enumerate(names)]
        assert len(sales) == len(names)
        for reads in (books, reports):
            assert await reads.body_keys(limit=9) == (FIRST, SECOND, OTHER)
            assert await reads.body_keys(limit=2) == (FIRST, SECOND)

    async def test_a_key_is_named_until_the_last_body_is_dropped(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Nothing but bodies that are still there names it."""
        sales = [await ended(books, number, FIRST) for number in range(2)]
        kept = await ended(books, 2, SECOND)
        for left, sale in ((2, sales[0]), (1, sales[1])):
            await sale.record(on.BodiesShredded())
            assert len(await books.body_keys(limit=9)) == left
            assert await reports.body_keys(limit=9) == await books.body_keys(limit=9)
        assert await books.body_keys(limit=9) == (SECOND,)
        assert await books.bodies(kept.escrow.escrow_id) is not None
