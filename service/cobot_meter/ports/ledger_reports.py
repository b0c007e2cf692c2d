"""Reading the ledger as a whole: statements, trial balance, lists and the audit's evidence.

Must not know: requests or flows; these reads may walk the history and run beside the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import SettleCursor
from cobot_meter.ports.books import JournalKeys, Releases, SealedWith


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTransfer:
    """One transfer as stored. `kind` is posted, pending, post or void; `held` as in Transfer."""

    kind: str
    debit: str
    credit: str
    commodity: str
    amount: int
    hold_id: str | None
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One journal row with its transfers, in the order they were written.

    `seller_id` is who sells the task that it is of.
    """

    sequence: int
    key: str
    kind: str
    subject_id: str
    caller_id: str | None
    at_ms: int
    facts: Mapping[str, str | int | None]
    transfers: tuple[JournalTransfer, ...]
    seller_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMark:
    """What a row of an escrow, run or top-up keeps beside its value for indexes to stand on.

    A run is named by its own id. Only an escrow has `occupies_ask`, and no top-up a `due_at_ms`.
    """

    subject_id: str
    opened_sequence: int
    occupies_ask: bool = False
    due_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyDigests:
    """SHA-256 of what is stored of one escrow's sealed bodies; None for what is not there."""

    escrow_id: str
    wrapped_key: str
    request: str | None
    completion: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerWord:
    """What stands of an operator's word on one caller."""

    caller_id: str
    blocked: bool
    cap_msat: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallRows:
    """The tables that hold a few rows each, as they stand.

    `entries` is how many entries the journal has by the count that is kept beside it, None where
    its own numbers have no gaps; `strays` are numbers of entries whose transfers are not the lines
    0, 1, 2... of an entry that is there.
    """

    cursors: tuple[SettleCursor, ...]
    words: tuple[CallerWord, ...]
    adoptions: tuple[AdoptedNode, ...]
    tallies: Mapping[str, int]
    entries: int | None
    strays: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One account's four counters, as the account rows (the cache) have them.

    `exact` says whether guards stand on it; None where several accounts are summed.
    """

    account: str
    commodity: str
    nature: str
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    exact: bool | None = None

    @property
    def net(self) -> int:
        """Debits less credits, posted."""
        return self.debits_posted - self.credits_posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits for the operator: whether releases are stopped, and ids in quarantine."""

    releases: Releases
    quarantined: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePage:
    """Escrows and top-ups, newest first; `before` names the page after, None at the end."""

    rows: tuple[Escrow | Topup, ...]
    before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Tasks, newest first; `before` names the page after, None at the end."""

    rows: tuple[Escrow, ...]
    before: int | None


class LedgerReports(JournalKeys, SealedWith, Protocol):
    """Reads over the whole history. Every list is bounded or streamed."""

    def snapshot(self) -> AbstractAsyncContextManager[LedgerReports]:
        """These reads, all of one instant, whatever is written while the block lasts."""

    async def statement(
        self, caller_id: str, *, before: int | None, limit: int
    ) -> tuple[JournalEntry, ...]:
        """Entries of what a caller buys and of the tasks that it sells, below sequence `before`.

        Newest first, each once.
        """

    async def sold_tasks(
        self, seller_id: str, *, before: int | None, limit: int
    ) -> tuple[Escrow, ...]:
        """The tasks of its own that a caller's `statement` with these words has entries of."""

    def journal(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        """Every entry in order, from one consistent snapshot."""

    async def balances(self) -> tuple[Balance, ...]:
        """Every account row, one by one, as the cache beside the journal has it."""

    async def trial_balance(self) -> tuple[Balance, ...]:
        """Operator accounts one by one; callers', addresses' and days' accounts summed by kind.

        The summed codes are `caller/*/available`, `exposure/network/*`, `exposure/unpaid/*`...
        """

    async def subject(self, name: str) -> Escrow | Topup | None:
        """The escrow or top-up of this id or payment hash, found by its key."""

    async def subjects_like(
        self, head: str, tail: str, *, limit: int
    ) -> tuple[Escrow | Topup, ...]:
        """Those whose id or payment hash begins and ends so, newest first, at most `limit`.

        The database walks its rows for it, and hands over no more than the limit.
        """

    async def invoice_page(
        self, *, state: str | None, before: int | None, limit: int
    ) -> InvoicePage:
        """At most `limit` of those that have an invoice (and are in this state), newest first."""

    async def task_page(self, *, before: int | None, limit: int) -> TaskPage:
        """At most `limit` tasks, whatever has become of them, newest first."""

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        """Every run of a sale, by their numbers."""

    def escrows(self) -> AsyncIterator[Escrow]:
        """Every escrow, newest first, each with the run that it lives by."""

    def runs(self) -> AsyncIterator[Run]:
        """Every run of every escrow, newest first."""

    def topups(self) -> AsyncIterator[Topup]:
        """Every top-up, newest first."""

    def api_keys(self) -> AsyncIterator[ApiKey]:
        """Every API key, newest first."""

    async def alarms(self, *, limit: int) -> Standing:
        """What waits for the operator, at most `limit` ids of it."""

    async def callers(self, *, after: str, limit: int) -> tuple[CallerStanding, ...]:
        """At most `limit` callers in id order, those after the id `after`."""

    def escrow_marks(self) -> AsyncIterator[RowMark]:
        """What every escrow row keeps for its indexes."""

    def run_marks(self) -> AsyncIterator[RowMark]:
        """What every run's row keeps for its indexes."""

    def topup_marks(self) -> AsyncIterator[RowMark]:
        """What every top-up row keeps for its indexes."""

    def api_key_marks(self) -> AsyncIterator[RowMark]:
        """What every API key row keeps for its indexes."""

    def body_digests(self) -> AsyncIterator[BodyDigests]:
        """The digests of every row of sealed bodies."""

    async def small_rows(self) -> SmallRows:
        """The tables that hold a few rows each, whole."""
