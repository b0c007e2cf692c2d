"""Answer an ask: find the escrow it means or open one, wait for it, and say what it gets.

Must not know: HTTP, tokens or SSE. Whoever calls has verified the credential: `caller_id` is
proven, and `proven_escrow_id` comes with that escrow's own macaroon and preimage.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain import errors
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.escrow.asks import (
    Verdict,
    is_on_credit,
    is_over,
    own_verdict,
    verdict,
)
from cobot_meter.domain.escrow.record import AskKey, Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Mode
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.answer.deliveries import Delivery
from cobot_meter.flows.escrow_faults import failure_fault, waiting_fault
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.flows.sale.live_answer import LiveAnswer, first_of
from cobot_meter.flows.sale.open_escrow import Opener, OpenEscrow
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import Follower, JustOpened, TakeTurn

TRIES = 4
# How many escrows of one body and address a nameless ask looks at: of callers with a name there
# may be many, and most of those are nothing to it.
LOOK_BACK = 8
GONE = "What this request bought is no longer kept; ask with another Idempotency-Key."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One ask; `request_sha256` is the digest of its canonical form in hex.

    `earlier_sha256` is that of its raw body, by which sales were known before; None where it is
    the ask of somebody who cannot be meant by one of them.
    `address` is the network address that it counts against. `caller_id` is the proven caller, None
    for nobody; `proven_escrow_id` the escrow whose own proof was shown. `key` is the API key that
    names the caller, None for a proof or for nobody. With `respond_async` it is answered as soon as
    it is stored. Where it is `live` and paid for beforehand the answer is handed over as it comes.
    """

    request: CompletionRequest
    request_sha256: str
    method: str
    path: str
    address: str
    caller_id: str | None = None
    proven_escrow_id: str | None = None
    idempotency_key: str | None = None
    respond_async: bool = False
    live: bool = False
    key: ApiKey | None = None
    earlier_sha256: str | None = None

    def is_of(self, escrow: Escrow) -> bool:
        """Whether it is the request that this escrow was opened for."""
        return escrow.ask.request_sha256 in {self.request_sha256, self.earlier_sha256}

    @property
    def as_earlier(self) -> Ask:
        """The same ask under the name that it had in older books."""
        return replace(self, request_sha256=self.earlier_sha256 or self.request_sha256)


