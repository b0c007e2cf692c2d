"""An escrow as callers read it: what it costs, part by part, and where it stands.

Amounts in USD are exact decimal texts, amounts in bitcoin integers of msat, and both add up:
upstream + fee = price, and upstream + credit fee + markup = price = credit used + what was due.
Must not know: headers, tokens or who may read it.
"""

from __future__ import annotations

from typing import Any

from service.domain.escrow_record import CostStanding, Escrow
from service.domain.money import ExchangeRate, btc_usd_text, usd_text
from service.domain.pricing import charged_pusd

ESCROWS_PATH = "/v1/escrows"
_SOURCES = {
    CostStanding.PROVISIONAL: "the answer's usage",
    CostStanding.CONFIRMED: "the upstream's record",
}


def escrow_path(escrow_id: str) -> str:
    """Where its state is read."""
    return f"{ESCROWS_PATH}/{escrow_id}"


def completion_path(escrow_id: str) -> str:
    """Where its completion is claimed."""
    return f"{ESCROWS_PATH}/{escrow_id}/completion"


def escrow_document(escrow: Escrow, *, public_url: str) -> dict[str, Any]:
    """The whole escrow. `usage` and `cost` are null while unknown, `expires_at` is Unix seconds."""
    return {
        "id": escrow.escrow_id,
        "mode": "escrow",
        "state": escrow.state.value,
        "request_sha256": escrow.ask.request_sha256,
        "model": escrow.quote.model,
        "max_tokens": escrow.quote.max_tokens,
        "fallback": fallback_document(escrow),
        "continued_as": escrow.continued_as,
        "usage": usage_document(escrow),
        "cost": cost_document(escrow),
        "expires_at": escrow.invoice.expires_at_s if escrow.invoice else None,
        "status_url": f"{public_url}{escrow_path(escrow.escrow_id)}",
    }


def fallback_document(escrow: Escrow) -> dict[str, str | None] | None:
    """Which model was asked for and why it is another one; None where it is the one asked for."""
    fallback = escrow.fallback
    if fallback is None:
        return None
    return {
        "asked_model": fallback.asked_model,
        "reason": fallback.reason,
        "continues": fallback.continues,
    }


def usage_document(escrow: Escrow) -> dict[str, int] | None:
    """Token counts in OpenAI's shape; None before the run has ended."""
    run = escrow.run
    if run is None:
        return None
    return {
        "prompt_tokens": run.prompt_tokens,
        "completion_tokens": run.completion_tokens,
        "total_tokens": run.prompt_tokens + run.completion_tokens,
    }


def cost_document(escrow: Escrow) -> dict[str, Any] | None:
    """The price taken apart; None before it is fixed.

    `standing` says what `upstream_usd` was when the price was fixed or has since become; a record
    that differed afterwards is shown as `confirmed_usd` and changes no price.
    """
    cost = escrow.cost
    if cost is None or escrow.run is None:
        return None
    price, quote = escrow.price, escrow.quote
    price_pusd = charged_pusd(escrow.price_msat, quote.rate)
    amount_msat = escrow.invoice.amount_msat if escrow.invoice else 0
    document: dict[str, Any] = {
        "standing": cost.standing.value,
        "source": _SOURCES[cost.standing],
        "generation_id": escrow.generation_id,
        "served_model": cost.model or None,
        "provider": cost.provider or None,
        "record_sha256": cost.record_sha256 or None,
        "upstream_usd": usd_text(escrow.priced_pusd),
        "fee_usd": usd_text(price_pusd - escrow.priced_pusd),
        "price_usd": usd_text(price_pusd),
        "upstream_msat": price.cost_msat,
        "credit_fee_msat": price.credit_fee_msat,
        "markup_msat": price.markup_msat,
        "price_msat": escrow.price_msat,
        "credit_used_msat": escrow.credit_used_msat,
        "amount_msat": amount_msat,
        "rounding_msat": amount_msat - escrow.due_msat if amount_msat else 0,
        "credit_fee_bps": quote.terms.credit_fee_bps,
        "markup_bps": quote.terms.markup_bps,
        "rate": rate_document(quote.rate),
    }
    if cost.standing is CostStanding.CONFIRMED and cost.cost_pusd != escrow.priced_pusd:
        document["confirmed_usd"] = usd_text(cost.cost_pusd)
    return document


def rate_document(rate: ExchangeRate) -> dict[str, Any]:
    """A rate with who said it, and when."""
    return {
        "btc_usd": btc_usd_text(rate),
        "source": rate.source,
        "fetched_at_ms": rate.fetched_at_ms,
    }
