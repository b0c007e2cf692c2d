"""POST /v1/chat/completions: bytes in, bytes out, no framework on the way.

The order is that of who can be hurt: the body is checked before anything is looked up, what is
already ours to answer is answered before anything new is opened, and only then is money reserved.
Must not know: ASGI, how an ask is answered, or what a completion says.
"""

from __future__ import annotations

import re
from functools import partial
from hashlib import sha256

from prometheus_client import Counter

from cobot_meter.domain.errors import (
    AlreadyPaid,
    CobotMeterError,
    DependencyFault,
    Draining,
    ExposureExceeded,
    RequestInvalid,
)
from cobot_meter.domain.pricing.quotes import CallerTerms
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.domain.refusals import credit_taken
from cobot_meter.domain.routing.hints import Hints, PrivacyTier
from cobot_meter.flows.sale.ask_completion import Answer, AnswerKind, Ask
from cobot_meter.http_api.chat.answers import (
    accepted_answer,
    completion_answer,
    credited_answer,
)
from cobot_meter.http_api.chat.live_events import live_events
from cobot_meter.http_api.chat.privacy import Promise
from cobot_meter.http_api.chat.receipts import Receipts
from cobot_meter.http_api.chat.request import ChatRequest, is_empty, parse_chat_request
from cobot_meter.http_api.chat.terms import quote_of
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.error_table import error_response
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, Response
from cobot_meter.http_api.identity import Asker, Askers
from cobot_meter.http_api.l402.challenges import Challenges

CHAT_PATH = "/v1/chat/completions"
TO_PAY_MAX = 5
DRAINING_RETRY_S = 5
_CREDIT = "available"  # the guard that credit is, by its name
_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_IDEMPOTENCY = b"idempotency-key"
_RESPOND_ASYNC = b"respond-async"


