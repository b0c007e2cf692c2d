"""402 for a key whose caller has too little credit: what is left, what fits, and how to top up.

Agents show `error.message` and nothing else, so all of it stands there, in one line. The challenge
is for programs that pay by themselves; a repeat gets the invoice that still waits, because some
agents repeat a 402. Must not know: prices, or how a top-up is made.
"""

from __future__ import annotations

from cobot_meter.domain.api_key.faults import CreditShort
from cobot_meter.domain.errors import Conflict, DependencyFault, RequestInvalid, TopupsOpen
from cobot_meter.domain.money import MSAT_PER_SAT, ceil_div
from cobot_meter.domain.topup.record import Topup
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.edge import Handler
from cobot_meter.http_api.http.error_table import credit_figures, error_response
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, Response
from cobot_meter.http_api.identity import Asker, Askers
from cobot_meter.http_api.l402.challenges import Challenges, TopupWords
from cobot_meter.http_api.views import TOPUPS_PATH

_DETAIL = "Credit pays for what a key asks, and there is not enough; this is a top-up of it."


class TopsUpCredit:
    """The paid route, with a top-up wherever it finds too little credit."""

    def __init__(
        self, sells: Handler, *, parts: FaceParts, askers: Askers, challenges: Challenges
    ) -> None:
        """`sells` is the paid route, `challenges` writes the 402."""
        self._sells = sells
        self._parts = parts
        self._askers = askers
        self._challenges = challenges

    async def __call__(self, request: HttpRequest) -> Response:
        """What the paid route answers, or 402 for CreditShort. Raises its other faults."""
        try:
            return await self._sells(request)
        except CreditShort as short:
            return await self._answered(short, request)

    async def _answered(self, short: CreditShort, request: HttpRequest) -> PlainAnswer:
        """402 with a top-up of what is missing; without one where none can be made now."""
        asker = await self._askers.asker(request)
        shortfall = short.shortfall
        missing_msat = shortfall.needed_msat - max(shortfall.available_msat, 0)
        bounds = self._parts.top_up.bounds
        topup_sat = rounded_sat(max(missing_msat, bounds.least_msat))
        topup_sat = min(topup_sat, max(bounds.most_msat // MSAT_PER_SAT, 1))
        url = f"{self._parts.public_url}{TOPUPS_PATH}"
        how = f'POST {{"amount_sat": {topup_sat}}} to {url} with this key'
        short.message = f"{short.message} Top up: {how}."
        topup = await self._topup(topup_sat * MSAT_PER_SAT, request, asker)
        if topup is None or not topup.payment_request:
            return error_response(short)
        figures = {**credit_figures(shortfall), "topup_sat": topup_sat, "topup_url": url}
        words = TopupWords(message=short.message, code=short.code, detail=_DETAIL, metadata=figures)
        return self._challenges.for_topup(topup, key=asker.key if asker else None, words=words)

    async def _topup(
        self, amount_msat: int, request: HttpRequest, asker: Asker | None
    ) -> Topup | None:
        """A top-up of this amount; None where none can be made now: the sentence is true still."""
        if asker is None:
            return None
        try:
            return await self._parts.top_up.begin(
                amount_msat,
                address_key=self._askers.scope(request, asker),
                caller_id=asker.caller_id,
            )
        except (DependencyFault, TopupsOpen, RequestInvalid, Conflict):
            return None


def rounded_sat(amount_msat: int) -> int:
    """Whole sat, rounded up to two digits: a rate that moves a little makes no other invoice."""
    sat = ceil_div(amount_msat, MSAT_PER_SAT)
    unit = int(f"1{'0' * max(len(str(sat)) - 2, 0)}")
    return ceil_div(sat, unit) * unit
