"""The books: the one door for writes, and the keyed reads that flows need.

Must not know: SQL, or how many processes share the rows. Every read is by key or by an index and
touches a bounded number of rows, whatever the history holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.sheets import BudgetSheet
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import StoredBodies, Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What `apply` did: `repeated` when the transition's key was in the journal already.

    `escrow`, `topup` and `api_key` are the rows as the transition has them, and on a repeat as they
    stand now, possibly further on. An escrow that is looked at from an earlier run of it still is.
    """

    repeated: bool
    escrow: Escrow | None = None
    topup: Topup | None = None
    api_key: ApiKey | None = None


def applied_as_told(transition: Transition) -> Applied:
    """What a transition that was new has made of its rows."""
    return Applied(
        repeated=False,
        escrow=transition.escrow,
        topup=transition.topup,
        api_key=transition.api_key,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDay:
    """What a key has spent of the asks of one UTC day, and what they have reserved; in msat."""

    utc_day: str
    spent_msat: int
    reserved_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpending:
    """What a key has spent in all, and its newest days on which it was used, newest first."""

    spent_msat: int = 0
    reserved_msat: int = 0
    days: tuple[KeyDay, ...] = ()


# As many days as a month has, and the week that it began in.
KEY_DAYS_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvoice:
    """One invoice that the node has not yet said settled or canceled of."""

    subject_id: str
    payment_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Whether the usage figure of one upstream can be compared with our books right now.

    Runs, what was booked and what is unconfirmed are of that upstream alone.

    `mark` grows with every journal row; equal marks mean that nothing happened in between.
    `booked_pusd` is what the books say was spent there since they were opened;
    `comparisons` counts the comparisons booked so far; `baseline_pusd` is the upstream's usage
    when the books were opened (None: not yet recorded). `unattributed_pusd` is what was booked
    that no generation explains, `unconfirmed_pusd` all costs that no record has confirmed.
    """

    in_flight: bool
    awaited: bool
    mark: int
    booked_pusd: int
    comparisons: int
    baseline_pusd: int | None
    unattributed_pusd: int = 0
    unconfirmed_pusd: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTimer:
    """One escrow whose timer has passed, and when that was.

    `run_id` names the run whose timer it is where the sale no longer lives by that run.
    """

    at_ms: int
    escrow_id: str
    run_id: str = ""


FIRST_TIMER = DueTimer(at_ms=0, escrow_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """Whether completions may be sold and released: the last of `words` said so, and why."""

    words: int = 0
    reason: str = ""

    @property
    def stopped(self) -> bool:
        """The first word stops, the second opens again, and so on."""
        return self.words % 2 == 1


class JournalKeys(Protocol):
    """What the journal keeps under a key: found by an index, whatever the history holds."""

    async def entry_facts(self, key: str) -> Mapping[str, str | int | None] | None:
        """The facts of the entry of this key; None without one."""

    async def numbered(self, name: str) -> int:
        """How many entries `{name}/{number}` are booked, counted from 0."""


class SealedWith(Protocol):
    """Which keys of the day the sealed bodies name."""

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        """The names, each once and in order, the days of the past first.

        One look into an index for each, however many bodies there are.
        """


class Books(JournalKeys, SealedWith, Protocol):
    """The ledger and the rows that move with it."""

    async def apply(self, transition: Transition) -> Applied:
        """Write a transition as a whole, durably, or raise and write nothing.

        Idempotent by `transition.key`. Raises ExposureExceeded when a guard refused, MovedOn when
        the row is no longer the version before, AlreadyOpen when it or another one for the same
        request is open, BooksBusy when writes cannot be taken now, and LedgerUnbalanced when a
        reservation is resolved twice.
        """

    async def escrow(self, escrow_id: str) -> Escrow | None:
        """The row as it stands, with the run that it lives by; None without one."""

    async def escrow_of_run(self, run_id: str) -> Escrow | None:
        """The sale of this run, with it as `run`, also where the sale no longer lives by it."""

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        """Every run of the sale, in their order."""

    async def topup(self, topup_id: str) -> Topup | None:
        """The row as it stands; None without one."""

    async def api_key(self, key_id: str) -> ApiKey | None:
        """The row as it stands, of a revoked key too; None without one."""

    async def api_key_of_secret(self, secret_sha256: str) -> ApiKey | None:
        """The key, live or revoked, whose text has this digest: one look into an index."""

    async def api_keys_of(self, caller_id: str, *, limit: int) -> tuple[ApiKey, ...]:
        """The caller's keys, revoked ones too, newest first."""

    async def key_spending(self, key_id: str) -> KeySpending:
        """From the key's accounts: the total and at most KEY_DAYS_MAX days."""

    async def budget_sheets(self, caller_id: str) -> tuple[BudgetSheet, BudgetSheet]:
        """The caller's own budgets and the operator's, as they were last set, in one look."""

    async def budget_spending(self, windows: Sequence[BudgetWindow]) -> tuple[BudgetSpending, ...]:
        """What is spent and reserved in each of these windows, in their order."""

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        """The sealed bodies; None once the key was dropped."""

    async def subject_of_payment(self, payment_hash: str) -> Escrow | Topup | None:
        """Whose invoice this is; None for a hash that is not ours."""

    async def latest_ask(self, request_key: str) -> Escrow | None:
        """The newest escrow of this caller for this very request, named or not when it asked."""

    async def asks_from_address(self, address_key: str, *, limit: int) -> tuple[Escrow, ...]:
        """The newest escrows of any caller from this address for this very request.

        Newest first, and after them the one that a nameless ask would have to find because it
        occupies the address, where `limit` newer ones hide it.
        """

    async def ask_of_idempotency_key(self, idempotency_key: str) -> Escrow | None:
        """The escrow that the key (scope included) was first used for."""

    async def escrow_of_generation(self, caller_id: str, generation_id: str) -> Escrow | None:
        """The caller's own escrow with this generation."""

    async def open_topup(self, address_key: str) -> Topup | None:
        """The opened or invoiced top-up that an empty ask from this address already has."""

    async def standing(self, caller_id: str, *, losses: Account | None = None) -> CallerStanding:
        """The caller's figures; zeros for one never seen.

        `losses` is the account of what an API key's asks of a day cost us, read along with them.
        """

    async def open_tasks(self, seller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        """The tasks of this seller that are open, oldest first."""

    async def open_escrows(self, caller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        """The caller's invoiced escrows, oldest first."""

    async def due(
        self, now_ms: int, *, limit: int, after: DueTimer = FIRST_TIMER
    ) -> tuple[DueTimer, ...]:
        """Escrows and runs whose timer has passed, the longest overdue first, beyond `after`.

        Two of one escrow at one millisecond may be told as one; the other one is due still.
        """

    async def unfinished(self, *, after: str, limit: int) -> tuple[str, ...]:
        """Ids of escrows opened, requested, generated or costed, above `after` in id order.

        Not of those in quarantine; nor are these in `due`, `open_invoices`, `unexplained`, `quiet`.
        """

    async def open_invoices(self, *, after: str, limit: int) -> tuple[OpenInvoice, ...]:
        """Invoices of escrows and top-ups still open, above `after` in subject id order."""

    async def settle_cursor(self, node_pubkey: str) -> int:
        """The highest settle index booked from this node, 0 when none was."""

    async def node(self) -> AdoptedNode | None:
        """The node adopted last: the one whose invoices these are. None before the first."""

    async def quiet(self, upstream: str) -> Quiet:
        """The state of things for comparing costs at this upstream, read at one instant."""

    async def unexplained(self, upstream: str, *, limit: int) -> tuple[Escrow, ...]:
        """Failed runs of this upstream that hold budget and await no look-up, in opening order.

        Each with its sale, whether that lives by it or no longer does.
        """

    async def caller_changes(self, caller_id: str) -> int:
        """How many operator words on this caller are booked."""

    async def quarantined(self, *, after: str, limit: int) -> tuple[Escrow | Topup, ...]:
        """What waits for the operator, above `after` in id order."""

    async def releases(self) -> Releases:
        """Whether completions may be sold and released."""

    async def latest_at_ms(self) -> int:
        """The time of the newest journal entry, 0 without one."""

    async def ping(self) -> None:
        """Return when the books take reads and writes. Raises BooksBusy."""
