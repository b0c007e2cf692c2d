"""What is driven again, and what must not stand in its way."""

from __future__ import annotations

import asyncio
from typing import cast

from service.domain.escrow_record import Escrow
from service.flows.recover import Recover
from service.flows.settle_invoice import SettleInvoice
from service.ports.escrow_runs import Opening
from tests.contracts.books_lookups import at
from tests.contracts.books_samples import START_MS
from tests.fakes.books import FakeBooks

A_DAY_LATER_MS = START_MS + 86_400_000


class StartedRuns:
    """The port `EscrowRuns`: remembers what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, escrow_id: str) -> asyncio.Future[Escrow]:
        self.started.append(escrow_id)
        return asyncio.get_running_loop().create_future()

    def begin(self, escrow_id: str, opening: Opening) -> asyncio.Future[Escrow]:
        raise AssertionError(f"{escrow_id} was opened by {opening}")


async def test_what_waits_for_the_node_stands_in_no_ones_way() -> None:
    """However many are priced beside a node that is away, a timer that has passed is heard."""
    books, runs = FakeBooks(), StartedRuns()
    costed = [f"esc_{number}" for number in range(5)]
    for escrow_id in costed:
        await at(books, escrow_id, "costed")
    await at(books, "esc_x", "generated")
    await at(books, "esc_y", "invoiced")
    recover = Recover(books=books, runs=runs, settlements=cast("SettleInvoice", None))
    assert await recover.due(A_DAY_LATER_MS, limit=2) == 2
    assert runs.started == ["esc_x", "esc_y"]
    runs.started.clear()
    assert await recover.unfinished() == len(costed) + 1
    assert runs.started == [*costed, "esc_x"]
