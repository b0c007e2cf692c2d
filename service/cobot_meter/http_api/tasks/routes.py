"""POST and GET /v1/tasks, and what its seller does with one: seal the answer, close, give up.

All of it takes an API key of the seller; the key of the task itself asks chat completions, and
nothing else. Must not know: ASGI, or what is reserved.
"""

from __future__ import annotations

import re
from typing import Any

from cobot_meter.domain.api_key.faults import KeyInvalid
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.errors import Draining, EscrowNotFound, InvoiceUnpaid, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.flows.task.find_task import NOT_YOURS
from cobot_meter.flows.task.open_task import TaskWish
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.chat.route import idempotency_key
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import Header, HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.small_bodies import fields_of
from cobot_meter.http_api.tasks.bodies import (
    ANSWER_FIELDS,
    CLOSE_FIELDS,
    answer_of,
    fee_msat_of,
    opening_of,
    price_document,
    task_document,
)
from cobot_meter.http_api.views import TASKS_PATH, attempts_document, escrow_path

OK = 200
CREATED = 201
DRAINING_RETRY_S = 5
_ONE = re.compile(rf"{TASKS_PATH}/([A-Za-z0-9_]{{1,80}})(?:/answer|/close|/delivered)?", re.ASCII)
_BY_KEY = (
    "Tasks are opened, answered and closed with an API key of their seller: send Authorization: "
    "Bearer sk-cobot-…, which POST /v1/keys makes."
)


_NOT_PAID = "This task is not paid yet: its answer is not to be handed over."


class TaskRoutes:
    """The routes of a seller's tasks."""

    def __init__(self, *, parts: FaceParts, askers: Askers, challenges: Challenges) -> None:
        """`askers` reads the key, `challenges` writes what a buyer is told."""
        self._parts = parts
        self._tasks = parts.tasks
        self._askers = askers
        self._challenges = challenges

    async def open(self, request: HttpRequest) -> PlainAnswer:
        """201 with an open task and its key; a repeated Idempotency-Key finds the same one.

        Raises RequestInvalid, and what whoever asks is refused for.
        """
        self._refuse_when_draining()
        key = await self._seller(request)
        said = opening_of(request.body.take())
        wish = TaskWish(
            key=key,
            ceiling=said.ceiling,
            max_fee_msat=said.max_fee_msat,
            lasts_s=said.lasts_s,
            title=said.title,
            name=idempotency_key(request),
            address=self._askers.address(request),
            request_sha256=said.request_sha256,
        )
        task = await self._tasks.open_task.open(wish)
        shown = task_document(task, key=self._tasks.find_task.key_of(task.escrow_id))
        return json_answer(CREATED, shown, (PRIVATE,))

    async def listed(self, request: HttpRequest) -> PlainAnswer:
        """200 with the seller's open tasks, oldest first, without their keys."""
        key = await self._seller(request)
        tasks = await self._tasks.find_task.open_ones(key.caller_id)
        documents = [task_document(task) for task in tasks]
        return json_answer(OK, {"object": "list", "data": documents}, (PRIVATE,))

    async def one(self, request: HttpRequest) -> PlainAnswer:
        """200 with one task, its runs, and what its buyer is asked for. Raises EscrowNotFound."""
        task = await self._task(request)
        document = task_document(task, key=self._tasks.find_task.key_of(task.escrow_id))
        whole = await self._tasks.find_task.with_runs(task)
        document["attempts"] = attempts_document(whole)
        return json_answer(OK, {**document, **self._sold(task)}, (PRIVATE,))

    async def answer(self, request: HttpRequest) -> PlainAnswer:
        """200 with the task, in which this answer is sealed now.

        Raises RequestInvalid, EscrowNotFound, TaskNotOpen.
        """
        task = await self._task(request)
        answer = answer_of(fields_of(request.body.take(), ANSWER_FIELDS))
        if answer is None:
            message = 'Send the text that the buyer is to get: {"answer": "…"}.'
            raise RequestInvalid(message, param="answer")
        task = await self._tasks.answer_task.seal(task, answer)
        return json_answer(OK, task_document(task), (PRIVATE,))

    async def close(self, request: HttpRequest) -> PlainAnswer:
        """200 with the price taken apart, the invoice and the macaroon for the buyer.

        Told again it is the same. Raises what `CloseTask.close` raises.
        """
        task = await self._task(request)
        said = fields_of(request.body.take(), CLOSE_FIELDS)
        answer, fee_msat = answer_of(said), fee_msat_of(said)
        if answer is not None and task.closing is None:
            task = await self._tasks.answer_task.seal(task, answer)
        task = await self._tasks.close_task.close(task, fee_msat=fee_msat)
        headers: tuple[Header, ...] = (PRIVATE,)
        if task.invoice is not None:
            headers += self._challenges.lines_of(task, caller_id=task.caller_id)
        return json_answer(OK, {**task_document(task), **self._sold(task)}, headers)

    async def delivered(self, request: HttpRequest) -> PlainAnswer:
        """200 with the task, released: its seller hands the sealed answer over itself.

        So a buyer who reads it on another channel need not come here for the seller to earn its
        fee. Raises InvoiceUnpaid, CompletionGone, EscrowNotFound.
        """
        task = await self._task(request)
        answer = await self._parts.ask_completion.claim(task, caller_id=task.caller_id)
        if answer.kind is AnswerKind.CHALLENGE:
            raise InvoiceUnpaid(_NOT_PAID, escrow_id=task.escrow_id)
        return json_answer(OK, task_document(answer.escrow), (PRIVATE,))

    async def give_up(self, request: HttpRequest) -> PlainAnswer:
        """200 with the task, of which nothing is sold. Raises EscrowNotFound, TaskNotOpen."""
        task = await self._tasks.close_task.give_up(await self._task(request))
        return json_answer(OK, task_document(task), (PRIVATE,))

    def _sold(self, task: Escrow) -> dict[str, Any]:
        """What its buyer is asked for; nothing before it has an invoice."""
        document: dict[str, Any] = {"price": price_document(task)}
        if task.invoice is None:
            return document
        return {
            **document,
            "invoice": task.invoice.payment_request,
            "amount_msat": task.invoice.amount_msat,
            "payment_hash": task.payment_hash,
            "macaroon": self._challenges.token_of(task, caller_id=task.caller_id),
            "expires_at": task.invoice.expires_at_s,
            "escrow": escrow_path(task.escrow_id),
        }

    async def _task(self, request: HttpRequest) -> Escrow:
        key = await self._seller(request)
        match = _ONE.fullmatch(request.path)
        if match is None:
            raise EscrowNotFound(NOT_YOURS)
        return await self._tasks.find_task.of_seller(match[1], key.caller_id)

    async def _seller(self, request: HttpRequest) -> ApiKey:
        asker = await self._askers.caller(request)
        if asker.key is None:
            raise KeyInvalid(_BY_KEY)
        return asker.key

    def _refuse_when_draining(self) -> None:
        if self._parts.is_draining():
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=DRAINING_RETRY_S)
