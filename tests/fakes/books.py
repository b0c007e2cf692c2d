"""Books in memory: the reference that every other books are compared with.

One object is what lies on the disk: it outlives a `Killed` driver, and a restarted service is
given the same one. Every write goes through `apply`, which yields to the event loop once, as a
writer thread would.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import OPERATOR, BudgetWindow
from cobot_meter.domain.budgets.sheets import BudgetSheet
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode, Progress, Stage, states_with
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import (
    COST_UNATTRIBUTED,
    Account,
    key_day,
    key_spent,
    upstream_credits,
)
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.record import CostStanding, Run, due_of_run
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.budgets import budgets_name
from cobot_meter.domain.transitions.kinds import BASELINE_KEY, RELEASES
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import (
    FIRST_TIMER,
    KEY_DAYS_MAX,
    Applied,
    DueTimer,
    KeyDay,
    KeySpending,
    OpenInvoice,
    Quiet,
    Releases,
    applied_as_told,
)
from tests.fakes.books_reports import FakeReports, body_keys, standing_of
from tests.fakes.books_rows import BooksRows

UNFINISHED = states_with(lambda facts: facts.stage is Stage.RUNNING)


class Killed(BaseException):
    """The process died here: nothing below the test may catch it."""


class Moment(enum.StrEnum):
    """Which side of a commit a crash falls on."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """Die `moment` the commit that comes after `commits` more have gone well."""

    moment: Moment
    commits: int = 0


def _goes_on(subject: Escrow | Topup) -> bool:
    return subject.quarantine is None


class FakeBooks(FakeReports):
    """The ports `Books` and `LedgerReports`, in memory."""

    def __init__(self, *, retention: Retention | None = None) -> None:
        """`retention` decides when escrows are due.

        `crash` makes a coming commit raise Killed, before or after it counts; `busy` makes so
        many calls of `apply` and `ping` raise BooksBusy.
        """
        self.rows = BooksRows()
        self.crash: Crash | None = None
        self.busy = 0
        self._retention = retention or Retention()

    async def apply(self, transition: Transition) -> Applied:
        await asyncio.sleep(0)
        self._be_busy()
        if transition.key in self.rows.journal:
            return self._applied(transition, repeated=True)
        rows = self.rows.after(transition)
        self._crash(Moment.BEFORE)
        self.rows = rows
        self._crash(Moment.AFTER)
        return self._applied(transition, repeated=False)

    def _applied(self, transition: Transition, *, repeated: bool) -> Applied:
        escrow, topup, key = transition.escrow, transition.topup, transition.api_key
        if not repeated:
            return applied_as_told(transition)
        return Applied(
            repeated=True,
            escrow=self._again(escrow) if escrow else None,
            topup=self.rows.topups.get(topup.topup_id) if topup else None,
            api_key=self.rows.api_keys.get(key.key_id) if key else None,
        )

    def _be_busy(self) -> None:
        if self.busy:
            self.busy -= 1
            raise BooksBusy("the books are busy")

    def _crash(self, moment: Moment) -> None:
        crash = self.crash
        if crash is None or crash.moment is not moment:
            return
        if crash.commits:
            self.crash = Crash(moment=moment, commits=crash.commits - 1)
            return
        self.crash = None
        raise Killed(f"{moment} commit {len(self.rows.journal)}")

    def _again(self, told: Escrow) -> Escrow | None:
        if not told.looks_back:
            return self._seen(told.escrow_id)
        return next(one for one in self.rows.views if one.run.run_id == told.run.run_id)

    def _seen(self, escrow_id: str) -> Escrow | None:
        """Without its other runs, which are rows of their own."""
        escrow = self.rows.escrows.get(escrow_id)
        return replace(escrow, others=()) if escrow is not None and escrow.others else escrow

    async def escrow(self, escrow_id: str) -> Escrow | None:
        return self._seen(escrow_id)

    async def escrow_of_run(self, run_id: str) -> Escrow | None:
        return next((one for one in self.rows.views if one.run.run_id == run_id), None)

    async def runs_of(self, escrow_id: str) -> tuple[Run, ...]:
        escrow = self.rows.escrows.get(escrow_id)
        return escrow.runs if escrow else ()

    async def topup(self, topup_id: str) -> Topup | None:
        return self.rows.topups.get(topup_id)

    async def api_key(self, key_id: str) -> ApiKey | None:
        return self.rows.api_keys.get(key_id)

    async def api_key_of_secret(self, secret_sha256: str) -> ApiKey | None:
        keys = self.rows.api_keys.values()
        return next((key for key in keys if key.secret_sha256 == secret_sha256), None)

    async def api_keys_of(self, caller_id: str, *, limit: int) -> tuple[ApiKey, ...]:
        own = [key for key in self.rows.api_keys.values() if key.caller_id == caller_id]
        return tuple(reversed(own))[:limit]

    async def key_spending(self, key_id: str) -> KeySpending:
        ledger, days = self.rows.ledger, f"key/{key_id}/day/"
        named = sorted((code for code in ledger.accounts if code.startswith(days)), reverse=True)
        total = ledger.of(key_spent(key_id))
        return KeySpending(
            spent_msat=total.net,
            reserved_msat=total.debits_pending,
            days=tuple(
                KeyDay(
                    utc_day=code.removeprefix(days),
                    spent_msat=counters.net,
                    reserved_msat=counters.debits_pending,
                )
                for code in named[:KEY_DAYS_MAX]
                for counters in (ledger.of(key_day(key_id, code.removeprefix(days))),)
            ),
        )

    async def budget_sheets(self, caller_id: str) -> tuple[BudgetSheet, BudgetSheet]:
        return await self._sheet(caller_id), await self._sheet(OPERATOR)

    async def _sheet(self, owner: str) -> BudgetSheet:
        words = await self.numbered(budgets_name(owner))
        facts = await self.entry_facts(f"{budgets_name(owner)}/{words - 1}")
        if facts is None:
            return BudgetSheet(owner=owner)
        return BudgetSheet.of_text(owner, words, str(facts["budgets"]))

    async def budget_spending(self, windows: Sequence[BudgetWindow]) -> tuple[BudgetSpending, ...]:
        standing = ((one, self.rows.ledger.of(one.account)) for one in windows)
        return tuple(
            BudgetSpending(window=one, spent=found.net, reserved=found.debits_pending)
            for one, found in standing
        )

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        return self.rows.bodies.get(escrow_id)

    async def subject_of_payment(self, payment_hash: str) -> Escrow | Topup | None:
        subjects: Iterable[Escrow | Topup] = (
            *self.rows.escrows.values(),
            *self.rows.topups.values(),
        )
        return next((one for one in subjects if one.payment_hash == payment_hash), None)

    async def latest_ask(self, request_key: str) -> Escrow | None:
        return self._newest(lambda escrow: escrow.ask.request_key == request_key)

    async def asks_from_address(self, address_key: str, *, limit: int) -> tuple[Escrow, ...]:
        found = [one for one in self.rows.escrows.values() if one.ask.address_key == address_key]
        newest = tuple(reversed(found))
        hidden = (one for one in newest[limit:] if one.ask.nameless and one.occupies_ask)
        return (*newest[:limit], *hidden)

    async def ask_of_idempotency_key(self, idempotency_key: str) -> Escrow | None:
        return self._oldest(lambda escrow: escrow.ask.idempotency_key == idempotency_key)

    async def escrow_of_generation(self, caller_id: str, generation_id: str) -> Escrow | None:
        found = [
            view
            for view in self.rows.views
            if (view.caller_id, view.run.generation_id) == (caller_id, generation_id)
            and (not view.looks_back or view.mode is Mode.PANEL)
        ]
        return found[-1] if found else None

    async def open_topup(self, address_key: str) -> Topup | None:
        return self.rows.open_topup(address_key)

    async def standing(self, caller_id: str, *, losses: Account | None = None) -> CallerStanding:
        return standing_of(self.rows, caller_id, losses=losses)

    async def open_escrows(self, caller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        return self._in_order(
            lambda escrow: (escrow.caller_id, escrow.progress) == (caller_id, Progress.INVOICED),
            limit,
        )

    async def open_tasks(self, seller_id: str, *, limit: int) -> tuple[Escrow, ...]:
        return self._in_order(
            lambda escrow: (
                escrow.task is not None
                and escrow.task.seller_id == seller_id
                and escrow.state is EscrowState.RUNNING
            ),
            limit,
        )

    async def due(
        self, now_ms: int, *, limit: int, after: DueTimer = FIRST_TIMER
    ) -> tuple[DueTimer, ...]:
        sales = [(due_at_ms(one), one.escrow_id, "") for one in self.rows.escrows.values()]
        runs = [
            (
                due_of_run(view.run, self._retention),
                view.escrow_id,
                view.run.run_id if view.looks_back else "",
            )
            for view in self.rows.views
        ]
        timers = [
            DueTimer(at_ms=timer_ms, escrow_id=escrow_id, run_id=run_id)
            for timer_ms, escrow_id, run_id in (*sales, *runs)
            if timer_ms is not None and timer_ms <= now_ms
            if (timer_ms, escrow_id) > (after.at_ms, after.escrow_id)
        ]
        timers.sort(key=lambda timer: (timer.at_ms, timer.escrow_id, timer.run_id))
        return tuple(timers[:limit])

    async def unfinished(self, *, after: str, limit: int) -> tuple[str, ...]:
        ids = (
            escrow.escrow_id
            for escrow in self.rows.escrows.values()
            if escrow.state in UNFINISHED and _goes_on(escrow) and escrow.escrow_id > after
        )
        return tuple(sorted(ids)[:limit])

    async def open_invoices(self, *, after: str, limit: int) -> tuple[OpenInvoice, ...]:
        open_now = {
            **{
                escrow.escrow_id: escrow.payment_hash
                for escrow in self.rows.escrows.values()
                if escrow.progress is Progress.INVOICED and _goes_on(escrow)
            },
            **{
                topup.topup_id: topup.payment_hash
                for topup in self.rows.topups.values()
                if topup.facts.invoice_open and _goes_on(topup)
            },
        }
        return tuple(
            OpenInvoice(subject_id=subject_id, payment_hash=str(open_now[subject_id]))
            for subject_id in sorted(open_now)
            if subject_id > after
        )[:limit]

    async def settle_cursor(self, node_pubkey: str) -> int:
        return self.rows.cursors.get(node_pubkey, 0)

    async def node(self) -> AdoptedNode | None:
        return self.rows.node

    async def quiet(self, upstream: str) -> Quiet:
        there = [one for one in self.rows.views if one.run.upstream == upstream]
        escrows = list(filter(_goes_on, there))
        baseline = self.rows.journal.get(BASELINE_KEY)
        entries = self.rows.journal.values()
        return Quiet(
            in_flight=any(escrow.run.in_flight for escrow in escrows),
            awaited=any(escrow.run.lookup_at_ms is not None for escrow in escrows),
            mark=len(self.rows.journal),
            booked_pusd=-self.rows.ledger.of(upstream_credits(upstream)).net,
            comparisons=sum(1 for entry in entries if entry.kind == "usage_compared"),
            baseline_pusd=int(baseline.facts["usage_pusd"] or 0) if baseline else None,
            unattributed_pusd=self.rows.ledger.of(COST_UNATTRIBUTED).net,
            unconfirmed_pusd=sum(
                escrow.run.cost.cost_pusd
                for escrow in there
                if escrow.run.cost and escrow.run.cost.standing is CostStanding.PROVISIONAL
            ),
        )

    async def unexplained(self, upstream: str, *, limit: int) -> tuple[Escrow, ...]:
        found = [
            view
            for view in self.rows.views
            if view.run.upstream == upstream
            and view.run.state is RunState.FAILED
            and view.run.budget_held_pusd > 0
            and view.run.lookup_at_ms is None
            and _goes_on(view)
        ]
        found.sort(key=lambda view: self.rows.opened_run(view.run))
        return tuple(found[:limit])

    async def caller_changes(self, caller_id: str) -> int:
        return sum(
            1
            for entry in self.rows.journal.values()
            if entry.kind == "caller_changed" and entry.caller_id == caller_id
        )

    async def quarantined(self, *, after: str, limit: int) -> tuple[Escrow | Topup, ...]:
        subjects: dict[str, Escrow | Topup] = {**self.rows.escrows, **self.rows.topups}
        waiting = (name for name, one in subjects.items() if not _goes_on(one) and name > after)
        return tuple(subjects[name] for name in sorted(waiting)[:limit])

    async def releases(self) -> Releases:
        words = [one for one in self.rows.journal.values() if one.subject_id == RELEASES]
        reason = str(words[-1].facts["reason"]) if words else ""
        return Releases(words=len(words), reason=reason)

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        return body_keys(self.rows, limit)

    async def latest_at_ms(self) -> int:
        return max((one.at_ms for one in list(self.rows.journal.values())[-1:]), default=0)

    async def ping(self) -> None:
        self._be_busy()

    def _in_order(self, chosen: Callable[[Escrow], bool], limit: int) -> tuple[Escrow, ...]:
        found = filter(chosen, self.rows.escrows.values())
        return tuple(found)[:limit]

    def _newest(self, chosen: Callable[[Escrow], bool]) -> Escrow | None:
        found = list(filter(chosen, self.rows.escrows.values()))
        return found[-1] if found else None

    def _oldest(self, chosen: Callable[[Escrow], bool]) -> Escrow | None:
        return next(filter(chosen, self.rows.escrows.values()), None)
