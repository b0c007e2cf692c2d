"""Reads what a 402 offers, and what other answers say. Must not know: budgets or wallets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cobot_pay.challenge_lines import read_challenges
from cobot_pay.errors import ChallengeRefused
from cobot_pay.invoice_terms import InvoiceTerms, plain_invoice, read_invoice

MSAT_PER_SAT = 1_000

MICRO = 1_000_000

_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_SCHEMES = frozenset({"l402", "lsat"})
_TOKEN = re.compile(r"[A-Za-z0-9+/_=.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One payable challenge: the macaroon as it is sent back, the bare invoice and its terms.

    `micro_usd_per_btc` is the exchange rate that the answer names, None where it names none.
    """

    macaroon: str
    payment_request: str
    terms: InvoiceTerms
    micro_usd_per_btc: int | None = None


def read_offer(lines: Iterable[str], body: bytes) -> Offer | None:
    """The first L402 (or LSAT) challenge in the `WWW-Authenticate` lines that can be paid.

    None without any. Raises ChallengeRefused when the invoice of each cannot be read, or is not
    for the price or the payment hash that the body announces.
    """
    announced = read_document(body)
    refused: ChallengeRefused | None = None
    for challenge in read_challenges(lines):
        parameters = challenge.parameters
        macaroon = parameters.get("macaroon") or parameters.get("token") or ""
        invoice = plain_invoice(parameters.get("invoice", ""))
        if challenge.scheme not in _SCHEMES or not invoice or not _TOKEN.fullmatch(macaroon):
            continue
        try:
            terms = read_invoice(invoice)
            _check_announced(terms, announced)
        except ChallengeRefused as fault:
            refused = refused or fault
            continue
        return Offer(
            macaroon=macaroon,
            payment_request=invoice,
            terms=terms,
            micro_usd_per_btc=read_rate(announced),
        )
    if refused is not None:
        raise refused
    return None


def read_document(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body; empty for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def read_rate(
    document: Mapping[str, Any], *, at: tuple[str, ...] = ("escrow", "cost", "rate")
) -> int | None:
    """What a bitcoin is worth in this answer, in millionths of a USD: `btc_usd` of its rate."""
    found: Any = document
    for name in (*at, "btc_usd"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not _DECIMAL.fullmatch(found):
        return None
    whole, _, fraction = found.partition(".")
    return int(whole) * MICRO + int(fraction.ljust(6, "0")[:6]) or None


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
