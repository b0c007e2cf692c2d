"""The whole-ledger reads over books in memory."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.body_keys import NAME_BYTES, NAMED_BYTES
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.ledger.accounts import Account, available, lapsed, receivable, settled
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.record import Run, due_of_run
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.kinds import NUMBERED_KINDS, RELEASES
from cobot_meter.domain.transitions.row_digests import sealed_digest
from cobot_meter.domain.transitions.transition import SettleCursor
from cobot_meter.ports.books import Releases
from cobot_meter.ports.ledger_reports import (
    Balance,
    BodyDigests,
    CallerWord,
    InvoicePage,
    JournalEntry,
    RowMark,
    SmallRows,
    Standing,
    TaskPage,
)
from tests.fakes.books_rows import UNCHANGED, BooksRows
from tests.fakes.ledger_model import Counters, Ledger

_SUMMED = (
    (re.compile(r"caller/[^/]+/(.+)"), r"caller/*/\1"),
    (re.compile(r"exposure/(address|network)/.+"), r"exposure/\1/*"),
    (re.compile(r"exposure/unpaid/.+"), r"exposure/unpaid/*"),
    (re.compile(r"exposure/key/.+"), r"exposure/key/*"),
    (re.compile(r"key/[^/]+/spent"), r"key/*/spent"),
    (re.compile(r"key/[^/]+/day/.+"), r"key/*/day/*"),
)


class FakeReports:
    """The port `LedgerReports`, in memory; `rows` is what stands in the books now."""

    rows: BooksRows

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[FakeReports]:
        frozen = FakeReports()
        frozen.rows = self.rows
        yield frozen

    async def statement(
        self, caller_id: str, *, before: int | None, limit: int
    ) -> tuple[JournalEntry, ...]:
        own = [
            entry
            for entry in self.rows.journal.values()
            if caller_id in {entry.caller_id, entry.seller_id}
            and (before is None or entry.sequence < before)
        ]
        return tuple(reversed(own))[:limit]

    async def sold_tasks(
        self, seller_id: str, *, before: int | None, limit: int
    ) -> tuple[Escrow, ...]:
        page = await self.statement(seller_id, before=before, limit=limit)
        sold = {entry.subject_id for entry in page if entry.seller_id == seller_id}
        return tuple(one for name, one in self.rows.escrows.items() if name in sold)

    async def journal(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        for entry in tuple(self.rows.journal.values()):
            if entry.sequence > after:
                yield entry

    async def entry_facts(self, key: str) -> Mapping[str, str | int | None] | None:
        entry = self.rows.journal.get(key)
        return None if entry is None else entry.facts

    async def numbered(self, name: str) -> int:
        named = f"{name}/"
        keys = (key for key in self.rows.journal if key.startswith(named))
        return sum(1 for key in keys if key[len(named) :].isdigit())

    async def alarms(self, *, limit: int) -> Standing:
        words = [one for one in self.rows.journal.values() if one.subject_id == RELEASES]
        subjects: dict[str, Escrow | Topup] = {**self.rows.escrows, **self.rows.topups}
        waiting = (name for name, one in subjects.items() if one.quarantine is not None)
        reason = str(words[-1].facts["reason"]) if words else ""
        return Standing(
            releases=Releases(words=len(words), reason=reason),
            quarantined=tuple(sorted(waiting)[:limit]),
        )

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        return body_keys(self.rows, limit)

    async def balances(self) -> tuple[Balance, ...]:
        return balances(self.rows.ledger)

    async def trial_balance(self) -> tuple[Balance, ...]:
        return summed(balances(self.rows.ledger))

    async def subject(self, name: str) -> Escrow | Topup | None:
        return next((one for _, one, names in self._subjects() if name in names), None)

    async def subjects_like(
        self, head: str, tail: str, *, limit: int
    ) -> tuple[Escrow | Topup, ...]:
        alike = (
            one
            for _, one, names in self._subjects()
            if any(
                name.startswith(head) and name.removeprefix(head).endswith(tail) for name in names
            )
        )
        return tuple(itertools.islice(alike, limit))

    async def invoice_page(
        self, *, state: str | None, before: int | None, limit: int
    ) -> InvoicePage:
        found = [
            (sequence, one)
            for sequence, one, _ in self._subjects()
            if (one.payment_request if isinstance(one, Topup) else one.invoice)
            and state in {None, one.state}
            and (before is None or sequence < before)
        ][:limit]
        return InvoicePage(
            rows=tuple(one for _, one in found),
            before=found[-1][0] if len(found) == limit else None,
        )

    async def task_page(self, *, before: int | None, limit: int) -> TaskPage:
        tasks = ((self.rows.opened(name), one) for name, one in self.rows.escrows.items())
        found = [
            (sequence, one)
            for sequence, one in sorted(tasks, key=lambda one: one[0], reverse=True)
            if one.task and (before is None or sequence < before)
        ][:limit]
        return TaskPage(
            rows=tuple(one for _, one in found),
            before=found[-1][0] if len(found) == limit else None,
        )

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        runs = [view.run for view in self.rows.views if view.escrow_id == escrow_id]
        return tuple(sorted(runs, key=lambda run: run.number))

    def _subjects(self) -> list[tuple[int, Escrow | Topup, tuple[str, ...]]]:
        """Newest first, with the number that opened it and what it is called."""
        subjects: dict[str, Escrow | Topup] = {**self.rows.escrows, **self.rows.topups}
        found = [
            (self.rows.opened(name), one, (name, one.payment_hash or name))
            for name, one in subjects.items()
        ]
        return sorted(found, key=lambda one: one[0], reverse=True)

    async def escrows(self) -> AsyncIterator[Escrow]:
        for escrow in reversed(tuple(self.rows.escrows.values())):
            yield escrow

    async def runs(self) -> AsyncIterator[Run]:
        runs = [view.run for view in self.rows.views]
        for run in sorted(runs, key=self.rows.opened_run, reverse=True):
            yield run

    async def topups(self) -> AsyncIterator[Topup]:
        for topup in reversed(tuple(self.rows.topups.values())):
            yield topup

    async def api_keys(self) -> AsyncIterator[ApiKey]:
        for key in reversed(tuple(self.rows.api_keys.values())):
            yield key

    async def api_key_marks(self) -> AsyncIterator[RowMark]:
        for key_id in self.rows.api_keys:
            yield RowMark(subject_id=key_id, opened_sequence=self.rows.opened(key_id))

    async def callers(self, *, after: str, limit: int) -> tuple[CallerStanding, ...]:
        codes = [code.split("/") for code in self.rows.ledger.accounts]
        known = {parts[1] for parts in codes if parts[0] == "caller"}
        chosen = sorted(caller_id for caller_id in known if caller_id > after)[:limit]
        return tuple(standing_of(self.rows, caller_id) for caller_id in chosen)

    async def escrow_marks(self) -> AsyncIterator[RowMark]:
        for escrow in self.rows.escrows.values():
            yield RowMark(
                subject_id=escrow.escrow_id,
                opened_sequence=self.rows.opened(escrow.escrow_id),
                occupies_ask=escrow.occupies_ask,
                due_at_ms=due_at_ms(escrow),
            )

    async def run_marks(self) -> AsyncIterator[RowMark]:
        async for run in self.runs():
            yield RowMark(
                subject_id=run.run_id,
                opened_sequence=self.rows.opened_run(run),
                due_at_ms=due_of_run(run, Retention()),
            )

    async def topup_marks(self) -> AsyncIterator[RowMark]:
        for topup_id in self.rows.topups:
            opened_sequence = self.rows.opened(topup_id)
            yield RowMark(subject_id=topup_id, opened_sequence=opened_sequence)

    async def body_digests(self) -> AsyncIterator[BodyDigests]:
        for escrow_id, kept in self.rows.bodies.items():
            yield BodyDigests(
                escrow_id=escrow_id,
                wrapped_key=_digest(kept.wrapped_key) or "",
                request=_digest(kept.request),
                completion=_digest(kept.completion),
            )

    async def small_rows(self) -> SmallRows:
        numbered = (
            key.rpartition("/")
            for key, entry in self.rows.journal.items()
            if entry.kind in NUMBERED_KINDS
        )
        return SmallRows(
            cursors=tuple(
                SettleCursor(node_pubkey=pubkey, settle_index=index)
                for pubkey, index in self.rows.cursors.items()
            ),
            words=tuple(
                CallerWord(caller_id=caller_id, blocked=word.blocked, cap_msat=word.cap_msat)
                for caller_id, word in self.rows.callers.items()
            ),
            adoptions=self.rows.nodes,
            tallies=Counter(name for name, _, _ in numbered),
            entries=None,
            strays=(),
        )


def _digest(stored: bytes | None) -> str | None:
    return None if stored is None else sealed_digest(stored)


def standing_of(
    rows: BooksRows, caller_id: str, *, losses: Account | None = None
) -> CallerStanding:
    """A caller's figures, from the counters of its accounts."""
    change = rows.callers.get(caller_id, UNCHANGED)
    credit = rows.ledger.of(available(caller_id))
    return CallerStanding(
        caller_id=caller_id,
        available_msat=-credit.claimed,
        open_msat=rows.ledger.of(receivable(caller_id)).claimed,
        settled_msat=rows.ledger.of(settled(caller_id)).net,
        lapsed_msat=rows.ledger.of(lapsed(caller_id)).net,
        credited_msat=credit.credits_posted,
        spent_credit_msat=credit.debits_posted,
        blocked=change.blocked,
        cap_override_msat=change.cap_msat,
        key_losses_pusd=rows.ledger.of(losses).net if losses else 0,
    )


