"""Who asks, and from where: the credential, the address, and the challenge for those without."""

from __future__ import annotations

from hashlib import sha256

from cobot_meter.domain.errors import CredentialInvalid
from cobot_meter.domain.topup.record import Topup
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.addresses import address_of
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.l402.credentials import parse_credentials
from cobot_meter.http_api.l402.tokens import Proof

SECOND_MS = 1_000
_NAMELESS = (
    "This shows what a caller has, and no caller is named. Send Authorization: L402 "
    "<macaroon>:<preimage>, of anything you paid for here; POST an empty body to "
    "/v1/chat/completions, and a top-up of 1 sat is offered that gives you one."
)


class Askers:
    """Reads the credential of a request, and answers those who need one with a top-up."""

    def __init__(self, *, parts: FaceParts, challenges: Challenges) -> None:
        """`challenges` writes the 402."""
        self._parts = parts
        self._challenges = challenges

    def proof(self, request: HttpRequest) -> Proof | None:
        """What the request's credentials prove; None for none, or none that proves anything."""
        lines = request.lines(b"authorization")
        if not lines:
            return None
        now_s = self._parts.clock.now_ms() // SECOND_MS
        return self._parts.tokens.prove(parse_credentials(lines), now_s=now_s)

    def address(self, request: HttpRequest) -> str:
        """The address that the request counts against."""
        return address_of(
            peer=request.peer,
            forwarded_for=request.lines(b"x-forwarded-for"),
            trusted_proxies=self._parts.trusted_proxies,
        )

    def caller(self, request: HttpRequest) -> str:
        """Whom the request's credential names. Raises CredentialInvalid for nobody.

        Reading writes nothing: neither is a top-up made here for whoever has none, nor is a payment
        booked that the node has not told yet. Sending the credential with a POST does that.
        """
        proof = self.proof(request)
        if proof is None:
            raise CredentialInvalid(_NAMELESS)
        return proof.caller_id

    async def booked_topup(self, topup_id: str) -> Topup | None:
        """The top-up of a proof; the node is asked while the books do not say credited.

        Raises NodeUnavailable.
        """
        topup = await self._parts.books.topup(topup_id)
        if topup is None or topup.facts.had_payment:
            return topup
        await self._parts.settle_invoice.ask_node(topup.payment_hash)
        return await self._parts.books.topup(topup_id)

    async def top_up_first(self, request: HttpRequest, *, caller_id: str | None) -> PlainAnswer:
        """402 with the 1-sat top-up of this caller, or one of its own for a stranger.

        Raises TopupsOpen.
        """
        scope = caller_id or self.address(request)
        topup = await self._parts.top_up.offer(
            address_key=sha256(f"topup\n{scope}".encode()).hexdigest(), caller_id=caller_id
        )
        return self._challenges.for_topup(topup, caller_id=topup.caller_id)
