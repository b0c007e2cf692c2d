"""Who asks, and from where: the credential, the address, and the challenge for those without.

A caller is named by the proof of a payment, or by an API key of its own; with both the key's limits
hold. A key in a request is found by one read of the books, so that one which was revoked is refused
by every process with the next request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cobot_meter.domain.api_key.faults import KeyInvalid, KeyRevoked, ProofRequired
from cobot_meter.domain.api_key.record import SECRET_PREFIX, ApiKey, is_secret, secret_digest
from cobot_meter.domain.errors import CallerBlocked, CredentialInvalid
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.sale.open_escrow import BLOCKED
from cobot_meter.flows.task.find_task import TASK_KEY_PREFIX
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.addresses import address_of
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.l402.credentials import LINE_BYTES_MAX, LINES_MAX, parse_credentials
from cobot_meter.http_api.l402.tokens import Proof

SECOND_MS = 1_000
_SECRET = SECRET_PREFIX.encode()
_TASK_SECRET = TASK_KEY_PREFIX.encode()
_NAMELESS = (
    "This shows what a caller has, and no caller is named. Send Authorization: L402 "
    "<macaroon>:<preimage>, of anything you paid for here, or an API key that was made with it; "
    'POST {"amount_sat": 1000} to /v1/topups, and a top-up is offered that gives you one.'
)
_TWO_KEYS = "Two different API keys are given, and they may be two callers: send one of them."
_NO_KEY = (
    "This is no API key of this service, or not any more: it may be misspelt, or have been "
    "rotated. A key is sk-cobot- and 43 characters; POST /v1/keys makes one."
)
_TASK_KEY = (
    "This is the key of a task: it asks POST /v1/chat/completions, and nothing else. Whatever is "
    "done with the task itself takes the API key of its seller."
)
_REVOKED = "This API key is revoked: its owner makes another one with POST /v1/keys."
_TWO_CALLERS = (
    "The API key and the proof of payment name different callers, or different keys: send one of "
    "them."
)
_PROOF = (
    "An API key may spend, and not manage keys, so that one which leaks can be ended: send "
    "Authorization: L402 <macaroon>:<preimage> of anything you paid for here."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks. `proof` is the valid pair, `key` the live key that bounds what may be spent."""

    caller_id: str
    proof: Proof | None = None
    key: ApiKey | None = None

    @property
    def topup_id(self) -> str | None:
        """The top-up whose payment the proof is of."""
        return self.proof.topup_id if self.proof else None

    @property
    def escrow_id(self) -> str | None:
        """The escrow whose payment the proof is of."""
        return self.proof.escrow_id if self.proof else None


