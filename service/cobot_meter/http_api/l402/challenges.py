"""The 402: one invoice and one macaroon, in the header lines and body that callers' libraries read.

The first `WWW-Authenticate` is L402 in exactly the order that the known libraries look for; further
schemes may only follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.errors import Broken
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.money import sat_of
from cobot_meter.domain.topup.record import Topup
from cobot_meter.http_api.http.exchange import NO_RETRY, NO_STORE, Header, PlainAnswer, json_answer
from cobot_meter.http_api.l402.tokens import TokenKind, Tokens, of_key
from cobot_meter.http_api.views import (
    NOTHING_BESIDE,
    cobot_document,
    completion_path,
    escrow_document,
    escrow_path,
    topup_document,
)

PAYMENT_REQUIRED = 402
CONFLICT = 409

# From the invoice's end. An expired token spends nothing, and the credit of its caller has no other
# way back: it lives for ten years, long after what it bought was erased.
TOKEN_LIFETIME_S = 10 * 365 * 24 * 3_600

_PROBLEM = "https://paymentauth.org/problems/payment-required"
_METHODS = (
    {
        "scheme": "L402",
        "challenge_header": "WWW-Authenticate",
        "credential": "Authorization: L402 <macaroon>:<preimage_hex>",
    },
)
_ANY_REQUEST_SHA256 = sha256().hexdigest()  # a top-up buys no request in particular


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupWords:
    """What a 402 with a top-up says of it, and of why it is offered."""

    message: str
    code: str = "payment_required"
    detail: str = "An empty request runs nothing; this is a top-up."
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Challenges:
    """Answers 402 and 409. The same escrow and caller get the same bytes every time."""

    def __init__(self, *, tokens: Tokens, public_url: str) -> None:
        """`public_url` is our own address as callers reach it, without a final slash."""
        self._tokens = tokens
        self._public_url = public_url

    def for_escrow(
        self, escrow: Escrow, *, caller_id: str, beside: Mapping[str, Any] = NOTHING_BESIDE
    ) -> PlainAnswer:
        """402 for an invoiced escrow; the token names `caller_id`, and `beside` stands in `cobot`.

        What is paid beyond the price is credit of the escrow's own caller, whoever pays it: to
        nobody else is it promised. Raises Broken without an invoice.
        """
        invoice = _invoice_of(escrow)
        price_sats = sat_of(invoice.amount_msat)
        macaroon = self._escrow_token(escrow, caller_id)
        credit_msat = invoice.amount_msat - escrow.due_msat if caller_id == escrow.caller_id else 0
        message = (
            f"Payment required: {_sats(price_sats)} for this completion. Pay the invoice, then "
            "repeat the same request with Authorization: L402 <macaroon>:<preimage>. "
            f"{_what_is_left(credit_msat)}"
        )
        metadata = {
            "escrow_id": escrow.escrow_id,
            "price_sats": price_sats,
            "credit_msat": credit_msat,
            "invoice": invoice.payment_request,
            "expires_at": invoice.expires_at_s,
        }
        document = {
            **_problem(message, metadata, "Completion is ready and held in escrow."),
            **_flat(invoice.payment_request, macaroon, price_sats, escrow.payment_hash),
            "escrow": escrow_document(escrow, public_url=self._public_url),
            "cobot": cobot_document(escrow, beside),
            "payment_methods": _METHODS,
        }
        headers = (
            *_challenge_headers(macaroon, invoice.payment_request),
            (b"location", escrow_path(escrow.escrow_id).encode("ascii")),
            (b"x-escrow-id", escrow.escrow_id.encode("ascii")),
        )
        return json_answer(PAYMENT_REQUIRED, document, headers)

    def token_of(self, escrow: Escrow, *, caller_id: str) -> str:
        """The macaroon of an invoiced escrow, for whoever passes it on. Raises Broken."""
        return self._escrow_token(escrow, caller_id)

    def lines_of(self, escrow: Escrow, *, caller_id: str) -> tuple[Header, ...]:
        """The challenge of an invoiced escrow, for an answer that is no 402. Raises Broken."""
        macaroon, invoice = self._escrow_token(escrow, caller_id), _invoice_of(escrow)
        lines = _challenge_lines(macaroon, invoice.payment_request)
        return tuple((b"www-authenticate", line) for line in lines)

    def for_topup(
        self, topup: Topup, *, key: ApiKey | None = None, words: TopupWords | None = None
    ) -> PlainAnswer:
        """402 for an invoiced top-up: its payment becomes its caller's credit.

        The token names that caller; where a `key` asked it is that key and no more, for whoever
        pays learns the preimage. Raises Broken without an invoice.
        """
        if not topup.payment_request:
            raise Broken(f"the top-up {topup.topup_id} has no invoice to be challenged with")
        price_sats = sat_of(topup.amount_msat)
        macaroon = self._topup_token(topup, key)
        words = words or TopupWords(message=_paid_by_probe(price_sats))
        metadata = {
            **words.metadata,
            "topup_id": topup.topup_id,
            "price_sats": price_sats,
            "invoice": topup.payment_request,
            "expires_at": topup.expires_at_s,
        }
        problem = _problem(words.message, metadata, words.detail)
        document = {
            **problem,
            "error": {**problem["error"], "code": words.code},
            **_flat(topup.payment_request, macaroon, price_sats, topup.payment_hash),
            "topup": topup_document(topup, public_url=self._public_url),
            "payment_methods": _METHODS,
        }
        headers = _challenge_headers(macaroon, topup.payment_request)
        return json_answer(PAYMENT_REQUIRED, document, headers)

    def already_paid(self, escrow: Escrow, *, message: str, caller_id: str) -> PlainAnswer:
        """409 without any challenge, so that no library pays twice; the macaroon comes again."""
        macaroon = self._escrow_token(escrow, caller_id)
        claim_url = f"{self._public_url}{completion_path(escrow.escrow_id)}"
        metadata = {"escrow_id": escrow.escrow_id, "claim_url": claim_url}
        document = {
            "error": _error(message, "already_paid", metadata),
            "status": CONFLICT,
            "macaroon": macaroon,
            "payment_hash": escrow.payment_hash,
            "claim_url": claim_url,
            "escrow": escrow_document(escrow, public_url=self._public_url),
        }
        escrow_id = (b"x-escrow-id", escrow.escrow_id.encode("ascii"))
        return json_answer(CONFLICT, document, (NO_STORE, NO_RETRY, escrow_id))

    def _escrow_token(self, escrow: Escrow, caller_id: str) -> str:
        return self._tokens.mint(
            caller_id=caller_id,
            payment_hash=escrow.payment_hash or "",
            subject_id=escrow.escrow_id,
            request_sha256=escrow.ask.request_sha256,
            valid_until_s=_invoice_of(escrow).expires_at_s + TOKEN_LIFETIME_S,
            kind=TokenKind.ESCROW,
        )

    def _topup_token(self, topup: Topup, key: ApiKey | None) -> str:
        macaroon = self._tokens.mint(
            caller_id=topup.caller_id,
            payment_hash=topup.payment_hash,
            subject_id=topup.topup_id,
            request_sha256=_ANY_REQUEST_SHA256,
            valid_until_s=topup.expires_at_s + TOKEN_LIFETIME_S,
            kind=TokenKind.TOPUP,
        )
        return macaroon if key is None else of_key(macaroon, key.key_id)


def _invoice_of(escrow: Escrow) -> IssuedInvoice:
    if escrow.invoice is None or escrow.payment_hash is None:
        raise Broken(f"the escrow {escrow.escrow_id} has no invoice to be challenged with")
    return escrow.invoice


def _challenge_headers(macaroon: str, payment_request: str) -> tuple[Header, ...]:
    return (
        NO_STORE,
        *((b"www-authenticate", line) for line in _challenge_lines(macaroon, payment_request)),
        NO_RETRY,
    )


def _challenge_lines(macaroon: str, payment_request: str) -> tuple[bytes, ...]:
    """L402 first: libraries that know a later scheme only look further down."""
    l402 = (
        f'L402 macaroon="{macaroon}", invoice="{payment_request}", version="0", token="{macaroon}"'
    )
    return (l402.encode("ascii"),)


def _problem(message: str, metadata: dict[str, Any], detail: str) -> dict[str, Any]:
    """OpenAI's error object, and beside it the members of RFC 9457."""
    return {
        "error": _error(message, "payment_required", metadata),
        "type": _PROBLEM,
        "title": "Payment Required",
        "status": PAYMENT_REQUIRED,
        "detail": detail,
    }


