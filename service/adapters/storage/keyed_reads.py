"""The keyed reads of the port `Books`, whatever database the rows lie in.

Must not know: connections, the writer, or anything that walks the history.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import orjson

from service.adapters.storage.compiled import Statement
from service.adapters.storage.escrow_rows import Row, escrow_from_row
from service.adapters.storage.ledger_rows import (
    node_from_row,
    standing_from_rows,
    topup_from_row,
)
from service.adapters.storage.read_queries import ReadStatements
from service.domain.accounts import COST_UNATTRIBUTED, UPSTREAM_CREDITS, caller_accounts
from service.domain.callers import CallerStanding
from service.domain.escrow_record import Escrow
from service.domain.ledger import StoredBodies
from service.domain.node_adoption import AdoptedNode
from service.domain.topups import Topup
from service.domain.transitions import BASELINE_KEY, COMPARED
from service.ports.books import OpenInvoice, Quiet


class KeyedReads(abc.ABC):
    """Finds rows by key. Every method raises BooksBusy when the database does not answer."""

    def __init__(self, statements: ReadStatements) -> None:
        """`statements` are compiled for the database of the subclass."""
        self._statements = statements

    @abc.abstractmethod
    async def _rows(self, statement: Statement, *values: str | int) -> list[Any]:
        """Every row of one statement. Raises BooksBusy."""

    async def escrow(self, escrow_id: str) -> Escrow | None:
        """By its id."""
        return await self._escrow(self._statements.escrow, escrow_id)

    async def topup(self, topup_id: str) -> Topup | None:
        """By its id."""
        return await self._topup(self._statements.topup, topup_id)

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        """What is sealed, while its key is kept."""
        row = await self._row(self._statements.bodies, escrow_id)
        if row is None:
            return None
        wrapped_key, request, completion = row
        return StoredBodies(wrapped_key=wrapped_key, request=request, completion=completion)

    async def subject_of_payment(self, payment_hash: str) -> Escrow | Topup | None:
        """By the hash of the invoice that is, or was last, its own."""
        escrow = await self._escrow(self._statements.escrow_of_payment, payment_hash)
        return escrow or await self._topup(self._statements.topup_of_payment, payment_hash)

    async def latest_ask(self, request_key: str) -> Escrow | None:
        """The newest of this key."""
        return await self._escrow(self._statements.latest_ask, request_key)

    async def latest_nameless_ask(self, address_key: str) -> Escrow | None:
        """The newest of this key."""
        return await self._escrow(self._statements.latest_nameless_ask, address_key)

    async def ask_of_idempotency_key(self, idempotency_key: str) -> Escrow | None:
        """The one of this key."""
        return await self._escrow(self._statements.ask_of_idempotency_key, idempotency_key)

    async def escrow_of_generation(self, caller_id: str, generation_id: str) -> Escrow | None:
        """By the upstream's id, for its own caller only."""
        return await self._escrow(self._statements.escrow_of_generation, caller_id, generation_id)

    async def open_topup(self, address_key: str) -> Topup | None:
        """The one that waits for payment."""
        return await self._topup(self._statements.open_topup, address_key)

    async def standing(self, caller_id: str) -> CallerStanding:
        """From the caller's four account rows."""
        codes = (account.code for account in caller_accounts(caller_id))
        return standing_from_rows(
            caller_id, await self._rows(self._statements.standing, caller_id, *codes)
        )

    async def open_escrows(self, caller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        """Invoiced ones, oldest first."""
        rows = await self._rows(self._statements.open_escrows, caller_id, limit)
        return tuple(map(escrow_from_row, rows))

    async def due(self, now_ms: int, *, limit: int) -> tuple[str, ...]:
        """Ids, longest overdue first."""
        return tuple(row[0] for row in await self._rows(self._statements.due, now_ms, limit))

    async def unfinished(self, *, after: str, limit: int) -> tuple[str, ...]:
        """Ids, in order."""
        return tuple(row[0] for row in await self._rows(self._statements.unfinished, after, limit))

    async def open_invoices(self, *, after: str, limit: int) -> tuple[OpenInvoice, ...]:
        """Of escrows and top-ups, in the order of their ids."""
        rows = [
            *await self._rows(self._statements.open_escrow_invoices, after, limit),
            *await self._rows(self._statements.open_topup_invoices, after, limit),
        ]
        return tuple(
            OpenInvoice(subject_id=subject_id, payment_hash=payment_hash)
            for subject_id, payment_hash in sorted(rows)[:limit]
        )

    async def settle_cursor(self, node_pubkey: str) -> int:
        """0 for a node never seen."""
        return await self._number(self._statements.settle_cursor, node_pubkey)

    async def node(self) -> AdoptedNode | None:
        """The newest of the adopted."""
        row = await self._row(self._statements.node)
        return None if row is None else node_from_row(row)

    async def quiet(self) -> Quiet:
        """One statement, so one instant."""
        row = await self._row(
            self._statements.quiet,
            UPSTREAM_CREDITS.code,
            COMPARED,
            BASELINE_KEY,
            COST_UNATTRIBUTED.code,
        )
        found: Row = row or (0,) * 8
        in_flight, awaited, mark, booked_pusd, comparisons, facts, *rest = found
        return Quiet(
            in_flight=bool(in_flight),
            awaited=bool(awaited),
            mark=mark,
            booked_pusd=booked_pusd,
            comparisons=comparisons,
            baseline_pusd=orjson.loads(facts)["usage_pusd"] if facts else None,
            unattributed_pusd=rest[0],
            unconfirmed_pusd=rest[1],
        )

    async def entry_facts(self, key: str) -> Mapping[str, str | int | None] | None:
        """By the journal's own index."""
        row = await self._row(self._statements.entry_facts, key)
        return None if row is None else orjson.loads(row[0])

    async def numbered(self, name: str) -> int:
        """From the tally, which counts them as they are written."""
        return await self._number(self._statements.tally, name)

    async def unexplained(self, *, limit: int) -> tuple[Escrow, ...]:
        """In opening order."""
        return tuple(map(escrow_from_row, await self._rows(self._statements.unexplained, limit)))

    async def caller_changes(self, caller_id: str) -> int:
        """How often the operator spoke of this caller."""
        return await self._number(self._statements.tally, f"{caller_id}/caller_changed")

    async def _escrow(self, statement: Statement, *values: str) -> Escrow | None:
        row = await self._row(statement, *values)
        return None if row is None else escrow_from_row(row)

    async def _topup(self, statement: Statement, *values: str) -> Topup | None:
        row = await self._row(statement, *values)
        return None if row is None else topup_from_row(row)

    async def _number(self, statement: Statement, *values: str) -> int:
        row = await self._row(statement, *values)
        return 0 if row is None else row[0]

    async def _row(self, statement: Statement, *values: str | int) -> Row | None:
        rows = await self._rows(statement, *values)
        return rows[0] if rows else None