class Askers:
    """Reads the credential of a request, and answers those who need one with a top-up."""

    def __init__(self, *, parts: FaceParts, challenges: Challenges) -> None:
        """`challenges` writes the 402."""
        self._parts = parts
        self._challenges = challenges

    async def asker(self, request: HttpRequest) -> Asker | None:
        """Whom the request's credentials name; None without any, or where none proves anything.

        Raises KeyInvalid for an API key that names nobody, and where a key and a proof, or two
        keys, may name two callers; KeyRevoked for a key that its owner has ended.
        """
        lines = [*request.lines(b"authorization"), *request.lines(b"x-api-key")][:LINES_MAX]
        if not lines:
            return None
        proof, key = self._proof(lines), await self._key(lines)
        if proof is None:
            return Asker(caller_id=key.caller_id, key=key) if key else None
        if proof.key_id is not None and (key is None or key.key_id != proof.key_id):
            if key is not None:
                raise KeyInvalid(_TWO_CALLERS)
            key = _live(await self._parts.books.api_key(proof.key_id))
        if key is not None and key.caller_id != proof.caller_id:
            raise KeyInvalid(_TWO_CALLERS)
        return Asker(caller_id=proof.caller_id, proof=proof, key=key)

    def _proof(self, lines: Sequence[bytes]) -> Proof | None:
        now_s = self._parts.clock.now_ms() // SECOND_MS
        return self._parts.tokens.prove(parse_credentials(lines), now_s=now_s)

    async def _key(self, lines: Sequence[bytes]) -> ApiKey | None:
        texts = set(_key_texts(lines))
        if not texts:
            return None
        if len(texts) > 1:
            raise KeyInvalid(_TWO_KEYS)
        text = texts.pop().decode("latin-1")
        if text.startswith(TASK_KEY_PREFIX):
            raise KeyInvalid(_TASK_KEY)
        if not is_secret(text):
            raise KeyInvalid(_NO_KEY)
        return _live(await self._parts.books.api_key_of_secret(secret_digest(text)))

    def address(self, request: HttpRequest) -> str:
        """The network address that counts: through trusted proxies, the one they forward."""
        return address_of(
            peer=request.peer,
            forwarded_for=request.lines(b"x-forwarded-for"),
            trusted_proxies=self._parts.trusted_proxies,
        )

    async def caller(self, request: HttpRequest) -> Asker:
        """Whom the request's credentials name. Raises CredentialInvalid for nobody, and KeyInvalid.

        Reading writes nothing: neither is a top-up made here for whoever has none, nor is a payment
        booked that the node has not told yet. Sending the credential with a POST does that.
        """
        asker = await self.asker(request)
        if asker is None:
            raise CredentialInvalid(_NAMELESS)
        return asker

    async def owner(self, request: HttpRequest) -> str:
        """Whom a proof of payment names, where no API key stands beside it or bounds it.

        Raises ProofRequired for a key, CredentialInvalid for nobody, and KeyInvalid.
        """
        asker = await self.caller(request)
        if asker.key is not None:
            raise ProofRequired(_PROOF)
        return asker.caller_id

    async def refuse_blocked(self, caller_id: str) -> None:
        """Raises CallerBlocked for whom the operator has blocked."""
        if (await self._parts.books.standing(caller_id)).blocked:
            raise CallerBlocked(BLOCKED)

    async def booked_topup(self, topup_id: str) -> Topup | None:
        """The top-up of a proof; the node is asked while the books do not say credited.

        Raises NodeUnavailable.
        """
        topup = await self._parts.books.topup(topup_id)
        if topup is None or topup.facts.had_payment:
            return topup
        await self._parts.settle_invoice.ask_node(topup.payment_hash)
        return await self._parts.books.topup(topup_id)

    def scope(self, request: HttpRequest, asker: Asker | None) -> str:
        """Whose places for unpaid top-ups it has, its caller's or its address's: a hex digest."""
        scope = asker.caller_id if asker else self.address(request)
        return sha256(f"topup\n{scope}".encode()).hexdigest()

    async def top_up_first(self, request: HttpRequest, asker: Asker | None) -> PlainAnswer:
        """402 with the open 1-sat top-up of this caller, or with a fresh one for a stranger.

        Raises TopupsOpen, NodeUnavailable, ReleasesStopped, Quarantined.
        """
        scope = asker.caller_id if asker else self.address(request)
        topup = await self._parts.top_up.offer(
            address_key=sha256(f"topup\n{scope}".encode()).hexdigest(),
            caller_id=asker.caller_id if asker else None,
        )
        return self._challenges.for_topup(topup, key=asker.key if asker else None)


def task_key_of(request: HttpRequest) -> str | None:
    """The key of a task that a request brings, wherever a key may stand; None for most."""
    lines = [*request.lines(b"authorization"), *request.lines(b"x-api-key")][:LINES_MAX]
    if not any(_TASK_SECRET in line for line in lines):
        return None
    texts = (text.decode("latin-1") for text in _key_texts(lines))
    return next((text for text in texts if text.startswith(TASK_KEY_PREFIX)), None)


def _live(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise KeyInvalid(_NO_KEY)
    if not key.is_live:
        raise KeyRevoked(_REVOKED)
    return key


def _key_texts(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Whatever begins as our keys do, after any scheme: others' keys are nobody's here."""
    for line in lines:
        if _SECRET in line and len(line) <= LINE_BYTES_MAX:
            for part in line.split(b","):
                text = (part.split() or [b""])[-1]
                if text.startswith(_SECRET):
                    yield text
