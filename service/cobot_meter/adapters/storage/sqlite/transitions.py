"""Writes one transition, statement by statement, inside a transaction that somebody else ends.

The journal row comes first, so that a repeat stops before it changes anything. Then the rows that
can be refused, then the money under its guards, then what follows. When this raises, part of it has
been written, and whoever calls goes back to before it. Must not know: threads, commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from cobot_meter.adapters.storage.ledger_rows import (
    journal_values,
    mended,
    tally_of,
    transfer_values,
)
from cobot_meter.adapters.storage.moves import Counters, Leg, rolled, steps_of
from cobot_meter.adapters.storage.read_queries import read_statements
from cobot_meter.adapters.storage.row_spec import Row, RowSpec, moved_by
from cobot_meter.adapters.storage.sql_text import Statement
from cobot_meter.adapters.storage.sqlite.statements import (
    ROWS_MAX,
    WriteStatements,
    move_row,
    open_row,
    row_by_key,
)
from cobot_meter.adapters.storage.table_specs import (
    ESCROW_SPEC,
    NODE_SPEC,
    TOPUP_SPEC,
    WrittenRow,
    rows_of,
)
from cobot_meter.domain.errors import AlreadyOpen, LedgerContradicted, MovedOn
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Guard, Transfer, TransferKind
from cobot_meter.domain.refusals import exposure_exceeded
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import Applied

_RESOLVING = frozenset({TransferKind.POST, TransferKind.VOID})
_TAKEN = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})


class TransitionWriter:
    """Applies transitions through one cursor."""

    def __init__(
        self, cursor: sqlite3.Cursor, *, statements: WriteStatements, retention: Retention
    ) -> None:
        """`retention` decides when a written escrow is due."""
        self._cursor = cursor
        self._statements = statements
        self._retention = retention

    def write(self, transition: Transition, operator_legs: list[Leg]) -> Applied:
        """Write it all, but for its legs on operator accounts: those are left in `operator_legs`.

        Raises ExposureExceeded, Conflict, LedgerUnbalanced and whatever the database raises.
        """
        self._run(self._statements.add_entry, journal_values(transition))
        if not self._cursor.rowcount:
            return self._as_it_stands(transition)
        sequence = self._cursor.lastrowid or 0
        for row in rows_of(transition):
            self._write_row(row, sequence)
        self._open_accounts(transition.accounts)
        if transition.transfers:
            self._add_transfers(transition.transfers, sequence)
            self._move_money(transition.transfers, operator_legs)
        self._write_bodies(transition)
        self._write_the_rest(transition)
        return Applied(repeated=False, escrow=transition.escrow, topup=transition.topup)

    def roll_up(self, operator_legs: Sequence[Leg]) -> None:
        """Add to the operator accounts, each once; the last thing before a commit.

        Raises LedgerUnbalanced and whatever the database raises for what they cannot take.
        """
        for account, counters in rolled(operator_legs):
            values = (*chain.from_iterable(zip(*[counters] * 3, strict=True)), account.code)
            self._run(self._statements.carry, values)
            if not self._cursor.rowcount:
                first = _account_values(account, (0, 0, 0, 0))
                self._run(self._statements.open_accounts[0], first)
                self._run(self._statements.carry, values)

    def _run(self, statement: Statement, values: Row) -> None:
        self._cursor.execute(statement.sql, values)

    def _as_it_stands(self, transition: Transition) -> Applied:
        """The rows of a transition that the journal has already."""
        escrow, topup = transition.escrow, transition.topup
        return Applied(
            repeated=True,
            escrow=self._escrow(escrow) if escrow else None,
            topup=self._row(TOPUP_SPEC, topup.topup_id) if topup else None,
        )

    def _escrow(self, told: Escrow) -> Any:  # noqa: ANN401 - the spec's value
        if not told.looks_back:
            return self._row(ESCROW_SPEC, told.escrow_id)
        self._run(read_statements().escrow_of_run, (told.run.run_id,))
        found = self._cursor.fetchone()
        return ESCROW_SPEC.decode(found) if found else None

    def _row(self, spec: RowSpec[Any], subject_id: str) -> Any:  # noqa: ANN401 - the spec's value
        self._run(row_by_key(spec), (subject_id,))
        found = self._cursor.fetchone()
        return spec.decode(found) if found else None

    def _write_row(self, row: WrittenRow, sequence: int) -> None:
        spec, value, changed = row
        subject_id, version = spec.identity(value)
        if version == 1:
            opened = (*mended(spec.opening.values(value, self._retention)), sequence)
            self._open_row(open_row(spec), opened, subject_id)
            return
        moved = mended(moved_by(spec, changed).values(value, self._retention))
        self._move_row(move_row(spec, changed), (*moved, subject_id, version - 1), subject_id)

    def _open_row(self, statement: Statement, values: Row, subject_id: str) -> None:
        try:
            self._run(statement, values)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname not in _TAKEN:
                raise
            message = f"{subject_id} cannot open: it, or one for the same ask, is open already"
            raise AlreadyOpen(message) from error

    def _move_row(self, statement: Statement, values: Row, subject_id: str) -> None:
        self._run(statement, values)
        if not self._cursor.rowcount:
            message = f"{subject_id} has moved on, or was never opened"
            raise MovedOn(message)

    def _open_accounts(self, accounts: Sequence[Account]) -> None:
        for start in range(0, len(accounts), ROWS_MAX):
            chunk = accounts[start : start + ROWS_MAX]
            rows = (_account_values(account, (0, 0, 0, 0)) for account in chunk)
            statement = self._statements.open_accounts[len(chunk) - 1]
            self._run(statement, tuple(chain.from_iterable(rows)))

    def _add_transfers(self, transfers: Sequence[Transfer], sequence: int) -> None:
        self._check_resolved([one for one in transfers if one.kind in _RESOLVING])
        for start in range(0, len(transfers), ROWS_MAX):
            chunk = transfers[start : start + ROWS_MAX]
            rows = (
                (sequence, start + line, *transfer_values(transfer))
                for line, transfer in enumerate(chunk)
            )
            statement = self._statements.add_transfers[len(chunk) - 1]
            self._run(statement, tuple(chain.from_iterable(rows)))

    def _check_resolved(self, resolving: Sequence[Transfer]) -> None:
        """A hold ends at the accounts and for the amount it was reserved with."""
        for start in range(0, len(resolving), ROWS_MAX):
            chunk = resolving[start : start + ROWS_MAX]
            names = tuple(transfer.hold_id for transfer in chunk)
            self._run(self._statements.reserved[len(chunk) - 1], names)
            reserved = {row[0]: row[1:] for row in self._cursor.fetchall()}
            for transfer in chunk:
                told = (transfer.debit.code, transfer.credit.code, transfer.held)
                found = reserved.get(transfer.hold_id)
                if found != told:
                    message = f"{transfer.hold_id} was reserved as {found}, not as {told}"
                    raise LedgerContradicted(message)

    def _move_money(self, transfers: Sequence[Transfer], operator_legs: list[Leg]) -> None:
        steps, legs = steps_of(transfers)
        operator_legs += legs
        for account, counters, guarded in steps:
            if guarded is not None and guarded.guard is not None:
                self._move_guarded(guarded, guarded.guard, counters)
            else:
                self._move(account, counters)

    def _move(self, account: Account, counters: Counters) -> None:
        self._run(self._statements.move, (*counters, account.code))
        if not self._cursor.rowcount:
            message = f"{account.code} was never opened"
            raise LedgerContradicted(message)

    def _move_guarded(self, transfer: Transfer, guard: Guard, counters: Counters) -> None:
        code, asked = transfer.debit.code, transfer.amount
        moved = (*counters, code, asked)
        if guard.cap is None:
            self._run(self._statements.move_within_limit, (*moved, guard.limit))
        else:
            self._run(self._statements.move_within_cap, (*moved, *_cap_terms(guard)))
        if self._cursor.rowcount:
            return
        limit = guard.limit
        if guard.cap is not None:
            self._run(self._statements.cap, _cap_terms(guard))
            limit = self._cursor.fetchone()[0]
        self._run(self._statements.claimed, (code,))
        row = self._cursor.fetchone()
        if row is None:
            message = f"{code} was never opened"
            raise LedgerContradicted(message)
        raise exposure_exceeded(guard.name, open_amount=row[0], limit=limit, asked=asked)

    def _write_bodies(self, transition: Transition) -> None:
        if transition.escrow is None:
            return
        escrow_id = transition.escrow.escrow_id
        if transition.shred:
            self._run(self._statements.drop_bodies, (escrow_id,))
        elif transition.bodies is not None:
            self._keep_bodies(escrow_id, transition.bodies)

    def _keep_bodies(self, escrow_id: str, bodies: StoredBodies) -> None:
        if bodies.wrapped_key is not None:
            values = (escrow_id, bodies.wrapped_key, bodies.request, bodies.completion)
            self._run(self._statements.keep_bodies, values)
        if bodies.wrapped_key is None or bodies.drop_request:
            more = (int(bodies.drop_request), bodies.request, bodies.completion, escrow_id)
            self._run(self._statements.add_bodies, more)

    def _write_the_rest(self, transition: Transition) -> None:
        cursor, caller = transition.cursor, transition.caller
        if cursor is not None:
            values = (cursor.node_pubkey, cursor.settle_index)
            self._run(self._statements.advance_cursor, values)
        if caller is not None and transition.caller_id is not None:
            word = (transition.caller_id, int(caller.blocked), caller.cap_msat)
            self._run(self._statements.set_caller, word)
        if transition.node is not None:
            adopted = NODE_SPEC.opening.values(transition.node, self._retention)
            self._run(open_row(NODE_SPEC), mended(adopted))
        tallied = tally_of(transition)
        if tallied is not None:
            self._run(self._statements.count_entry, (tallied,))


def _account_values(account: Account, counters: Sequence[int]) -> Row:
    return (
        account.code,
        account.commodity.value,
        account.nature.value,
        int(account.exact),
        *counters,
    )


def _cap_terms(guard: Guard) -> Row:
    """The values of CAP_TERMS in `moves.py`."""
    if guard.cap is None:
        return ()
    most, newcomer = guard.cap.max_msat, guard.cap.newcomer_msat
    settled = guard.settled.code if guard.settled else ""
    lapsed = guard.lapsed.code if guard.lapsed else ""
    return (most, most, newcomer, settled, lapsed)
