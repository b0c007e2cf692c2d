"""Reading the ledger as a whole: statements, trial balance, lists and the audit's evidence.

Must not know: requests or flows; these reads may walk the history and run beside the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from service.domain.callers import CallerStanding
from service.domain.escrow_record import Escrow
from service.domain.topups import Topup
from service.ports.books import Releases


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
    """One journal row with its transfers, in the order they were written."""

    sequence: int
    key: str
    kind: str
    subject_id: str
    caller_id: str | None
    at_ms: int
    facts: Mapping[str, str | int | None]
    transfers: tuple[JournalTransfer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One account's four counters, as the account rows (the cache) have them."""

    account: str
    commodity: str
    nature: str
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int

    @property
    def net(self) -> int:
        """Debits less credits, posted."""
        return self.debits_posted - self.credits_posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits for the operator: whether releases are stopped, and ids in quarantine."""

    releases: Releases
    quarantined: tuple[str, ...]


class LedgerReports(Protocol):
    """Reads over the whole history. Every list is bounded or streamed."""

    def snapshot(self) -> AbstractAsyncContextManager[LedgerReports]:
        """The same reads, all of one instant, however much is written meanwhile."""

    async def statement(
        self, caller_id: str, *, before: int | None, limit: int
    ) -> tuple[JournalEntry, ...]:
        """A caller's own journal entries, newest first, below sequence `before`."""

    def journal(self, *, after: int = 0) -> AsyncIterator[JournalEntry]:
        """Every entry in order, from one consistent snapshot."""

    async def balances(self) -> tuple[Balance, ...]:
        """The account rows."""

    async def trial_balance(self) -> tuple[Balance, ...]:
        """Operator accounts one by one; callers', addresses' and days' accounts summed by kind.

        The summed codes are `caller/*/available`, `exposure/address/*`, `exposure/unpaid/*`...
        """

    def escrows(self, *, state: str | None = None) -> AsyncIterator[Escrow]:
        """Every escrow (of one state), newest first."""

    def topups(self) -> AsyncIterator[Topup]:
        """Every top-up, newest first."""

    async def alarms(self, *, limit: int) -> Standing:
        """What waits for the operator, at most `limit` ids of it."""

    async def callers(self, *, after: str, limit: int) -> tuple[CallerStanding, ...]:
        """Callers in id order."""