class AnswerKind(enum.StrEnum):
    """What an ask got."""

    CHALLENGE = "challenge"
    COMPLETION = "completion"
    LIVE = "live"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`caller_id` is whom a token is minted for; `body` the `chat.completion` JSON when bought.

    `live_answer` is there for a LIVE one: an answer that is still on its way. `delivery` is to be
    told how the handing over ended, where that tells a retry from another request: on credit.
    """

    kind: AnswerKind
    escrow: Escrow
    caller_id: str
    body: bytes = b""
    live_answer: LiveAnswer | None = None
    delivery: Delivery | None = None


class AskCompletion:
    """The paid route's use case."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        open_escrow: OpenEscrow,
        follow_run: FollowRun,
        settle_invoice: SettleInvoice,
        deliver_completion: DeliverCompletion,
    ) -> None:
        """All by name: flows and ports."""
        self._ledger = ledger
        self._vault = vault
        self._open_escrow = open_escrow
        self._follow_run = follow_run
        self._settle_invoice = settle_invoice
        self._deliver_completion = deliver_completion

    async def answer(self, ask: Ask) -> Answer:
        """What it gets. Raises the CallerFault or DependencyFault that the caller should read."""
        self._deliver_completion.check()  # nobody is asked to pay for what cannot be handed over
        caller_id = ask.caller_id or self._vault.caller_id()
        own = await self._own(ask)
        if own is not None:
            claimed = await self._claimed(own, ask, caller_id)
            if claimed is not None:
                return claimed
        key = ask_key(ask, caller_id)
        for _ in range(TRIES):
            found = await self._find(ask, key)
            if found is not None:
                answer = await self._follow(found, ask, caller_id)
                if answer is not None:
                    return answer
            try:
                return await self._open(ask, key, caller_id)
            except errors.Conflict:
                continue  # the same ask was opened by a parallel request: find it
        message = "The same request is being handled many times over; repeat it in a moment."
        raise errors.CostPending(message, retry_after_s=1)

    async def _own(self, ask: Ask) -> Escrow | None:
        if ask.proven_escrow_id is None:
            return None
        escrow = await self._ledger.books.escrow(ask.proven_escrow_id)
        return escrow if escrow is not None and ask.is_of(escrow) else None

    async def _claimed(self, own: Escrow, ask: Ask, caller_id: str) -> Answer | None:
        """What its own proof reads; None when that is over and the ask is for a new one.

        An Idempotency-Key says more than the pair: the escrow's own key never asks for another,
        and one that it was not opened with does so as soon as the completion is handed over.
        """
        keyed = ask.idempotency_key is not None
        fresh = keyed and not _same_key(own, ask)
        over = is_over(own, now_ms=self._ledger.now_ms(), retention=self._ledger.retention)
        if fresh and _had_its_end(own):
            return None
        try:
            return await self.claim(own, caller_id=caller_id)
        except errors.CompletionGone:
            if fresh or (over and not keyed):
                return None
            raise

    async def claim(self, escrow: Escrow, *, caller_id: str) -> Answer:
        """What an escrow gives to its own proof; the node is asked while the books say unpaid.

        Whoever calls has checked that the caller may read it. Raises CompletionGone for what is no
        longer kept, and any other CallerFault or DependencyFault that the caller should read.
        """
        if STATES[escrow.state].payable and escrow.payment_hash is not None:
            await self._settle_invoice.ask_node(escrow.payment_hash)
            escrow = await self._ledger.books.escrow(escrow.escrow_id) or escrow
        answer = await self._judged(own_verdict(escrow), escrow, caller_id)
        if answer is None:
            raise errors.CompletionGone(GONE)
        return answer

    async def _find(self, ask: Ask, key: AskKey) -> Escrow | None:
        if ask.caller_id is None:
            return await self._nameless(ask, key)
        if key.idempotency_key is not None:
            found = await self._ledger.books.ask_of_idempotency_key(key.idempotency_key)
            if found is not None and not ask.is_of(found):
                message = (
                    "This Idempotency-Key was used with another request. Send the same one again, "
                    "or use a fresh key."
                )
                raise errors.IdempotencyConflict(message)
            return await self._newest(found)
        return await self._ledger.books.latest_ask(key.request_key)

    async def _newest(self, found: Escrow | None) -> Escrow | None:
        """In books from before revision 0014 the first sale of a chain has the key of them all."""
        while found is not None and found.continued_as is not None:
            later = await self._ledger.books.escrow(found.continued_as)
            if later is None:
                break
            found = later
        return found

    async def _nameless(self, ask: Ask, key: AskKey) -> Escrow | None:
        """What the same ask from this address can have: nameless escrows first, then anybody's.

        Of others only what is under way, so that a client that dropped its token meets its own
        run. What they have bought for themselves is passed over: the newest escrow of all may be
        such a one, while an older one still waits to be paid.
        """
        found: Sequence[Escrow] = ()
        for address_key in _address_keys(ask, key):
            found = found or await self._ledger.books.asks_from_address(
                address_key, limit=LOOK_BACK
            )
        nameless_first = sorted(found, key=lambda escrow: not escrow.ask.nameless)
        told = (one for one in nameless_first if self._verdict(one, ask) is not Verdict.OPEN_ANEW)
        return next(told, None)

    async def _follow(self, escrow: Escrow, ask: Ask, caller_id: str) -> Answer | None:
        """What the found escrow gives this ask; None when a new one must be opened."""
        decided = self._verdict(escrow, ask)
        expired = (
            escrow.invoice is not None
            and self._ledger.now_ms() >= escrow.invoice.expires_at_s * 1_000
        )
        if decided is Verdict.WAIT or (decided is Verdict.CHALLENGE and expired):
            if ask.respond_async:
                self._follow_run.keep(escrow.escrow_id)
                return self._accepted(escrow, caller_id)
            if ask.live and decided is Verdict.WAIT:
                run = self._follow_run.join(escrow.escrow_id)
                follower = self._follow_run.follow(escrow.escrow_id)
                live = await self._live(escrow, run, follower)
                if live is not None:
                    return live
            escrow = await self._follow_run.joined(escrow.escrow_id)
            decided = self._verdict(escrow, ask)
        try:
            return await self._judged(decided, escrow, caller_id)
        except errors.CompletionGone:
            if escrow.state is EscrowState.RELEASED and ask.idempotency_key is None:
                return None  # handed over once, and just now or unreadably gone: run it anew
            raise

    def _verdict(self, escrow: Escrow, ask: Ask) -> Verdict:
        return verdict(
            escrow,
            asker=ask.caller_id,
            now_ms=self._ledger.now_ms(),
            retention=self._ledger.retention,
            keyed=ask.idempotency_key is not None,
            handed_over=self._deliver_completion.deliveries.is_over(escrow),
        )

    async def _open(self, ask: Ask, key: AskKey, caller_id: str) -> Answer:
        escrow_id = self._open_escrow.new_id()
        stored: asyncio.Future[Escrow] = asyncio.get_running_loop().create_future()
        run = self._begin(ask, key, caller_id, escrow_id, stored)
        if ask.respond_async:
            self._follow_run.keep(escrow_id)
            await _first_of_both(stored, run, None)
            return self._accepted((stored if stored.done() else run).result(), caller_id)
        # Before it is opened, since a short answer may be over as soon as that is heard of.
        follower = self._follow_run.follow(escrow_id) if ask.live and ask.key is not None else None
        if follower is not None:
            await _first_of_both(stored, run, follower)
        if stored.done():
            live = await self._live(stored.result(), run, follower)
            if live is not None:
                return live
        escrow = await self._follow_run.finished(run, escrow_id)
        answer = await self._judged(own_verdict(escrow), escrow, caller_id)
        if answer is None:
            raise errors.CompletionGone(GONE)
        return answer

    async def _live(
        self, escrow: Escrow, run: asyncio.Future[Escrow], follower: Follower | None
    ) -> Answer | None:
        """The answer as it comes; None where it has to be paid for first, or has come to its end.

        Until something is said, another model may be asked, and a failure is told as any other.
        """
        if follower is None:
            return None
        free = escrow.key_id is not None and not escrow.quote.ceiling_msat
        if escrow.mode is not Mode.CREDIT and not free:
            await follower.aclose()
            return None
        first = await first_of(follower)
        if first is None:
            return None
        live = LiveAnswer(
            first=first, follower=follower, run=run, deliver_completion=self._deliver_completion
        )
        caller_id = escrow.caller_id
        return Answer(
            kind=AnswerKind.LIVE,
            escrow=escrow,
            caller_id=caller_id,
            live_answer=live,
            delivery=self._delivery(escrow),
        )

    def _delivery(self, escrow: Escrow) -> Delivery | None:
        on_credit = is_on_credit(escrow)
        return self._deliver_completion.deliveries.begun(escrow) if on_credit else None

    async def _with_members(self, escrow: Escrow) -> Escrow:
        """A panel with all its runs: what it is told by says what each of them cost."""
        if escrow.mode is not Mode.PANEL:
            return escrow
        return escrow.with_runs(await self._ledger.books.runs_of(escrow.escrow_id))

    def _begin(
        self,
        ask: Ask,
        key: AskKey,
        caller_id: str,
        escrow_id: str,
        stored: asyncio.Future[Escrow],
    ) -> asyncio.Future[Escrow]:
        """The run that opens this escrow; `stored` is told when it is in the books."""
        opener = Opener(
            escrow_id=escrow_id,
            caller_id=caller_id,
            ask=key,
            key=ask.key,
            comes_back=ask.respond_async or ask.idempotency_key is not None,
        )

        async def opening(*, at_once: TakeTurn) -> JustOpened:
            opened = await self._open_escrow.open(ask.request, opener, at_once=at_once)
            stored.set_result(opened.escrow)
            return opened

        return self._follow_run.begin(escrow_id, opening)

    async def _judged(self, decided: Verdict, escrow: Escrow, caller_id: str) -> Answer | None:
        match decided:
            case Verdict.CHALLENGE:
                self._deliver_completion.check()
                told = await self._with_members(escrow)
                return Answer(kind=AnswerKind.CHALLENGE, escrow=told, caller_id=caller_id)
            case Verdict.DELIVER:
                released, body = await self._deliver_completion.deliver(escrow)
                released = await self._with_members(released)
                return Answer(
                    kind=AnswerKind.COMPLETION,
                    escrow=released,
                    caller_id=escrow.caller_id,
                    body=body,
                    delivery=self._delivery(released),
                )
            case Verdict.WAIT | Verdict.QUARANTINED:
                raise waiting_fault(escrow)
            case Verdict.ALREADY_PAID:
                message = (
                    "This request is paid for. Repeat it with Authorization: L402 "
                    "<macaroon>:<preimage> of the invoice you paid."
                )
                raise errors.AlreadyPaid(message, escrow_id=escrow.escrow_id)
            case Verdict.SAME_FAILURE:
                raise failure_fault(escrow.failure)
            case Verdict.GONE:
                raise errors.CompletionGone(GONE)
            case Verdict.OPEN_ANEW:
                return None

    def _accepted(self, escrow: Escrow, caller_id: str) -> Answer:
        return Answer(kind=AnswerKind.ACCEPTED, escrow=escrow, caller_id=caller_id)