class ChatRoute:
    """The paid route. `outcomes` counts how each ask ended."""

    def __init__(
        self,
        *,
        parts: FaceParts,
        askers: Askers,
        challenges: Challenges,
        receipts: Receipts,
        outcomes: Counter,
    ) -> None:
        """`outcomes` has one label: an answer's kind or an error's code."""
        self._parts = parts
        self._askers = askers
        self._challenges = challenges
        self._outcomes = outcomes
        self._receipts = receipts

    async def __call__(self, request: HttpRequest) -> Response:
        """The answer to one ask, counted by its outcome. Raises what the error table answers."""
        try:
            outcome, answer = await self._answer(request)
        except CobotMeterError as error:
            self._outcomes.labels(error.code).inc()
            raise
        self._outcomes.labels(outcome).inc()
        return answer

    async def _answer(self, request: HttpRequest) -> tuple[str, Response]:
        asker = await self._askers.asker(request)
        asked = self._read(request, asker)
        if asked is None:
            return await self._nothing_asked(request, asker)
        chat, ask = asked
        if ask.proven_escrow_id is None:
            self._refuse_when_draining()
        if asker is not None and asker.topup_id is not None:
            await self._askers.booked_topup(asker.topup_id)
        runs_here = self._parts.catalogue.runs_here
        promise = Promise(chat.completion.privacy, chat.completion.model, runs_here)
        try:
            answer = await self._parts.ask_completion.answer(ask)
        except AlreadyPaid as paid:
            return paid.code, await self._already_paid(paid, ask)
        except ExposureExceeded as exceeded:
            return exceeded.code, await self._exceeded(exceeded, ask)
        except DependencyFault as fault:
            promise.refuse(fault)
            raise
        reader_id = asker.caller_id if asker else answer.caller_id
        return answer.kind.value, await self._told(answer, chat, promise.privacy, reader_id)

    def _read(self, request: HttpRequest, asker: Asker | None) -> tuple[ChatRequest, Ask] | None:
        """What is asked for, and the ask that it makes; None for an empty body."""
        content = request.body.take()
        if is_empty(content):
            return None
        chat = parse_chat_request(
            content,
            lines=request.lines,
            read_terms=lambda digest, hints: self._terms(request, digest, hints, asker),
            look=self._parts.look,
            policy=asker.key.limits.privacy if asker and asker.key else PrivacyTier.PUBLIC,
        )
        return chat, self._ask(request, chat, asker, content)

    def _terms(
        self, request: HttpRequest, digest: str, hints: Hints, asker: Asker | None
    ) -> CallerTerms:
        """The caller's cap, its key's models, and the quote that it brings back.

        Raises RequestInvalid.
        """
        max_cost, quote = hints.max_cost, quote_of(request)
        key = asker.key if asker else None
        models = key.limits.allowed_models if key else None
        if quote is None:
            return CallerTerms(max_cost=max_cost, models=models)
        now_ms = self._parts.clock.now_ms()
        quoted = self._parts.quotes.read(quote, request_sha256=digest, now_ms=now_ms)
        return CallerTerms(max_cost=max_cost, quoted=quoted, models=models)

    def _ask(
        self, request: HttpRequest, chat: ChatRequest, asker: Asker | None, content: bytes
    ) -> Ask:
        """With the digest of the body as it came, which books before 0055 have.

        That one is taken of who comes back with something to show for it, and of nobody else: it is
        looked at only where the request could be meant that it is of.
        """
        idempotency = idempotency_key(request)
        proven = asker.escrow_id if asker else None
        comes_back = proven is not None or idempotency is not None
        return Ask(
            request=chat.completion,
            request_sha256=chat.digest,
            earlier_sha256=sha256(content).hexdigest() if comes_back else None,
            method=request.method,
            path=CHAT_PATH,
            address=self._askers.address(request),
            caller_id=asker.caller_id if asker else None,
            proven_escrow_id=proven,
            idempotency_key=idempotency,
            respond_async=prefers_async(request),
            live=chat.completion.stream,
            key=asker.key if asker else None,
        )

    async def _told(
        self, answer: Answer, chat: ChatRequest, privacy: Privacy, reader_id: str
    ) -> Response:
        escrow, of = answer.escrow, partial(self._receipts.of, reader_id=reader_id)
        match answer.kind:
            case AnswerKind.CHALLENGE:
                receipt = await of(escrow, privacy, counted=False)
                return self._challenges.for_escrow(
                    receipt.escrow, caller_id=answer.caller_id, beside=receipt.beside
                )
            case AnswerKind.ACCEPTED:
                return accepted_answer(escrow, public_url=self._parts.public_url)
            case AnswerKind.LIVE if answer.live_answer is not None:
                return live_events(
                    escrow,
                    answer.live_answer,
                    include_usage=chat.include_usage,
                    delivery=answer.delivery,
                    standing=await self._receipts.notices.of(escrow, told=False),
                    receipt_of=partial(of, privacy=privacy),
                )
            case _:
                return completion_answer(
                    await of(escrow, privacy),
                    answer.body,
                    stream=chat.completion.stream,
                    include_usage=chat.include_usage,
                    delivery=answer.delivery,
                )

    async def _nothing_asked(
        self, request: HttpRequest, asker: Asker | None
    ) -> tuple[str, PlainAnswer]:
        """An empty body never runs anything: a top-up, or what a paid one has credited."""
        if asker is not None and asker.topup_id is not None:
            topup = await self._askers.booked_topup(asker.topup_id)
            if topup is not None and topup.facts.had_payment:
                standing = await self._parts.books.standing(asker.caller_id)
                return "credited", credited_answer(topup, standing)
        return "topup", await self._askers.top_up_first(request, asker)

    async def _already_paid(self, paid: AlreadyPaid, ask: Ask) -> PlainAnswer:
        """409 with the macaroon again, worthless without the preimage."""
        escrow = await self._parts.books.escrow(paid.escrow_id)
        if escrow is None or escrow.invoice is None:
            raise paid
        caller_id = ask.caller_id or self._parts.identifiers.caller_id()
        return self._challenges.already_paid(escrow, message=paid.message, caller_id=caller_id)

    async def _exceeded(self, exceeded: ExposureExceeded, ask: Ask) -> PlainAnswer:
        """429 with what this caller can pay to go on.

        Raises CreditShort for a key whose credit parallel asks have taken: agents repeat a 429 for
        minutes, and a 402 ends them.
        """
        if ask.caller_id is None:
            raise exceeded
        if ask.key is not None and exceeded.guard == _CREDIT:
            standing = await self._parts.books.standing(ask.caller_id)
            raise credit_taken(standing, needed_msat=exceeded.asked)
        to_pay = await self._parts.books.open_escrows(ask.caller_id, limit=TO_PAY_MAX)
        return error_response(exceeded, to_pay=to_pay)

    def _refuse_when_draining(self) -> None:
        if self._parts.is_draining():
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=DRAINING_RETRY_S)


def idempotency_key(request: HttpRequest) -> str | None:
    """The key, quoted (as its draft standard writes it) or bare. Raises RequestInvalid."""
    lines = request.lines(_IDEMPOTENCY)
    if not lines:
        return None
    value = lines[0].strip()
    if value[:1] == value[-1:] == b'"':
        value = value[1:-1]
    if len(lines) > 1 or not _IDEMPOTENCY_KEY.fullmatch(value):
        message = "Idempotency-Key must be one text of 1 to 255 visible ASCII characters."
        raise RequestInvalid(message, param="Idempotency-Key")
    return value.decode("ascii")


def prefers_async(request: HttpRequest) -> bool:
    """Whether `Prefer` asks for 202 instead of waiting; other preferences are passed over."""
    return any(
        preference.strip().lower() == _RESPOND_ASYNC
        for line in request.lines(b"prefer")
        for preference in line.replace(b";", b",").split(b",")
    )
