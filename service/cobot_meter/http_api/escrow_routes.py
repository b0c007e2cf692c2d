"""GET /v1/escrows/{id} and its completion: follow a run, then claim what it made.

The id is a capability of 130 bits that shows state and invoice, and nothing else: no macaroon is
told for it, because every node that forwards a payment learns the preimage. What was bought takes
that escrow's macaroon and preimage, or the credential that named its caller when credit paid.
Must not know: ASGI, or how a completion is stored.
"""

from __future__ import annotations

import asyncio
import re

from cobot_meter.domain.errors import (
    AlreadyPaid,
    CompletionGone,
    CredentialInvalid,
    EscrowNotFound,
    InvoiceUnpaid,
    RequestInvalid,
)
from cobot_meter.domain.escrow.asks import is_held_up
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, Stage
from cobot_meter.flows.escrow_faults import failure_fault, waiting_fault
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.http_api.chat.answers import completion_answer, status_answer
from cobot_meter.http_api.chat.receipts import Receipts
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, Response
from cobot_meter.http_api.identity import Asker, Askers
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.views import ESCROWS_PATH

WAIT_S_MAX = 60
_STATUS_PATH = re.compile(rf"{ESCROWS_PATH}/([A-Za-z0-9_-]{{1,80}})(/completion)?", re.ASCII)
_WAIT = re.compile(r"[0-9]{1,2}")
_UNPAID = (
    "This completion is not paid for yet. Repeat the request that it answers: its 402 has the "
    "macaroon and the invoice. Once that is paid, read it here or there with Authorization: L402 "
    "<macaroon>:<preimage>."
)
_ALREADY_PAID = (
    "This completion is paid for. Read it with Authorization: L402 <macaroon>:<preimage> of the "
    "invoice you paid."
)
_OF_CREDIT = (
    "This completion was not bought with an invoice of its own. Read it with the credential that "
    "named its caller, or repeat the identical request."
)
_GONE = "What this escrow held is no longer kept. Ask again; what was paid and not used is credit."


class EscrowRoutes:
    """Both routes of one escrow."""

    def __init__(
        self, *, parts: FaceParts, askers: Askers, challenges: Challenges, receipts: Receipts
    ) -> None:
        """`askers` reads credentials, `challenges` writes the 402."""
        self._parts = parts
        self._askers = askers
        self._challenges = challenges
        self._receipts = receipts

    async def status(self, request: HttpRequest) -> PlainAnswer:
        """Where it stands; with `?wait=` (seconds) once that has changed. Raises EscrowNotFound."""
        wait_s = wait_of(request)
        escrow = await self._known(request)
        if is_held_up(escrow):
            raise waiting_fault(escrow)
        if wait_s and STATES[escrow.state].awaited:
            escrow = await self._changed(escrow, request, wait_s)
        if escrow.runs_made > 1 and escrow.task is None:  # a task's are its seller's to see
            escrow = escrow.with_runs(await self._parts.books.runs_of(escrow.escrow_id))
        return status_answer(escrow, public_url=self._parts.public_url)

    async def completion(self, request: HttpRequest) -> Response:
        """What was bought, for whoever may read it. Raises what the error table answers."""
        escrow = await self._known(request)
        asker = await self._askers.asker(request)
        if asker is None or not _may_read(escrow, asker):
            return await self._not_theirs(escrow, asker)
        if request.head_only:
            return status_answer(escrow, public_url=self._parts.public_url)
        answer = await self._parts.ask_completion.claim(escrow, caller_id=asker.caller_id)
        if answer.kind is AnswerKind.CHALLENGE:
            return await self._challenge(answer.escrow, answer.caller_id)
        stream = wants_events(request, otherwise=escrow.stream)
        receipt = await self._receipts.of(answer.escrow, reader_id=asker.caller_id)
        return completion_answer(receipt, answer.body, stream=stream)

    async def _known(self, request: HttpRequest) -> Escrow:
        match = _STATUS_PATH.fullmatch(request.path)
        escrow = await self._parts.books.escrow(match[1]) if match else None
        if escrow is None:
            raise _not_found()
        return escrow

    async def _changed(self, escrow: Escrow, request: HttpRequest, wait_s: int) -> Escrow:
        """The escrow once it has left its stage, or when the time is up."""
        stage = STATES[escrow.state].stage
        slice_s = self._parts.limits.poll_slice_s
        try:
            async with asyncio.timeout(wait_s):
                while STATES[escrow.state].stage is stage:
                    await self._parts.wakes.wait(escrow.escrow_id, timeout_s=slice_s)
                    escrow = await self._known(request)
        except TimeoutError:
            pass
        return escrow

    async def _challenge(self, escrow: Escrow, caller_id: str) -> PlainAnswer:
        receipt = await self._receipts.of(escrow, reader_id=caller_id, counted=False)
        return self._challenges.for_escrow(
            receipt.escrow, caller_id=caller_id, beside=receipt.beside
        )

    async def _not_theirs(self, escrow: Escrow, asker: Asker | None) -> PlainAnswer:
        """What somebody gets who holds the id and no proof that opens it.

        Of what another key or a proof has asked a key is told nothing, least of all a token.
        """
        if asker is not None and (asker.caller_id != escrow.caller_id or asker.key is not None):
            raise _not_found()
        if is_held_up(escrow):
            raise waiting_fault(escrow)
        caller_id = asker.caller_id if asker else None
        match STATES[escrow.state].stage:
            case Stage.UNPAID:
                return await self._unpaid(escrow, caller_id)
            case Stage.PAID:
                return self._paid(escrow, caller_id)
            case Stage.FAILED:
                raise failure_fault(escrow.failure)
            case Stage.OVER:
                raise CompletionGone(_GONE)
            case Stage.RUNNING:
                raise waiting_fault(escrow)

    async def _unpaid(self, escrow: Escrow, caller_id: str | None) -> PlainAnswer:
        if caller_id is None:
            raise InvoiceUnpaid(_UNPAID, escrow_id=escrow.escrow_id)
        return await self._challenge(escrow, caller_id)

    def _paid(self, escrow: Escrow, caller_id: str | None) -> PlainAnswer:
        if not escrow.paid_by_invoice:
            raise CredentialInvalid(_OF_CREDIT)
        if caller_id is None:
            raise AlreadyPaid(_ALREADY_PAID, escrow_id=escrow.escrow_id)
        return self._challenges.already_paid(escrow, message=_ALREADY_PAID, caller_id=caller_id)


def wait_of(request: HttpRequest) -> int:
    """The seconds of `?wait=`, 0 when it is not there. Raises RequestInvalid."""
    text = request.query_field("wait")
    if text is None:
        return 0
    if not _WAIT.fullmatch(text) or int(text) > WAIT_S_MAX:
        message = f"wait must be a whole number of seconds from 0 to {WAIT_S_MAX}."
        raise RequestInvalid(message, param="wait")
    return int(text)


def wants_events(request: HttpRequest, *, otherwise: bool) -> bool:
    """Whether `Accept` names an event stream; `otherwise` when it names neither that nor JSON."""
    accepted = b",".join(request.lines(b"accept")).lower()
    if b"text/event-stream" in accepted:
        return True
    return otherwise and b"application/json" not in accepted


def _may_read(escrow: Escrow, asker: Asker) -> bool:
    if asker.key is not None and asker.key.key_id != escrow.key_id:
        return False
    if escrow.paid_by_invoice:
        return asker.escrow_id == escrow.escrow_id
    return asker.caller_id == escrow.caller_id


def _not_found() -> EscrowNotFound:
    return EscrowNotFound("There is no such escrow, or it is not yours.")
