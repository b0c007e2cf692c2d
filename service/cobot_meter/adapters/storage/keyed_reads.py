"""The keyed reads of the port `Books`, whatever database the rows lie in.

Must not know: connections, the writer, or anything that walks the history.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cobot_meter.adapters.storage.ledger_rows import (
    NO_ACCOUNT,
    budget_sheets_from_rows,
    budget_spending_from_rows,
    key_spending_from_rows,
    made_of,
    one_of,
    standing_codes,
    standing_from_rows,
)
from cobot_meter.adapters.storage.read_queries import (
    BUDGETS_READ,
    NUMBERED,
    NUMBERED_END,
    ReadStatements,
)
from cobot_meter.adapters.storage.row_spec import Row
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.table_specs import (
    API_KEY_SPEC,
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
)
from cobot_meter.adapters.storage.tables import CARRY
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import OPERATOR, BudgetWindow
from cobot_meter.domain.budgets.sheets import BudgetSheet
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import COST_UNATTRIBUTED, Account, upstream_credits
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.budgets import budgets_name
from cobot_meter.domain.transitions.kinds import BASELINE_KEY, COMPARED, RELEASES
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.ports.books import (
    FIRST_TIMER,
    KEY_DAYS_MAX,
    DueTimer,
    KeySpending,
    OpenInvoice,
    Quiet,
    Releases,
)


class KeyedReads(abc.ABC):
    """Finds rows by key. Every method raises BooksBusy when the database does not answer."""

    def __init__(self, statements: ReadStatements) -> None:
        """`statements` are compiled for the database of the subclass."""
        self._statements = statements

    @abc.abstractmethod
    async def _rows(self, statement: Statement, *values: str | int | bytes) -> list[Any]:
        """Every row of one statement. Raises BooksBusy."""

    async def escrow(self, escrow_id: str) -> Escrow | None:
        """By its id."""
        return await self._escrow(self._statements.escrow, escrow_id)

    async def escrow_of_run(self, run_id: str) -> Escrow | None:
        """By the run's own key."""
        return await self._escrow(self._statements.escrow_of_run, run_id)

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        """By their own keys, which tell the sale and the number."""
        rows = await self._rows(self._statements.runs_of, *runs_span(escrow_id))
        found = made_of(map(RUN_SPEC.decode, rows))
        return tuple(sorted(found, key=lambda run: run.number))

    async def topup(self, topup_id: str) -> Topup | None:
        """By its id."""
        return await self._topup(self._statements.topup, topup_id)

    async def api_key(self, key_id: str) -> ApiKey | None:
        """By its id."""
        return await self._api_key(self._statements.api_key, key_id)

    async def api_key_of_secret(self, secret_sha256: str) -> ApiKey | None:
        """By the digest of its text."""
        return await self._api_key(self._statements.api_key_of_secret, secret_sha256)

    async def api_keys_of(self, caller_id: str, *, limit: int) -> tuple[ApiKey, ...]:
        """The caller's, newest first."""
        rows = await self._rows(self._statements.api_keys_of, caller_id, limit)
        return tuple(made_of(map(API_KEY_SPEC.decode, rows)))

    async def key_spending(self, key_id: str) -> KeySpending:
        """From the key's account rows, which lie together."""
        between = (f"key/{key_id}/", f"key/{key_id}0", KEY_DAYS_MAX + 1)
        return key_spending_from_rows(await self._rows(self._statements.key_spending, *between))

    async def budget_sheets(self, caller_id: str) -> tuple[BudgetSheet, BudgetSheet]:
        """The newest entry of either, by the tally's number of it."""
        owners = (caller_id, OPERATOR)
        rows = await self._rows(self._statements.budget_sheets, *map(budgets_name, owners))
        own, operators = made_of(budget_sheets_from_rows(owners, rows))
        return own, operators

    async def budget_spending(self, windows: Sequence[BudgetWindow]) -> tuple[BudgetSpending, ...]:
        """From their account rows, a few with each statement."""
        rows: list[Row] = []
        codes = [window.account.code for window in windows]
        for start in range(0, len(codes), BUDGETS_READ):
            chunk = codes[start : start + BUDGETS_READ]
            padded = (*chunk, *[NO_ACCOUNT] * (BUDGETS_READ - len(chunk)))
            rows += await self._rows(self._statements.budget_spending, *padded)
        return budget_spending_from_rows(windows, rows)

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

    async def asks_from_address(self, address_key: str, *, limit: int) -> tuple[Escrow, ...]:
        """The newest of this key; a second read only where they may hide the one that is open."""
        rows = await self._rows(self._statements.asks_from_address, address_key, limit)
        found = tuple(map(ESCROW_SPEC.decode, rows))
        if len(found) < limit or any(one.ask.nameless and one.occupies_ask for one in found):
            return found
        hidden = await self._escrow(self._statements.open_nameless_ask, address_key)
        return found if hidden is None else (*found, hidden)

    async def ask_of_idempotency_key(self, idempotency_key: str) -> Escrow | None:
        """The one of this key."""
        return await self._escrow(self._statements.ask_of_idempotency_key, idempotency_key)

    async def escrow_of_generation(self, caller_id: str, generation_id: str) -> Escrow | None:
        """By the upstream's id, for its own caller only."""
        return await self._escrow(self._statements.escrow_of_generation, caller_id, generation_id)

    async def open_topup(self, address_key: str) -> Topup | None:
        """The one that waits for payment."""
        return await self._topup(self._statements.open_topup, address_key)

    async def standing(self, caller_id: str, *, losses: Account | None = None) -> CallerStanding:
        """From the caller's four account rows, and that of a key's losses."""
        codes = standing_codes(caller_id, losses=losses)
        return standing_from_rows(
            caller_id, await self._rows(self._statements.standing, caller_id, *codes)
        )

    async def open_escrows(self, caller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        """Invoiced ones, oldest first."""
        rows = await self._rows(self._statements.open_escrows, caller_id, limit)
        return tuple(made_of(map(ESCROW_SPEC.decode, rows)))

    async def open_tasks(self, seller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        """Those of one seller, oldest first."""
        rows = await self._rows(self._statements.open_tasks, seller_id, limit)
        return tuple(made_of(map(ESCROW_SPEC.decode, rows)))

    async def due(
        self, now_ms: int, *, limit: int, after: DueTimer = FIRST_TIMER
    ) -> tuple[DueTimer, ...]:
        """Longest overdue first, of sales and of runs."""
        since = (now_ms, after.at_ms, after.escrow_id, limit)
        timers: list[tuple[Any, ...]] = [
            *((*row, "") for row in await self._rows(self._statements.due_escrows, *since)),
            *map(tuple, await self._rows(self._statements.due_runs, *since)),
        ]
        return tuple(
            DueTimer(at_ms=at_ms, escrow_id=escrow_id, run_id=run_id)
            for at_ms, escrow_id, run_id in sorted(timers)[:limit]
        )

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
        return None if row is None else NODE_SPEC.decode(row)

    async def quiet(self, upstream: str) -> Quiet:
        """One statement, so one instant."""
        code = upstream_credits(upstream).code
        row = await self._row(
            self._statements.quiet,
            upstream,
            upstream,
            code,
            code,
            COMPARED,
            BASELINE_KEY,
            COST_UNATTRIBUTED.code,
            COST_UNATTRIBUTED.code,
            upstream,
        )
        found: Row = row or (0,) * 10
        in_flight, awaited, mark, booked, carried, comparisons, facts, *rest = found
        return Quiet(
            in_flight=bool(in_flight),
            awaited=bool(awaited),
            mark=mark,
            booked_pusd=booked + CARRY * carried,
            comparisons=comparisons,
            baseline_pusd=orjson.loads(facts)["usage_pusd"] if facts else None,
            unattributed_pusd=-(rest[0] + CARRY * rest[1]),
            unconfirmed_pusd=rest[2],
        )

    async def entry_facts(self, key: str) -> Mapping[str, str | int | None] | None:
        """By the journal's own index."""
        row = await self._row(self._statements.entry_facts, key)
        return None if row is None else orjson.loads(row[0])

    async def numbered(self, name: str) -> int:
        """From the tally, which counts them as they are written."""
        return await self._number(self._statements.tally, name)

    async def unexplained(self, upstream: str, *, limit: int) -> tuple[Escrow, ...]:
        """In opening order."""
        rows = await self._rows(self._statements.unexplained, upstream, limit)
        return tuple(made_of(map(ESCROW_SPEC.decode, rows)))

    async def caller_changes(self, caller_id: str) -> int:
        """How often the operator spoke of this caller."""
        return await self._number(self._statements.tally, f"{caller_id}/caller_changed")

    async def quarantined(self, *, after: str, limit: int) -> tuple[Escrow | Topup, ...]:
        """Escrows and top-ups, in the order of their ids."""
        escrows = await self._rows(self._statements.quarantined_escrows, after, limit)
        topups = await self._rows(self._statements.quarantined_topups, after, limit)
        found: dict[str, Escrow | Topup] = {row[0]: ESCROW_SPEC.decode(row) for row in escrows}
        found |= {row[0]: TOPUP_SPEC.decode(row) for row in topups}
        return tuple(found[subject_id] for subject_id in sorted(found)[:limit])

    async def releases(self) -> Releases:
        """Every second word opens again what the one before it stopped."""
        words = await self._number(self._statements.tally, RELEASES)
        if not words:
            return Releases()
        row = await self._row(self._statements.entry_facts, f"{RELEASES}/{words - 1}")
        reason = orjson.loads(row[0])["reason"] if row else ""
        return Releases(words=words, reason=reason)

    async def latest_at_ms(self) -> int:
        """0 in an empty journal."""
        return await self._number(self._statements.latest_entry)

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        """From name to name."""
        names: list[str] = []
        after = b""
        while len(names) < limit:
            row = await self._row(self._statements.next_body_key, after)
            if row is None:
                break
            after = row[0]
            names.append(after.decode("latin-1"))
        return tuple(names)

    async def _escrow(self, statement: Statement, *values: str) -> Escrow | None:
        return one_of(ESCROW_SPEC.decode, await self._rows(statement, *values))

    async def _api_key(self, statement: Statement, *values: str) -> ApiKey | None:
        return one_of(API_KEY_SPEC.decode, await self._rows(statement, *values))

    async def _topup(self, statement: Statement, *values: str) -> Topup | None:
        return one_of(TOPUP_SPEC.decode, await self._rows(statement, *values))

    async def _number(self, statement: Statement, *values: str) -> int:
        row = await self._row(statement, *values)
        return 0 if row is None else row[0]

    async def _row(self, statement: Statement, *values: str | int | bytes) -> Row | None:
        rows = await self._rows(statement, *values)
        return rows[0] if rows else None


def runs_span(escrow_id: str) -> tuple[str, str, str]:
    """What `runs_of` takes: the first run's id, and between what those of later ones are."""
    return (escrow_id, escrow_id + NUMBERED, escrow_id + NUMBERED_END)
