"""POST /v1/topups and GET /v1/topups/{id}: credit bought once, and spent by keys and tokens.

The first POST is answered with the invoice, and the same POST with the proof of its payment with
what that has bought, its API key among it where one was asked for. So no secret is stored, and none
is shown to anybody who has not both halves of the proof. Must not know: ASGI, or how an invoice is
made.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from cobot_meter.domain.api_key.faults import ProofRequired
from cobot_meter.domain.api_key.record import KeyWish
from cobot_meter.domain.errors import Draining, EscrowNotFound
from cobot_meter.domain.money import MSAT_PER_SAT
from cobot_meter.domain.topup.record import Topup
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.chat.route import DRAINING_RETRY_S, idempotency_key
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.escrow_routes import wait_of
from cobot_meter.http_api.http.exchange import NO_STORE, HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Asker, Askers
from cobot_meter.http_api.key_routes import KeyRoutes
from cobot_meter.http_api.l402.challenges import Challenges, TopupWords
from cobot_meter.http_api.small_bodies import fields_of, key_wish, topup_sat
from cobot_meter.http_api.views import TOPUPS_PATH, topup_document

OK = 200
_FIELDS = frozenset({"amount_sat", "key"})
_PATH = re.compile(rf"{TOPUPS_PATH}/([A-Za-z0-9_-]{{1,80}})", re.ASCII)
_DETAIL = "Paid once, and spent by whatever you ask for afterwards."
_KEY_BY_KEY = (
    "A key is made by the proof of a payment and not by another key: leave the key out of the "
    "body, or the key out of the headers."
)


class TopupRoutes:
    """The two routes of top-ups: begin one, and see where it stands."""

    def __init__(
        self, *, parts: FaceParts, askers: Askers, challenges: Challenges, keys: KeyRoutes
    ) -> None:
        """`keys` shows the key that a top-up was asked with."""
        self._parts = parts
        self._askers = askers
        self._challenges = challenges
        self._keys = keys

    async def begin(self, request: HttpRequest) -> PlainAnswer:
        """402 with the invoice, or 200 with the credit once the proof of its payment is shown.

        Raises what the credentials, the body, or the making of a top-up are refused for.
        """
        asker = await self._askers.asker(request)
        fields = fields_of(request.body.take(), _FIELDS)
        amount_msat = topup_sat(fields) * MSAT_PER_SAT
        wish = None if fields.get("key") is None else key_wish(fields["key"])
        name = idempotency_key(request)
        if asker is not None:
            await self._refuse(asker, wish)
        proven = await self._proven(asker, amount_msat, name)
        if asker is not None and proven is not None:
            return await self._credited(proven, asker, wish)
        self._refuse_when_draining()
        topup = await self._parts.top_up.begin(
            amount_msat,
            address_key=self._askers.scope(request, asker),
            caller_id=asker.caller_id if asker else None,
            name=name,
        )
        if asker is not None and topup.facts.had_payment:
            return await self._credited(topup, asker, None)
        words = TopupWords(message=_message(topup, keyed=wish is not None), detail=_DETAIL)
        return self._challenges.for_topup(topup, key=asker.key if asker else None, words=words)

    async def status(self, request: HttpRequest) -> PlainAnswer:
        """200 with its state; with `?wait=`, once it changes or so many seconds have passed.

        Raises EscrowNotFound for an id that no top-up has.
        """
        wait_s = wait_of(request)
        topup = await self._known(request)
        if wait_s and not topup.facts.had_payment:
            topup = await self._changed(topup, request, wait_s)
        document = topup_document(topup, public_url=self._parts.public_url)
        return json_answer(OK, {"topup": document}, (NO_STORE,))

    async def _refuse(self, asker: Asker, wish: KeyWish | None) -> None:
        if asker.key is not None and wish is not None:
            raise ProofRequired(_KEY_BY_KEY)
        await self._askers.refuse_blocked(asker.caller_id)

    async def _proven(
        self, asker: Asker | None, amount_msat: int, name: str | None
    ) -> Topup | None:
        """The top-up that this very request was paid with; None for one of another request.

        With an Idempotency-Key (`name`) it has to be the top-up which that key began, so that the
        proof of an earlier one can begin another.
        """
        if asker is None or asker.topup_id is None:
            return None
        named = self._parts.top_up.named_id(asker.caller_id, name)
        if named not in {None, asker.topup_id}:
            return None
        topup = await self._askers.booked_topup(asker.topup_id)
        if topup is None or not topup.facts.had_payment or topup.amount_msat != amount_msat:
            return None
        return topup

    async def _credited(self, topup: Topup, asker: Asker, wish: KeyWish | None) -> PlainAnswer:
        standing = await self._parts.books.standing(asker.caller_id)
        shown: dict[str, Any] | None = None
        if wish is not None:
            key = await self._parts.manage_keys.make(
                asker.caller_id, wish, name=f"topup {topup.topup_id}"
            )
            shown = await self._keys.shown(key)
        document = {
            "topup": topup_document(topup, public_url=self._parts.public_url),
            "available_msat": standing.available_msat,
            "key": shown,
        }
        return json_answer(OK, document, (PRIVATE,))

    async def _known(self, request: HttpRequest) -> Topup:
        match = _PATH.fullmatch(request.path)
        topup = await self._parts.books.topup(match[1]) if match else None
        if topup is None:
            raise EscrowNotFound("There is no such top-up.")
        return topup

    async def _changed(self, topup: Topup, request: HttpRequest, wait_s: int) -> Topup:
        state = topup.state
        slice_s = self._parts.limits.poll_slice_s
        try:
            async with asyncio.timeout(wait_s):
                while topup.state is state:
                    await self._parts.wakes.wait(topup.topup_id, timeout_s=slice_s)
                    topup = await self._known(request)
        except TimeoutError:
            pass
        return topup

    def _refuse_when_draining(self) -> None:
        if self._parts.is_draining():
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=DRAINING_RETRY_S)


def _message(topup: Topup, *, keyed: bool) -> str:
    bought = "the credit and its API key" if keyed else "the credit"
    return (
        f"Payment required: a top-up of {topup.amount_msat // MSAT_PER_SAT} sat. Pay the invoice, "
        f"then repeat the same request with Authorization: L402 <macaroon>:<preimage> for {bought}."
    )
