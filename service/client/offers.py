"""Reads what a 402 offers, and what other answers say. Must not know: budgets or wallets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.client.errors import ChallengeRefused
from service.client.invoice_terms import InvoiceTerms, read_invoice

LINE_CHARACTERS_MAX = 16_384
MSAT_PER_SAT = 1_000

_PARAMETER = r'([a-z0-9_-]{1,32})\s{0,4}=\s{0,4}"([^"]*)"'
_SCHEME = re.compile(rf"\b(?:l402|lsat)\s+((?:{_PARAMETER}\s{{0,4}},?\s{{0,4}})+)", re.IGNORECASE)
_ONE_PARAMETER = re.compile(_PARAMETER, re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9+/_=-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One payable challenge: the macaroon as it is sent back, the invoice and what it says."""

    macaroon: str
    payment_request: str
    terms: InvoiceTerms


def read_offer(lines: Iterable[str], body: bytes) -> Offer | None:
    """The first L402 (or LSAT) challenge in the `WWW-Authenticate` lines; None without any.

    Raises ChallengeRefused when its invoice cannot be read, or is not for the price or the
    payment hash that the body announces.
    """
    for line in lines:
        for match in _SCHEME.finditer(line[:LINE_CHARACTERS_MAX]):
            found = _ONE_PARAMETER.findall(match[1])
            parameters = {name.lower(): value for name, value in found}
            macaroon = parameters.get("macaroon") or parameters.get("token") or ""
            payment_request = parameters.get("invoice")
            if payment_request and _TOKEN.fullmatch(macaroon):
                terms = read_invoice(payment_request)
                _check_announced(terms, read_document(body))
                return Offer(macaroon=macaroon, payment_request=payment_request, terms=terms)
    return None


def read_document(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body; empty for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def error_code(body: bytes) -> str:
    """The `error.code` of an OpenAI-shaped error, else an empty text."""
    error = read_document(body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _check_announced(terms: InvoiceTerms, document: Mapping[str, Any]) -> None:
    price_sats = document.get("price_sats")
    if type(price_sats) is int and price_sats * MSAT_PER_SAT != terms.amount_msat:
        raise ChallengeRefused(
            f"the invoice asks for {terms.amount_msat} msat, the answer for {price_sats} sats"
        )
    payment_hash = document.get("payment_hash")
    if isinstance(payment_hash, str) and payment_hash.lower() != terms.payment_hash:
        raise ChallengeRefused("the invoice has another payment hash than the answer says")
