"""A process that sells until it is killed and says each key once it is acknowledged.

`python -m tests.adapters.storage.sqlite.selling_process PATH SELLERS`; with 0 sellers it only keeps
the books open.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from cobot_meter.adapters.storage.sqlite.books import SqliteBooks, open_sqlite_books
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied
from tests.contracts.books.books_guards import WIDE
from tests.contracts.books.books_samples import RETENTION, Sale, opened


class Announced(Sale):
    """A sale that tells the outside what the books have acknowledged."""

    async def apply(self, transition: Transition) -> Applied:
        """Apply, then tell."""
        applied = await super().apply(transition)
        os.write(1, f"{transition.key}\n".encode())
        return applied


async def sell_on(books: SqliteBooks, seller: int) -> None:
    """Sale after sale."""
    for number in itertools.count():
        sale = Announced(books, opened(f"esc_{seller}_{number}", caller_id=f"c_{seller}"))
        await sale.open(terms=WIDE)
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        await sale.settle()


async def main(path: Path, sellers: int) -> None:
    """Until killed."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        os.write(1, b"open\n")
        async with asyncio.TaskGroup() as tasks:
            for seller in range(sellers):
                tasks.create_task(sell_on(books, seller))
            await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