def body_keys(rows: BooksRows, limit: int) -> tuple[str, ...]:
    """The names before the wrapped keys."""
    stored = (kept.wrapped_key or b"" for kept in rows.bodies.values())
    names = {key[:NAME_BYTES].decode("latin-1") for key in stored if len(key) == NAMED_BYTES}
    return tuple(sorted(names)[:limit])


def balances(ledger: Ledger) -> tuple[Balance, ...]:
    """One row for each account that was opened or moved, by code."""
    return tuple(
        _balance(code, ledger.accounts[code], counters)
        for code, counters in sorted(ledger.counters.items())
    )


def summed(rows: Iterable[Balance]) -> tuple[Balance, ...]:
    """Callers', addresses' and days' accounts added up by kind."""
    total: dict[str, Balance] = {}
    for row in rows:
        code = _kind(row.account)
        so_far = total.get(code)
        total[code] = Balance(
            account=code,
            commodity=row.commodity,
            nature=row.nature,
            debits_posted=row.debits_posted + (so_far.debits_posted if so_far else 0),
            credits_posted=row.credits_posted + (so_far.credits_posted if so_far else 0),
            debits_pending=row.debits_pending + (so_far.debits_pending if so_far else 0),
            credits_pending=row.credits_pending + (so_far.credits_pending if so_far else 0),
        )
    return tuple(total[code] for code in sorted(total))


def _kind(code: str) -> str:
    for pattern, replacement in _SUMMED:
        if pattern.fullmatch(code):
            return pattern.sub(replacement, code)
    return code


def _balance(code: str, account: Account, counters: Counters) -> Balance:
    return Balance(
        account=code,
        commodity=account.commodity.value,
        nature=account.nature.value,
        **counters._asdict(),
        exact=account.exact,
    )