def ask_key(ask: Ask, caller_id: str) -> AskKey:
    """The keys under which the same ask is found again; `caller_id` also where it was given one.

    So an Idempotency-Key that was used before its caller had a name is that caller's afterwards,
    and a stranger at the same address stands in nobody's way with another body. What an API key
    asks is that key's alone: nothing that another one, or a proof, has asked is found for it.
    """
    keyed = ask.idempotency_key is not None
    return AskKey(
        request_key=_digest(caller_id, *_what(ask)),
        address_key=_digest(ask.address, *_what(ask)),
        address=ask.address,
        request_sha256=ask.request_sha256,
        nameless=ask.caller_id is None,
        idempotency_key=_digest(caller_id, ask.path, ask.idempotency_key or "", *_of_key(ask))
        if keyed
        else None,
    )


async def _first_of_both(
    stored: asyncio.Future[Escrow], run: asyncio.Future[Escrow], follower: Follower | None
) -> None:
    """Return when it is stored, or refused; whoever hangs up meanwhile follows no longer."""
    try:
        await asyncio.wait((stored, run), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if follower is not None:
            await follower.aclose()
        raise


def _address_keys(ask: Ask, key: AskKey) -> tuple[str, ...]:
    """By which the same ask from this address is found, the one of older books last."""
    if ask.earlier_sha256 is None:
        return (key.address_key,)
    return (key.address_key, ask_key(ask.as_earlier, "").address_key)


def _had_its_end(escrow: Escrow) -> bool:
    """Handed over, or turned into credit: a fresh key may ask for another one."""
    return escrow.state in {EscrowState.RELEASED, EscrowState.REFUNDED}


def _same_key(own: Escrow, ask: Ask) -> bool:
    """Whether the escrow, whose body this is, was opened with this very Idempotency-Key."""
    earlier = own.ask.request_sha256 != ask.request_sha256
    own_key = _digest(own.ask.address, *_what(ask.as_earlier if earlier else ask))
    return own.ask.address_key == own_key


def _what(ask: Ask) -> tuple[str, ...]:
    """What makes two requests the same one, whoever asks from wherever."""
    key = ask.idempotency_key or ""
    return (ask.method, ask.path, ask.request_sha256, key, *_of_key(ask))


def _of_key(ask: Ask) -> tuple[str, ...]:
    return () if ask.key is None else (ask.key.key_id,)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
