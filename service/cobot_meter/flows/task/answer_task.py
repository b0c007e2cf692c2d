"""Seal what a task's buyer is to get: one text, stored as a completion until it is paid for.

It takes the place of an earlier one while the task is open. Must not know: HTTP, or how it is read.
"""

from __future__ import annotations

import hashlib
import json

from cobot_meter.domain.errors import BooksBusy, Conflict
from cobot_meter.domain.escrow.events import TaskAnswered
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.quote_request import utc_day
from cobot_meter.flows.task.find_task import open_terms
from cobot_meter.flows.vault import Vault

TRIES = 4
_SECOND_MS = 1_000


class AnswerTask:
    """The answer is the seller's own word: no run of the task need have said it."""

    def __init__(self, *, ledger: Ledger, vault: Vault) -> None:
        """`vault` seals."""
        self._ledger = ledger
        self._vault = vault

    async def seal(self, escrow: Escrow, answer: str) -> Escrow:
        """The task with this answer sealed; told again it is as it was.

        Raises TaskNotOpen, Quarantined and BodyKeysUnusable.
        """
        digest = hashlib.sha256(answer.encode()).hexdigest()
        for _ in range(TRIES):
            open_terms(escrow, ending_ms=self._ledger.ending_ms())
            if escrow.answer_sha256 == digest:
                return escrow
            bodies = await self._sealed(escrow, answer)
            try:
                escrow = await self._ledger.record(
                    escrow, TaskAnswered(answer_sha256=digest), bodies=bodies
                )
            except Conflict:
                escrow = await self._ledger.escrow(escrow.escrow_id)
        if escrow.answer_sha256 == digest:
            return escrow
        message = "This task is being changed many times over; send the answer again."
        raise BooksBusy(message, retry_after_s=1)

    async def _sealed(self, escrow: Escrow, answer: str) -> StoredBodies:
        """Under the key of today: that of the day when it was opened may be gone by now."""
        body = completion_of(escrow, answer, at_ms=self._ledger.now_ms())
        wrapped_key, sealed = await self._vault.seal_unasked(
            escrow.escrow_id, body, day=utc_day(self._ledger.day_ms())
        )
        return StoredBodies(wrapped_key=wrapped_key, completion=sealed)


def completion_of(escrow: Escrow, answer: str, *, at_ms: int) -> bytes:
    """The answer as a `chat.completion`, so that whoever reads one reads it."""
    message = {"role": "assistant", "content": answer}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    document = {
        "id": f"task-{escrow.escrow_id}",
        "object": "chat.completion",
        "created": at_ms // _SECOND_MS,
        "model": escrow.quote.model,
        "choices": [choice],
        # The tokens are those of the seller's runs, and no request of the buyer's.
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    return json.dumps(document, ensure_ascii=False).encode()
