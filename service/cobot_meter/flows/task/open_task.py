"""Open a task: reserve its ceiling and the highest fee of what the operator trusts its seller with.

Nothing is run yet, and nothing of a credit is used. The buyer is a caller of its own, made here: a
macaroon of this sale names nobody else. Must not know: HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.sheets import codes_of, limits_of
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import (
    CallerBlocked,
    Conflict,
    ExposureExceeded,
    IdempotencyConflict,
)
from cobot_meter.domain.escrow.record import AskKey, Escrow, Opening, Quote
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.escrow.tasks import ASKS_NOBODY, TaskTerms
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.domain.task_faults import TaskNotAllowed
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.flows.budget.find_budgets import NOBODY, FindBudgets
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.sale.open_escrow import BLOCKED
from cobot_meter.flows.vault import Vault

SECOND_MS = 1_000
_PATH = "/v1/tasks"
_LIMITED = (
    "This API key has limits of its own, and a task is not paid for of what they count: open tasks "
    "with a key without limits."
)
_REUSED = (
    "This Idempotency-Key was used with another task. Send the same body again, or use a fresh key."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWish:
    """What a seller asks for, with its live API `key`.

    `max_fee_msat` None: no more than the ceiling. `name` is its Idempotency-Key, `address` the
    network address that it asks from, and `request_sha256` the digest of the request's body.
    """

    key: ApiKey
    ceiling: MaxCost
    max_fee_msat: int | None
    lasts_s: int
    title: str
    name: str | None
    address: str
    request_sha256: str


class OpenTask:
    """Opens tasks for those whom the operator has given a cap of their own."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        quote_request: QuoteRequest,
        find_budgets: FindBudgets,
        node_gate: NodeGate,
        exposure: ExposureTerms,
    ) -> None:
        """`exposure` is the operator's setting."""
        self._ledger = ledger
        self._vault = vault
        self._quote_request = quote_request
        self._node_gate = node_gate
        self._exposure = exposure
        self._find_budgets = find_budgets

    async def open(self, wish: TaskWish) -> Escrow:
        """The open task; the same one for the same Idempotency-Key.

        Of budgets the operator's of the whole service count it: its seller spends nothing, and who
        buys it is nobody yet. Raises TaskNotAllowed, CallerBlocked, ExposureExceeded,
        BudgetExhausted, IdempotencyConflict, RateStale, RateJumped, NodeUnavailable,
        ReleasesStopped and BodyKeysUnusable: nothing was reserved.
        """
        self._node_gate.check()
        self._vault.check()
        name = _digest(wish.key.caller_id, _PATH, wish.name) if wish.name else None
        found = await self._found(name, wish)
        if found is not None:
            return found
        standing = await self._standing(wish.key)
        quote = await self._quote_request.of_task(
            wish.ceiling, least_pusd=self._exposure.least_pusd(0)
        )
        windows = (await self._find_budgets.asked(NOBODY)).windows(())
        task = self._opened(wish, quote, name, windows)
        opening = open_escrow(
            task,
            standing=standing,
            terms=self._exposure,
            bodies=None,
            budgets=limits_of(windows),
        )
        try:
            applied = await self._ledger.apply(opening)
        except ExposureExceeded as exceeded:
            exhausted = await self._find_budgets.refusal(
                exceeded, windows, quote.rate, advice="open it with a lower ceiling_sat"
            )
            if exhausted is None:
                raise
            raise exhausted from exceeded
        except Conflict:
            found = await self._found(name, wish)  # opened by the same request a moment ago
            if found is None:
                raise
            return found
        return applied.escrow or task

    async def _found(self, name: str | None, wish: TaskWish) -> Escrow | None:
        found = await self._ledger.books.ask_of_idempotency_key(name) if name else None
        if found is not None and found.ask.request_sha256 != wish.request_sha256:
            raise IdempotencyConflict(_REUSED)
        return found

    async def _standing(self, key: ApiKey) -> CallerStanding:
        """That of the seller, whom the operator has to trust in so many words.

        What runs of a task make is handed out before anybody pays, so a cap that a caller has
        earned by paying for what it got does not count here.
        """
        limits = key.limits
        if limits.models or limits.limit_msat is not None or limits.day_limit_msat is not None:
            raise TaskNotAllowed(_LIMITED)
        standing = await self._ledger.books.standing(key.caller_id)
        if standing.blocked:
            raise CallerBlocked(BLOCKED)
        if standing.cap_override_msat is None:
            message = (
                "Tasks are handed out before anybody pays, so the operator says who opens them: "
                f"cobot-meter callers cap {key.caller_id} SAT allows it, up to so many sat at once."
            )
            raise TaskNotAllowed(message)
        return standing

    def _opened(
        self, wish: TaskWish, quote: Quote, name: str | None, windows: Iterable[BudgetWindow]
    ) -> Escrow:
        escrow_id, now_ms = self._vault.escrow_id(), self._ledger.now_ms()
        fee_msat = wish.max_fee_msat
        opening = Opening(
            escrow_id=escrow_id,
            caller_id=self._vault.caller_id(),
            opened_at_ms=now_ms,
            stream=False,
            ask=AskKey(
                # No other request is this one: it is found by its name, its key or its id alone.
                request_key=_digest(_PATH, escrow_id),
                address_key=_digest(_PATH, escrow_id),
                address=wish.address,
                request_sha256=wish.request_sha256,
                nameless=False,
                idempotency_key=name,
            ),
            quote=quote,
            mode=Mode.TASK,
            task=TaskTerms(
                seller_id=wish.key.caller_id,
                seller_key_id=wish.key.key_id,
                max_fee_msat=quote.ceiling_msat if fee_msat is None else fee_msat,
                ends_at_ms=now_ms + wish.lasts_s * SECOND_MS,
                title=wish.title,
            ),
            budgets=codes_of(windows),
            privacy=Privacy(policy=wish.key.limits.privacy).kept,
        )
        return Escrow.opened(opening, upstream=ASKS_NOBODY)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
