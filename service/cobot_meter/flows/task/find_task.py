"""Find a task: by its own key, which asks its runs, or by its seller, who does all else.

Its key is not stored: it has the task's id in it and is derived from that. Must not know: HTTP.
"""

from __future__ import annotations

import hmac
import re

from cobot_meter.domain.api_key.record import SECRET_PREFIX
from cobot_meter.domain.errors import CallerBlocked, EscrowNotFound
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tasks import TaskTerms
from cobot_meter.domain.task_faults import TaskBusy, TaskKeyInvalid, TaskNotOpen
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.open_escrow import BLOCKED
from cobot_meter.flows.vault import Vault

LISTED_MAX = 100
TASK_KEY_PREFIX = f"{SECRET_PREFIX}task-"
NOT_YOURS = "There is no such task, or it is not yours."
NO_TASK_KEY = (
    "This is no task's key of this service: it is sk-cobot-task- and what POST /v1/tasks has told."
)
SELLER_GONE = (
    "The API key that opened this task is revoked, so nothing more is run for it: open another one "
    "with a key that is live."
)
BUSY = (
    "A run of this task is under way, or its cost is still being found out, and its runs go one "
    "after the other: repeat this in a moment."
)
_TASK_KEY = re.compile(rf"{TASK_KEY_PREFIX}([A-Za-z0-9]{{1,80}})-([A-Za-z0-9_-]{{43}})", re.ASCII)
_ID_PREFIX = "esc_"


class FindTask:
    """Whoever is told of a task has shown that it is his."""

    def __init__(self, *, ledger: Ledger, vault: Vault) -> None:
        """`vault` derives keys."""
        self._ledger = ledger
        self._vault = vault

    def key_of(self, escrow_id: str) -> str:
        """The text of this task's key: the same whenever it is asked for."""
        proof = self._vault.key_secret(f"task {escrow_id}", 0).removeprefix(SECRET_PREFIX)
        return f"{TASK_KEY_PREFIX}{escrow_id.removeprefix(_ID_PREFIX)}-{proof}"

    async def of_key(self, text: str) -> Escrow:
        """The task that this key asks for. Raises TaskKeyInvalid."""
        match = _TASK_KEY.fullmatch(text)
        if match is None:
            raise TaskKeyInvalid(NO_TASK_KEY)
        escrow_id = f"{_ID_PREFIX}{match[1]}"
        if not hmac.compare_digest(self.key_of(escrow_id), text):
            raise TaskKeyInvalid(NO_TASK_KEY)
        found = await self._ledger.books.escrow(escrow_id)
        if found is None or found.task is None:
            raise TaskKeyInvalid(NO_TASK_KEY)
        return found

    async def of_seller(self, escrow_id: str, seller_id: str) -> Escrow:
        """The seller's task of this id. Raises EscrowNotFound."""
        found = await self._ledger.books.escrow(escrow_id)
        if found is None or found.task is None or found.task.seller_id != seller_id:
            raise EscrowNotFound(NOT_YOURS)
        return found

    async def open_ones(self, seller_id: str) -> tuple[Escrow, ...]:
        """The seller's open tasks, oldest first, up to a bound."""
        return await self._ledger.books.open_tasks(seller_id, limit=LISTED_MAX)

    async def with_runs(self, escrow: Escrow) -> Escrow:
        """The task with all its runs at hand."""
        return escrow.with_runs(await self._ledger.books.runs_of(escrow.escrow_id))

    async def refuse_gone(self, terms: TaskTerms) -> None:
        """Raises CallerBlocked, and TaskKeyInvalid once the key that opened it was revoked."""
        if not await self._ledger.key_is_live(terms.seller_key_id):
            raise TaskKeyInvalid(SELLER_GONE)
        if await self._ledger.is_blocked(terms.seller_id):
            raise CallerBlocked(BLOCKED)


def open_terms(escrow: Escrow, *, ending_ms: int) -> TaskTerms:
    """The terms of a task that is open at `ending_ms`. Raises TaskNotOpen."""
    task = escrow.task
    if task is None or escrow.state is not EscrowState.RUNNING:
        message = f"This task is {_ended(escrow)}: open another one with POST /v1/tasks."
        raise TaskNotOpen(message)
    if task.ends_at_ms <= ending_ms:
        message = (
            "The time of this task is over, so nothing more is run for it: open another one with "
            "POST /v1/tasks, and a longer expires_in_s."
        )
        raise TaskNotOpen(message)
    return task


def busy() -> TaskBusy:
    """What is said while a run of it is under way."""
    return TaskBusy(BUSY)


def _ended(escrow: Escrow) -> str:
    return "closed" if escrow.closing else "given up, or its time is over"
