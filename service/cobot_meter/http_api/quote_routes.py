"""POST /v1/quotes: what a completion can cost at most, before anybody asks for it.

Nothing is reserved and nothing is stored: the quote is a text that the ask brings back. Must not
know: escrows, callers, or what a run is.
"""

from __future__ import annotations

from typing import Any

import orjson

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import sat_of, usd_text
from cobot_meter.domain.pricing.prices import charged_pusd, unit_price_pusd
from cobot_meter.domain.pricing.quotes import QuotedTerms
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.offer.quote_panel import PanelRequest
from cobot_meter.flows.offer.quote_request import Offer
from cobot_meter.flows.offer.route_request import Unrouted, in_turn
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.chat.request import is_empty, parse_chat_request
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.route_view import decision_document, panel_document
from cobot_meter.http_api.views import rate_document

QUOTES_PATH = "/v1/quotes"
OK = 200
LIVES_MS = 300_000
# What a token of ordinary text takes, for the estimate; nothing is ever charged from it.
BYTES_TIMES_TWO_PER_TOKEN = 7


class QuoteRoutes:
    """The one route."""

    def __init__(self, *, parts: FaceParts) -> None:
        """Quotes are told by its parts alone."""
        self._parts = parts

    async def quote(self, request: HttpRequest) -> PlainAnswer:
        """The ceiling of the body, as POST /v1/chat/completions would have it."""
        content = request.body.take()
        if is_empty(content):
            message = "Send the body that you would send to POST /v1/chat/completions."
            raise RequestInvalid(message)
        chat = parse_chat_request(content, lines=request.lines, look=self._parts.look)
        completion, offer, beside = await self._offered(chat.completion)
        expires_at_ms = self._parts.clock.now_ms() + LIVES_MS
        terms = QuotedTerms(
            models=tuple((model.model_id, model.price) for model in offer.models),
            max_tokens=offer.max_tokens,
            ceiling=offer.ceiling,
            rate=offer.rate,
            terms=offer.terms,
            expires_at_ms=expires_at_ms,
        )
        token = self._parts.quotes.sign(terms, request_sha256=chat.digest)
        document = self._document(completion, offer, token, expires_at_ms)
        return json_answer(OK, {**document, **beside}, (PRIVATE,))

    async def _offered(
        self, request: CompletionRequest
    ) -> tuple[CompletionRequest, Offer, dict[str, Any]]:
        """The request with its models, what it may come to, and which models were chosen for it."""
        route_request = self._parts.route_request
        if request.asks_panel:
            offered = await route_request.quote_panel.offer(PanelRequest(request=request))
            return request, offered.offer, {"panel": panel_document(offered.panel)}
        routed = await route_request.routed(Unrouted(request=request))
        if request.verifies:
            offered = await route_request.quote_panel.offer(in_turn(routed))
            beside = {"panel": panel_document(offered.panel)}
            if routed.decision is not None:
                beside["route"] = decision_document(routed.decision)
            return request, offered.offer, beside
        offer = await self._parts.quote_request.offer(routed.request)
        chosen = routed.decision
        return routed.request, offer, {"route": decision_document(chosen)} if chosen else {}

    def _document(
        self, completion: CompletionRequest, offer: Offer, token: str, expires_at_ms: int
    ) -> dict[str, Any]:
        price_msat, terms = offer.ceiling.price_msat, offer.terms
        usd = usd_text(charged_pusd(price_msat, offer.rate))
        return {
            "object": "quote",
            "quote": token,
            "expires_at_ms": expires_at_ms,
            "max_tokens": offer.max_tokens,
            "ceiling": {
                "msat": price_msat,
                "sat": sat_of(price_msat),
                "usd": orjson.Fragment(usd),
            },
            "estimated_prompt_tokens": 2 * completion.prompt_bytes // BYTES_TIMES_TWO_PER_TOKEN,
            "models": [
                {
                    "model": model.model_id,
                    "prompt": usd_text(unit_price_pusd(model.price.prompt_pusd, terms)),
                    "completion": usd_text(unit_price_pusd(model.price.completion_pusd, terms)),
                }
                for model in offer.models
            ],
            "rate": rate_document(offer.rate),
        }
