"""An escrow as a flat row, and back: every field has a column of its own.

The fixed columns are written once, of the others those that an event changes: every index that
names a written column is written too, and there are many.
`occupies_ask` and `due_at_ms` are what the domain says of the row, stored so that indexes can stand
on them. Must not know: SQL, connections, or what an event changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from cobot_meter.domain.escrow.record import (
    AskKey,
    Cost,
    CostStanding,
    Escrow,
    Failure,
    Fallback,
    IssuedInvoice,
    Quote,
    Run,
    due_at_ms,
)
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms
from cobot_meter.domain.retention import Retention

Row = Sequence[Any]

# Column and where its value lies in an Escrow, in the order of the rows.
_OPENING = {"escrow_id": "escrow_id", "caller_id": "caller_id", "opened_at_ms": "opened_at_ms"}
_ASK = {
    "request_key": "ask.request_key",
    "address_key": "ask.address_key",
    "address": "ask.address",
    "request_sha256": "ask.request_sha256",
    "idempotency_key": "ask.idempotency_key",
    "nameless": "ask.nameless",
}
_QUOTE = {
    "model": "quote.model",
    "max_tokens": "quote.max_tokens",
    "ceiling_pusd": "quote.ceiling_pusd",
    "ceiling_msat": "quote.ceiling_msat",
    "credit_reserved_msat": "quote.credit_reserved_msat",
    "day": "quote.day",
    "newcomer": "quote.newcomer",
}
_RATE = {
    "rate_usd_micro_per_btc": "quote.rate.usd_micro_per_btc",
    "rate_source": "quote.rate.source",
    "rate_at_ms": "quote.rate.fetched_at_ms",
}
_TERMS = {
    "credit_fee_bps": "quote.terms.credit_fee_bps",
    "markup_bps": "quote.terms.markup_bps",
    "safety_bps": "quote.terms.safety_bps",
}
_PRICES = {
    "prompt_pusd": "quote.prices.prompt_pusd",
    "completion_pusd": "quote.prices.completion_pusd",
    "request_pusd": "quote.prices.request_pusd",
    "cache_write_pusd": "quote.prices.cache_write_pusd",
    "reasoning_pusd": "quote.prices.reasoning_pusd",
}
_FIXED = _OPENING | _ASK | _QUOTE | _RATE | _TERMS | _PRICES | {"stream": "stream"}
_STATE = {
    "state": "state.value",
    "changed_at_ms": "changed_at_ms",
    "version": "version",
    "lookups": "lookups",
    "lookup_at_ms": "lookup_at_ms",
    "priced_pusd": "priced_pusd",
    "price_msat": "price_msat",
    "credit_used_msat": "credit_used_msat",
    "budget_hold": "budget_hold",
    "budget_held_pusd": "budget_held_pusd",
    "attempt": "attempt",
    "paid_msat": "paid_msat",
    "settle_index": "settle_index",
    "settled_at_ms": "settled_at_ms",
    "keep_until_ms": "keep_until_ms",
}
_RUN = {
    "completed_at_ms": "completed_at_ms",
    "inline_cost": "inline_cost",
    "finish_reason": "finish_reason",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
}
_COST = {
    "cost_pusd": "cost_pusd",
    "cost_text": "text",
    "cost_standing": "standing.value",
    "cost_provider": "provider",
    "cost_model": "model",
    "cost_sha256": "record_sha256",
}
_INVOICE = {
    "payment_request": "payment_request",
    "invoice_msat": "amount_msat",
    "expires_at_s": "expires_at_s",
}
_FAILURE = {"failure_code": "code", "failure_message": "message", "failure_status": "status"}

_FALLBACK = {"asked_model": "asked_model", "fallback_reason": "reason", "continues": "continues"}
_WHO = ("requested_by", "continued_as", "quarantine")

FIXED_COLUMNS = (*_FIXED, *_FALLBACK, "least_pusd")
_MOVING = (*_STATE, *_RUN, *_COST, *_INVOICE, *_FAILURE)
MOVING_COLUMNS = (*_MOVING, *_WHO, "occupies_ask", "due_at_ms")
NAME_COLUMNS = ("generation_id", "payment_hash")
ESCROW_COLUMNS = (*_FIXED, *_MOVING, *NAME_COLUMNS, *_WHO, *_FALLBACK, "least_pusd")

_fixed = attrgetter(*_FIXED.values())
_fallback = attrgetter(*_FALLBACK.values())
_state = attrgetter(*_STATE.values())
named_values = attrgetter(*NAME_COLUMNS)
_OF_PART = {"run": _RUN, "cost": _COST, "invoice": _INVOICE, "failure": _FAILURE}
_VALUES_OF = {
    part: (attrgetter(*columns.values()), (None,) * len(columns))
    for part, columns in _OF_PART.items()
}

_OF_FIELD: dict[str, tuple[str, ...]] = {
    **{path.partition(".")[0]: (column,) for column, path in _STATE.items()},
    **{name: tuple(columns) for name, columns in _OF_PART.items()},
    **{name: (name,) for name in (*NAME_COLUMNS, *_WHO)},
}
MOVING_FIELDS = tuple(_OF_FIELD)
# What the domain says of a row, and every field that it looks at for that.
SAID_OF = {
    "occupies_ask": frozenset(
        {"state", "invoice", "settled_at_ms", "price_msat", "credit_used_msat"}
    ),
    "due_at_ms": frozenset(
        {"state", "quarantine", "lookup_at_ms", "invoice", "budget_held_pusd", "keep_until_ms"}
    ),
}


def columns_of(changed: Sequence[str]) -> tuple[str, ...]:
    """The columns that these fields of an escrow lie in, and what is said by them."""
    columns = [column for name in changed for column in _OF_FIELD[name]]
    said = (column for column, fields in SAID_OF.items() if not fields.isdisjoint(changed))
    return (*columns, *said)


def fixed_values(escrow: Escrow) -> Row:
    """The values of FIXED_COLUMNS."""
    fallback = escrow.fallback
    least_pusd = escrow.quote.least_pusd
    return (*_fixed(escrow), *(_fallback(fallback) if fallback else (None,) * 3), least_pusd)


def moving_values(escrow: Escrow, retention: Retention) -> Row:
    """The values of MOVING_COLUMNS."""
    values = list(_state(escrow))
    for name, (fields, absent) in _VALUES_OF.items():
        part = getattr(escrow, name)
        values += absent if part is None else fields(part)
    values += (escrow.requested_by, escrow.continued_as, escrow.quarantine)
    values += (int(escrow.occupies_ask), due_at_ms(escrow, retention))
    return values


def changed_values(escrow: Escrow, changed: Sequence[str], retention: Retention) -> Row:
    """The values of `columns_of(changed)`."""
    values: list[Any] = []
    for name in changed:
        value = getattr(escrow, name)
        part = _VALUES_OF.get(name)
        if part is not None:
            fields, absent = part
            values += absent if value is None else fields(value)
        else:
            values.append(value.value if name == "state" else value)
    if not SAID_OF["occupies_ask"].isdisjoint(changed):
        values.append(int(escrow.occupies_ask))
    if not SAID_OF["due_at_ms"].isdisjoint(changed):
        values.append(due_at_ms(escrow, retention))
    return values


def escrow_from_row(row: Row) -> Escrow:
    """The escrow whose ESCROW_COLUMNS `row` holds."""
    escrow_id, caller_id, opened_at_ms = row[0:3]
    stream, state, changed_at_ms, version, lookups, lookup_at_ms = row[27:33]
    priced_pusd, price_msat, credit_used_msat, budget_hold, budget_held_pusd = row[33:38]
    attempt, paid_msat, settle_index, settled_at_ms, keep_until_ms = row[38:43]
    generation_id, payment_hash, requested_by, continued_as, quarantine = row[60:65]
    return Escrow(
        escrow_id=escrow_id,
        caller_id=caller_id,
        ask=_ask(row[3:9]),
        quote=_quote((*row[9:27], row[68])),
        stream=bool(stream),
        opened_at_ms=opened_at_ms,
        changed_at_ms=changed_at_ms,
        state=EscrowState(state),
        version=version,
        generation_id=generation_id,
        run=_run(row[43:48]),
        cost=_cost(row[48:54]),
        lookups=lookups,
        lookup_at_ms=lookup_at_ms,
        priced_pusd=priced_pusd,
        price_msat=price_msat,
        credit_used_msat=credit_used_msat,
        budget_hold=budget_hold,
        budget_held_pusd=budget_held_pusd,
        attempt=attempt,
        payment_hash=payment_hash,
        invoice=_invoice(row[54:57]),
        paid_msat=paid_msat,
        settle_index=settle_index,
        settled_at_ms=settled_at_ms,
        failure=_failure(row[57:60]),
        keep_until_ms=keep_until_ms,
        requested_by=requested_by,
        fallback=_fallback_of(row[65:68]),
        continued_as=continued_as,
        quarantine=quarantine,
    )


def _ask(row: Row) -> AskKey:
    request_key, address_key, address, request_sha256, idempotency_key, nameless = row
    return AskKey(
        request_key=request_key,
        address_key=address_key,
        address=address,
        request_sha256=request_sha256,
        nameless=bool(nameless),
        idempotency_key=idempotency_key,
    )


def _quote(row: Row) -> Quote:
    model, max_tokens, ceiling_pusd, ceiling_msat, credit_reserved_msat, day, newcomer = row[0:7]
    usd_micro_per_btc, source, fetched_at_ms = row[7:10]
    credit_fee_bps, markup_bps, safety_bps = row[10:13]
    prompt_pusd, completion_pusd, request_pusd, cache_write_pusd, reasoning_pusd = row[13:18]
    least_pusd = row[18]
    return Quote(
        model=model,
        max_tokens=max_tokens,
        ceiling_pusd=ceiling_pusd,
        ceiling_msat=ceiling_msat,
        credit_reserved_msat=credit_reserved_msat,
        newcomer=bool(newcomer),
        day=day,
        rate=ExchangeRate(
            usd_micro_per_btc=usd_micro_per_btc, source=source, fetched_at_ms=fetched_at_ms
        ),
        terms=PriceTerms(
            credit_fee_bps=credit_fee_bps, markup_bps=markup_bps, safety_bps=safety_bps
        ),
        prices=ModelPrice(
            prompt_pusd=prompt_pusd,
            completion_pusd=completion_pusd,
            request_pusd=request_pusd,
            cache_write_pusd=cache_write_pusd,
            reasoning_pusd=reasoning_pusd,
        ),
        least_pusd=least_pusd,
    )


def _run(row: Row) -> Run | None:
    completed_at_ms, inline_cost, finish_reason, prompt_tokens, completion_tokens = row
    if completed_at_ms is None:
        return None
    return Run(
        completed_at_ms=completed_at_ms,
        inline_cost=inline_cost,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def _cost(row: Row) -> Cost | None:
    cost_pusd, text, standing, provider, model, record_sha256 = row
    if cost_pusd is None:
        return None
    return Cost(
        cost_pusd=cost_pusd,
        text=text,
        standing=CostStanding(standing),
        provider=provider or "",
        model=model or "",
        record_sha256=record_sha256 or "",
    )


def _fallback_of(row: Row) -> Fallback | None:
    asked_model, reason, continues = row
    if asked_model is None:
        return None
    return Fallback(asked_model=asked_model, reason=reason, continues=continues)


def _invoice(row: Row) -> IssuedInvoice | None:
    payment_request, amount_msat, expires_at_s = row
    if payment_request is None:
        return None
    return IssuedInvoice(
        payment_request=payment_request, amount_msat=amount_msat, expires_at_s=expires_at_s
    )


def _failure(row: Row) -> Failure | None:
    code, message, status = row
    return None if code is None else Failure(code=code, message=message, status=status)
