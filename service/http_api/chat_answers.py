"""What an ask got, as HTTP: a completion, an escrow to follow, or credit to spend.

Must not know: how the ask was answered, or who may read it.
"""

from __future__ import annotations

from typing import Any

from service.domain import outside
from service.domain.callers import CallerStanding
from service.domain.escrow_record import Escrow
from service.domain.money import sat_of
from service.domain.topups import Topup
from service.http_api.completion_view import completion_document
from service.http_api.escrow_documents import completion_path, escrow_document, escrow_path
from service.http_api.event_stream import event_stream
from service.http_api.plain_answers import NO_STORE, Header, PlainAnswer, json_answer

OK = 200
ACCEPTED = 202
PRIVATE: Header = (b"cache-control", b"private, no-store")
_EVENTS: Header = (b"content-type", b"text/event-stream")


def completion_answer(
    escrow: Escrow, body: bytes, *, stream: bool, include_usage: bool = False
) -> PlainAnswer:
    """200 with the completion, as one JSON object or replayed as an event stream."""
    document = completion_document(escrow, body)
    headers = [PRIVATE, _escrow_header(escrow)]
    generation_id = outside.identifier(escrow.generation_id)  # older books may hold anything
    if generation_id:
        headers.append((b"x-generation-id", generation_id.encode("ascii")))
    if not stream:
        return json_answer(OK, document, headers)
    events = event_stream(document, include_usage=include_usage)
    length = (b"content-length", b"%d" % len(events))
    return PlainAnswer(OK, [_EVENTS, length, *headers], events)


def accepted_answer(escrow: Escrow, *, public_url: str) -> PlainAnswer:
    """202 with where to look: the run goes on without the connection."""
    document = status_document(escrow, public_url=public_url)
    headers = (
        NO_STORE,
        (b"location", escrow_path(escrow.escrow_id).encode("ascii")),
        (b"preference-applied", b"respond-async"),
        (b"retry-after", b"1"),
        _escrow_header(escrow),
    )
    return json_answer(ACCEPTED, document, headers)


def status_answer(escrow: Escrow, *, public_url: str) -> PlainAnswer:
    """200 with where the escrow stands."""
    document = status_document(escrow, public_url=public_url)
    return json_answer(OK, document, (NO_STORE, _escrow_header(escrow)))


def status_document(escrow: Escrow, *, public_url: str) -> dict[str, Any]:
    """State, cost and invoice of an escrow, and nothing of what it holds."""
    document = escrow_document(escrow, public_url=public_url)
    document["completion_url"] = f"{public_url}{completion_path(escrow.escrow_id)}"
    document["opened_at_ms"] = escrow.opened_at_ms
    document["changed_at_ms"] = escrow.changed_at_ms
    invoice, failure = escrow.invoice, escrow.failure
    document["invoice"] = invoice and {
        "payment_request": invoice.payment_request,
        "payment_hash": escrow.payment_hash,
        "amount_msat": invoice.amount_msat,
        "price_sats": sat_of(invoice.amount_msat),
        "expires_at": invoice.expires_at_s,
    }
    document["error"] = failure and {"code": failure.code, "message": failure.message}
    return document


def credited_answer(topup: Topup, standing: CallerStanding) -> PlainAnswer:
    """200 for an empty ask with a paid top-up: what is there, and what to do with it."""
    document = {
        "object": "topup",
        "id": topup.topup_id,
        "state": topup.state.value,
        "credited_msat": topup.paid_msat,
        "available_msat": standing.available_msat,
        "message": (
            "The top-up is credited. Send a chat completion (model and messages) with this same "
            "Authorization header: credit is used first, and an invoice asks for the rest."
        ),
    }
    return json_answer(OK, document, (PRIVATE,))


def _escrow_header(escrow: Escrow) -> Header:
    return (b"x-escrow-id", escrow.escrow_id.encode("ascii"))
