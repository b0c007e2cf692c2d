"""GET /v1/benchmarks: what this service has measured of models, sold by the day.

A stranger gets 402 with an invoice of the price, which is a top-up: its payment names a caller and
is its credit, and the same request with the proof buys the edition from that. A key buys it from
its caller's credit at once. Must not know: ASGI, or what an edition says.
"""

from __future__ import annotations

from typing import Any

from cobot_meter.domain.api_key.faults import CreditShort
from cobot_meter.domain.errors import Draining
from cobot_meter.domain.money import MSAT_PER_SAT, ceil_div
from cobot_meter.flows.benchmarks.sell_edition import Edition, SellEdition
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.chat.route import DRAINING_RETRY_S
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Asker, Askers
from cobot_meter.http_api.l402.challenges import Challenges, TopupWords

BENCHMARKS_PATH = "/v1/benchmarks"
OK = 200
_DETAIL = "This is a top-up of its price; the same request buys the edition from that credit."


class BenchmarkRoutes:
    """One route, where the operator has set a price."""

    def __init__(
        self, sell_edition: SellEdition, *, parts: FaceParts, askers: Askers, challenges: Challenges
    ) -> None:
        """`challenges` writes the 402."""
        self._sell_edition = sell_edition
        self._parts = parts
        self._askers = askers
        self._challenges = challenges

    async def bought(self, request: HttpRequest) -> PlainAnswer:
        """200 with today's edition once it is bought, or free; else 402. HEAD buys nothing.

        Raises EscrowNotFound where nothing was measured before today, and what a purchase or the
        making of a top-up is refused for.
        """
        edition, price_msat = await self._sell_edition.edition(), self._sell_edition.price_msat
        offer = {"edition": edition.day, "price_msat": price_msat}
        if not price_msat:
            return _answer(offer, edition)
        asker = await self._askers.asker(request)
        if request.head_only:
            return json_answer(OK, offer, (PRIVATE,))
        if asker is None:
            return await self._challenged(request, offer, price_msat, None)
        if asker.topup_id is not None:
            await self._askers.booked_topup(asker.topup_id)
        try:
            await self._sell_edition.sell(edition, caller_id=asker.caller_id, key=asker.key)
        except CreditShort as short:
            missing_msat = price_msat - max(short.shortfall.available_msat, 0)
            return await self._challenged(request, offer, missing_msat, asker, short)
        return _answer(offer, edition)

    async def _challenged(
        self,
        request: HttpRequest,
        offer: dict[str, Any],
        missing_msat: int,
        asker: Asker | None,
        short: CreditShort | None = None,
    ) -> PlainAnswer:
        """402 with a top-up of what is missing, in whole sats."""
        if self._parts.is_draining():
            message = "This service is restarting; repeat the same request in a moment."
            raise Draining(message, retry_after_s=DRAINING_RETRY_S)
        sat = ceil_div(max(missing_msat, self._parts.top_up.bounds.least_msat), MSAT_PER_SAT)
        topup = await self._parts.top_up.begin(
            sat * MSAT_PER_SAT,
            address_key=self._askers.scope(request, asker),
            caller_id=asker.caller_id if asker else None,
        )
        proof = "the same key" if asker and asker.key else "L402 <macaroon>:<preimage>"
        how = (
            f"Pay the invoice, a top-up of {sat} sat, then repeat the same request with "
            f"Authorization: {proof}."
        )
        why = short.message if short else f"Payment required: {_price(offer)}."
        words = TopupWords(
            message=f"{why} {how}",
            code=short.code if short else "payment_required",
            detail=_DETAIL,
            metadata=offer,
        )
        return self._challenges.for_topup(topup, key=asker.key if asker else None, words=words)


def _price(offer: dict[str, Any]) -> str:
    sat = offer["price_msat"] // MSAT_PER_SAT
    return f"the benchmarks of {offer['edition']} cost {sat} sat, once for all of that UTC day"


def _answer(offer: dict[str, Any], edition: Edition) -> PlainAnswer:
    document = {**offer, "sha256": edition.sha256, "benchmarks": edition.document}
    return json_answer(OK, document, (PRIVATE,))
