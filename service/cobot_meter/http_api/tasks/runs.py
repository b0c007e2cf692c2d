"""A chat completion that is asked with the key of a task: one run of that task, answered at once.

Must not know: ASGI, or how a run is begun.
"""

from __future__ import annotations

from prometheus_client import Counter

from cobot_meter.domain.errors import CobotMeterError, DependencyFault, Draining, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.privacy.tiers import kept_privacy
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.flows.task.ask_task import TaskAnswer, left_msat
from cobot_meter.http_api.chat.answers import written
from cobot_meter.http_api.chat.privacy import Promise
from cobot_meter.http_api.chat.request import ChatRequest, is_empty, parse_chat_request
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.edge import Handler
from cobot_meter.http_api.http.exchange import HttpRequest, Response
from cobot_meter.http_api.identity import task_key_of
from cobot_meter.http_api.views import run_document

OUTCOME = "task_run"
DRAINING_RETRY_S = 5
_EMPTY = "Send a chat completion (model and messages): this is the key of a task, which runs it."


class TaskRuns:
    """What a task's key asks; whatever comes without one goes on to `rest`."""

    def __init__(self, rest: Handler, *, parts: FaceParts, outcomes: Counter) -> None:
        """`outcomes` counts how each ask ended, as the paid route's."""
        self._rest = rest
        self._parts = parts
        self._outcomes = outcomes

    async def __call__(self, request: HttpRequest) -> Response:
        """The answer to one ask. Raises what the error table answers."""
        key = task_key_of(request)
        if key is None:
            return await self._rest(request)
        try:
            answer = await self.answer(request, key)
        except CobotMeterError as error:
            self._outcomes.labels(error.code).inc()
            raise
        self._outcomes.labels(OUTCOME).inc()
        return answer

    async def answer(self, request: HttpRequest, key: str) -> Response:
        """200 with the whole answer, as JSON or as events, and with what is left of the task.

        Raises what `AskTask.answer` raises, and RequestInvalid.
        """
        if self._parts.is_draining():
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=DRAINING_RETRY_S)
        content = request.body.take()
        if is_empty(content):
            raise RequestInvalid(_EMPTY)
        task = await self._parts.tasks.find_task.of_key(key)
        kept = kept_privacy(task.privacy)
        chat = parse_chat_request(
            content,
            lines=request.lines,
            look=self._parts.look,
            policy=kept.policy if kept else PrivacyTier.PUBLIC,
        )
        asked = chat.completion
        promise = Promise(asked.privacy, asked.model, self._parts.catalogue.runs_here)
        answered = await self._answered(task, chat, promise)
        there_msat = left_msat(answered.escrow)
        document = run_document(answered.escrow, answered.body, left_msat=there_msat)
        document["cobot"] |= promise.told(answered.escrow)
        return written(
            answered.escrow,
            document,
            stream=chat.completion.stream,
            include_usage=chat.include_usage,
            headers=((b"x-cobot-task-left-msat", b"%d" % there_msat),),
        )

    async def _answered(self, task: Escrow, chat: ChatRequest, promise: Promise) -> TaskAnswer:
        """What the run answered. Raises PrivacyUnroutable where nobody of its tier could."""
        ask_task = self._parts.tasks.ask_task
        try:
            return await ask_task.answer(task, chat.completion, request_sha256=chat.digest)
        except DependencyFault as fault:
            promise.refuse(fault)
            raise