def _error(message: str, code: str, metadata: dict[str, Any]) -> dict[str, Any]:
    kind = "payment_required" if code == "payment_required" else "invalid_request_error"
    return {"message": message, "type": kind, "param": None, "code": code, "metadata": metadata}


def _flat(
    payment_request: str, macaroon: str, price_sats: int, payment_hash: str | None
) -> dict[str, Any]:
    """What libraries without a header parser read."""
    return {
        "invoice": payment_request,
        "macaroon": macaroon,
        "price_sats": price_sats,
        "payment_hash": payment_hash,
    }


def _what_is_left(credit_msat: int) -> str:
    """What to do with the token afterwards: clients that drop it lose their credit with it."""
    keep = "Keep that Authorization and send it with every later request, whatever you ask:"
    if not credit_msat:
        return f"{keep} it says who you are."
    return (
        f"{keep} {credit_msat} msat of the invoice are more than the price and stay its credit, "
        "which is spent before anything is invoiced."
    )


def _paid_by_probe(price_sats: int) -> str:
    return (
        f"Payment required: {_sats(price_sats)}, kept as your credit and used first. Pay the "
        "invoice, then send a chat completion with Authorization: L402 <macaroon>:<preimage>."
    )


def _sats(count: int) -> str:
    return "1 sat" if count == 1 else f"{count} sats"
