"""Digests that tie rows to the entries that made them: what the journal says of a row in one word.

An entry keeps the digest of those values of its row that no other fact of it repeats, so that an
audit can tell an edited row from the one that was written. Digests of sealed bodies are of what is
stored, never of what is in it. Must not know: storage, or who looks.
"""

from __future__ import annotations

import hashlib

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import StoredBodies

# The scheme's number stands before each: another scheme must not be mistaken for a forgery.
SCHEME = "1"
DIGEST_CHARS = 32
ROW = "row_sha256"
# A fact of its own, outside the digest: entries from before revision 0013 lack it.
UPSTREAM = "upstream"
DROPPED = "dropped"
SEALED_KEY, SEALED_REQUEST, SEALED_COMPLETION = (
    "sealed.key",
    "sealed.request",
    "sealed.completion",
)

Facts = dict[str, str | int | None]


def opened_digest(escrow: Escrow) -> str:
    """Of everything that is fixed when an escrow opens."""
    ask, quote, fallback = escrow.ask, escrow.quote, escrow.fallback
    return _digest(
        escrow.escrow_id,
        escrow.caller_id,
        escrow.opened_at_ms,
        escrow.stream,
        ask.request_key,
        ask.address_key,
        ask.address,
        ask.request_sha256,
        ask.nameless,
        ask.idempotency_key,
        quote.model,
        quote.max_tokens,
        quote.ceiling_pusd,
        quote.ceiling_msat,
        quote.credit_reserved_msat,
        quote.newcomer,
        quote.day,
        quote.rate.usd_micro_per_btc,
        quote.rate.source,
        quote.rate.fetched_at_ms,
        quote.terms.credit_fee_bps,
        quote.terms.markup_bps,
        quote.terms.safety_bps,
        quote.prices.prompt_pusd,
        quote.prices.completion_pusd,
        quote.prices.request_pusd,
        quote.prices.cache_write_pusd,
        quote.prices.reasoning_pusd,
        *(() if quote.least_pusd is None else (f"least {quote.least_pusd}",)),
        *((fallback.asked_model, fallback.reason, fallback.continues) if fallback else ()),
        *(() if escrow.key_id is None else (f"key {escrow.key_id}",)),
    )


def topup_digest(topup: Topup) -> str:
    """Of the whole row as the entry leaves it."""
    return _digest(
        topup.topup_id,
        topup.caller_id,
        topup.address_key,
        topup.amount_msat,
        topup.opened_at_ms,
        topup.state.value,
        topup.version,
        topup.attempt,
        topup.payment_hash,
        topup.payment_request,
        topup.expires_at_s,
        topup.paid_msat,
        topup.settle_index,
    )


def api_key_digest(key: ApiKey) -> str:
    """Of the whole row as the entry leaves it."""
    return _digest(
        key.key_id,
        key.caller_id,
        key.made_at_ms,
        key.state.value,
        key.version,
        key.secret_sha256,
        key.hint,
        key.rotations,
        key.name,
        key.limits.limit_msat,
        key.limits.day_limit_msat,
        key.limits.models,
    )


def sealed_facts(bodies: StoredBodies | None) -> Facts:
    """What an entry says of the sealed bodies that it stored."""
    if bodies is None:
        return {}
    facts: Facts = {
        name: sealed_digest(body)
        for name, body in (
            (SEALED_KEY, bodies.wrapped_key),
            (SEALED_REQUEST, bodies.request),
            (SEALED_COMPLETION, bodies.completion),
        )
        if body is not None
    }
    return facts | {SEALED_REQUEST: DROPPED} if bodies.drop_request else facts


def sealed_digest(body: bytes) -> str:
    """Of one sealed body as it is stored."""
    return hashlib.sha256(body).hexdigest()


def _digest(*values: str | int | None) -> str:
    digest = hashlib.sha256(repr(values).encode()).hexdigest()
    return f"{SCHEME}:{digest[:DIGEST_CHARS]}"
