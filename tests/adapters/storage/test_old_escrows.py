"""Escrows that are open while the books go up to revision 0009 go on as they began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.migration_run import run_downgrade
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.postgres.schema import downgrade_postgres, upgrade_postgres
from cobot_meter.adapters.storage.reports import StoredReports
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import engine_for, upgrade
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.upstream import upstream_baseline
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.ports.books import Books
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    RETENTION,
    Shape,
    canceled,
    cost_known,
    invoice_issued,
    opened,
    opening_of,
    received,
    used,
)
from tests.flows.audit.audit_rig import ToldNode

BEFORE = "0005"
Told = Callable[[Escrow], on.EscrowEvent]
REQUESTED: tuple[Told, ...] = (lambda _: ran.UpstreamRequested(),)
LAPSES: tuple[Told, ...] = (
    *REQUESTED,
    lambda _: received(),
    lambda row: cost_known(row, 7_000),
    invoice_issued,
    canceled,
)
FAILS: tuple[Told, ...] = (
    *REQUESTED,
    lambda _: ran.RunOutcomeUnknown(failure=FAILURE),
    lambda _: ran.CostGivenUp(),
)
SHAPES = {
    f"esc_{name}_{done}": (events, done)
    for name, events in (("lapses", LAPSES), ("fails", FAILS))
    for done in range(len(events) + 1)
}


async def tell(books: Books, escrow_id: str, events: Sequence[Told]) -> None:
    """Each event in turn, of the row as it stands in the books."""
    for event in events:
        row = await books.escrow(escrow_id)
        assert row is not None
        told = escrow_transition(row, event(row), at_ms=NOW_MS, retention=RETENTION)
        await books.apply(told)


async def open_all(books: Books, *, least: int | None, prefix: str = "") -> None:
    """One escrow for every place where a life can stand at the upgrade."""
    for number, (name, (events, done)) in enumerate(SHAPES.items()):
        shape = Shape(
            escrow_id=prefix + name, caller_id=f"c_{prefix}{number}", ceiling=10_000, least=least
        )
        await books.apply(opening_of(opened(shape), cap_msat=10**9))
        await tell(books, prefix + name, events[:done])


async def go_on(books: Books, reports: StoredReports) -> None:
    """Every life to its end, beside new ones; the audit has nothing against the books."""
    for name, (events, done) in SHAPES.items():
        row = await books.escrow(name)
        assert row is not None
        assert row.quote.least_pusd is None
        await tell(books, name, events[done:])
    await open_all(books, least=100, prefix="new_")
    for name, (events, done) in SHAPES.items():
        await tell(books, f"new_{name}", events[done:])
    audit = AuditLedger(
        reports=reports, node=lambda: ToldNode({}), upstream=None, retention=RETENTION
    )
    report = await audit.audit()
    assert [finding for finding in report.findings if "invoice" not in finding.code] == []
    pending = [one for one in await reports.balances() if one.debits_pending]
    assert pending == []


async def through(
    opening: Callable[[], AbstractAsyncContextManager[Books]],
    reading: Callable[[], AbstractAsyncContextManager[StoredReports]],
    upgraded: Callable[[], Awaitable[None]],
) -> None:
    """Old escrows, the way down and up again, and the rest of their lives."""
    async with opening() as books:
        await books.apply(upstream_baseline(used(0), at_ms=NOW_MS))
        await open_all(books, least=None)
    await upgraded()
    async with opening() as books, reading() as reports:
        await go_on(books, reports)


async def test_on_sqlite(path: Path) -> None:
    """In whatever state they were."""

    async def upgraded() -> None:
        run_downgrade(engine_for(path), BEFORE)
        upgrade(path)

    await through(
        lambda: open_sqlite_books(path, retention=RETENTION),
        lambda: open_sqlite_reports(path),
        upgraded,
    )


@pytest.mark.postgres
async def test_on_postgres(database: str) -> None:
    """In whatever state they were."""

    async def upgraded() -> None:
        await downgrade_postgres(database, BEFORE)
        await upgrade_postgres(database)

    await through(
        lambda: open_postgres_books(database, retention=RETENTION),
        lambda: open_postgres_reports(database),
        upgraded,
    )
