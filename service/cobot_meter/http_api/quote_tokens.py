"""Quotes as texts that need no storing: the terms, bound to a request, signed with our key."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

import orjson

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import Ceiling, ModelPrice, PriceTerms
from cobot_meter.domain.pricing.quotes import QuotedTerms

HEADER = "X-Cobot-Quote"
TOKEN_CHARS_MAX = 4_096
# Version 1 lacked the fees, and 2 was for the bytes of a body; what cannot be priced as it was
# quoted, or told to be for this request, is as good as expired.
_VERSION = 3


class QuoteTokens:
    """Signs and reads quotes."""

    def __init__(self, *, secret: bytes) -> None:
        """`secret` is at least 32 bytes; the key is derived from it."""
        self._key = hmac.digest(secret, b"cobot-meter quote", sha256)

    def sign(self, terms: QuotedTerms, *, request_sha256: str) -> str:
        """Terms for this request, as letters, digits, `-`, `_` and one dot."""
        payload = orjson.dumps(
            {
                "v": _VERSION,
                "request": request_sha256,
                "until": terms.expires_at_ms,
                "tokens": terms.max_tokens,
                "ceiling": [terms.ceiling.cost_pusd, terms.ceiling.price_msat],
                "rate": [
                    terms.rate.usd_micro_per_btc,
                    terms.rate.source,
                    terms.rate.fetched_at_ms,
                ],
                "fees": [
                    terms.terms.credit_fee_bps,
                    terms.terms.markup_bps,
                    terms.terms.safety_bps,
                ],
                "models": [[name, *price.units] for name, price in terms.models],
            }
        )
        return f"{_text(payload)}.{_text(self._signature(payload))}"

    def read(self, token: str, *, request_sha256: str, now_ms: int) -> QuotedTerms:
        """The terms. Raises RequestInvalid: not ours, for another request, or expired."""
        payload, signature = _parts(token)
        if not hmac.compare_digest(signature, self._signature(payload)):
            raise _wrong("is not a quote of this service")
        document = orjson.loads(payload)
        if document["until"] <= now_ms or document["v"] != _VERSION:
            raise _wrong("has expired")
        if document["request"] != request_sha256:
            raise _wrong("is for another request: everything that it asks for counts")
        usd_micro_per_btc, source, fetched_at_ms = document["rate"]
        cost_pusd, price_msat = document["ceiling"]
        credit_fee_bps, markup_bps, safety_bps = document["fees"]
        return QuotedTerms(
            models=tuple((row[0], ModelPrice.of_units(row[1:])) for row in document["models"]),
            max_tokens=document["tokens"],
            ceiling=Ceiling(cost_pusd=cost_pusd, price_msat=price_msat),
            rate=ExchangeRate(
                usd_micro_per_btc=usd_micro_per_btc, source=source, fetched_at_ms=fetched_at_ms
            ),
            terms=PriceTerms(
                credit_fee_bps=credit_fee_bps, markup_bps=markup_bps, safety_bps=safety_bps
            ),
            expires_at_ms=document["until"],
        )

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, sha256)


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def _parts(token: str) -> tuple[bytes, bytes]:
    payload, _, signature = token.partition(".")
    if "." not in token or len(token) > TOKEN_CHARS_MAX:
        raise _wrong("is not a quote of this service")
    try:
        return _octets(payload), _octets(signature)
    except ValueError:
        raise _wrong("is not a quote of this service") from None


def _octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _wrong(what: str) -> RequestInvalid:
    message = f"{HEADER} {what}. Get another from POST /v1/quotes, or leave the header out."
    return RequestInvalid(message, param=HEADER)
