"""What a request got, as HTTP: a completion whole or as events, an escrow to follow, or credit.

Events are those that OpenAI's SDKs read: `data: {json}` and a blank line each; the last is `data:
[DONE]`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.money import sat_of
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.answer.deliveries import Delivery
from cobot_meter.http_api.chat.budget_notices import budget_headers
from cobot_meter.http_api.chat.receipts import Receipt
from cobot_meter.http_api.http.exchange import (
    NO_STORE,
    Header,
    PlainAnswer,
    Response,
    Stream,
    json_answer,
)
from cobot_meter.http_api.views import (
    attempts_document,
    completion_document,
    completion_path,
    escrow_document,
    escrow_path,
)

CHUNK_CHARS = 512
# A replay of up to this is one write, and needs nobody who watches the socket; of a longer one no
# more than this waits for it at a time.
WRITE_BYTES = 16_384
_NOT_OF_A_CHUNK = frozenset({"choices", "usage", "cobot"})
_SPLIT = ("reasoning", "reasoning_content", "content")
_CALLS = "tool_calls"
_DONE = b"data: [DONE]\n\n"


def event_stream(document: Mapping[str, Any], *, include_usage: bool) -> list[bytes]:
    """The events of `document`, a `chat.completion` that ends with `usage` and `cobot`.

    With `include_usage` those two have a chunk of their own without choices, as OpenAI writes it;
    otherwise they stand in the last chunk, as OpenRouter writes it: a reader that did not ask for
    them may expect a choice in every chunk.
    """
    # No nulls: OpenRouter's TypeScript SDK refuses a chunk whose `system_fingerprint` is one.
    head = {
        name: value
        for name, value in document.items()
        if name not in _NOT_OF_A_CHUNK and value is not None
    }
    head["object"] = "chat.completion.chunk"
    choice = _choice(document)
    said = choice.get("message")
    message = said if isinstance(said, dict) else {}
    events = [
        event({**head, "choices": [_delta(delta)]}) for delta in _deltas(message, CHUNK_CHARS)
    ]
    return [*events, *last_events(head, document, include_usage=include_usage)]


def last_events(
    head: Mapping[str, Any], document: Mapping[str, Any], *, include_usage: bool
) -> list[bytes]:
    """How the events of `document` end: why it did, what was used, and `[DONE]`."""
    tail = {name: document[name] for name in ("usage", "cobot") if document.get(name) is not None}
    choice = _choice(document)
    finish: dict[str, Any] = {
        "index": 0,
        "delta": {},
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason"),
    }
    if choice.get("native_finish_reason") is not None:
        finish["native_finish_reason"] = choice["native_finish_reason"]
    last = {**head, "choices": [finish]}
    if include_usage:
        return [event(last), event({**head, "choices": [], **tail}), _DONE]
    return [event({**last, **tail}), _DONE]


def _choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _deltas(message: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    """The role, then long texts piece by piece, then whatever else was said, at once."""
    yield {"role": "assistant", "content": ""}
    for name in _SPLIT:
        text = message.get(name)
        if isinstance(text, str):
            for at in range(0, len(text), size):
                yield {name: text[at : at + size]}
    rest = {
        name: value
        for name, value in message.items()
        if value is not None and name != "role" and not (name in _SPLIT and isinstance(value, str))
    }
    calls = rest.get(_CALLS)
    if isinstance(calls, list):
        rest[_CALLS] = [_placed(at, call) for at, call in enumerate(calls)]
    if rest:
        yield rest


def _placed(at: int, call: object) -> object:
    """A call of a stream says its place, which one of a whole answer need not."""
    return {"index": at, **call} if isinstance(call, dict) else call


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def event(chunk: Mapping[str, Any]) -> bytes:
    """A chunk as one event of a `text/event-stream`."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


OK = 200
ACCEPTED = 202
PRIVATE: Header = (b"cache-control", b"private, no-store")
EVENTS: Header = (b"content-type", b"text/event-stream")


def completion_answer(
    receipt: Receipt,
    body: bytes,
    *,
    stream: bool,
    include_usage: bool = False,
    delivery: Delivery | None = None,
) -> Response:
    """200 with the completion, as one JSON object or replayed as an event stream."""
    return written(
        receipt.escrow,
        completion_document(receipt.escrow, body, receipt.beside),
        stream=stream,
        include_usage=include_usage,
        delivery=delivery,
        headers=budget_headers(receipt.budgets),
    )


def written(
    escrow: Escrow,
    document: dict[str, Any],
    *,
    stream: bool,
    include_usage: bool = False,
    delivery: Delivery | None = None,
    headers: Sequence[Header] = (),
) -> Response:
    """200 with what a run of this escrow made, whole or as events."""
    sent = None if delivery is None else delivery.reached_end
    headers = [PRIVATE, escrow_header(escrow), *headers]
    generation_id = outside.identifier(escrow.run.generation_id)  # older books may hold anything
    if generation_id:
        headers.append((b"x-generation-id", generation_id.encode("ascii")))
    if not stream:
        return json_answer(OK, document, headers)._replace(sent=sent)
    events = event_stream(document, include_usage=include_usage)
    size = sum(map(len, events))
    head = [EVENTS, (b"content-length", b"%d" % size), *headers]
    if size <= WRITE_BYTES:
        return PlainAnswer(OK, head, b"".join(events), sent)
    return Stream(OK, head, _in_writes(deque(events), delivery))


async def _in_writes(
    events: deque[bytes], delivery: Delivery | None
) -> AsyncGenerator[bytes, None]:
    """As many at once as one write should have; what has been sent is let go of."""
    with delivered(delivery):
        pending: list[bytes] = []
        size = 0
        while events:
            pending.append(events.popleft())
            size += len(pending[-1])
            if size >= WRITE_BYTES or not events:
                yield b"".join(pending)
                pending, size = [], 0


@contextlib.contextmanager
def delivered(delivery: Delivery | None) -> Iterator[None]:
    """Tells how the handing over ended: what breaks off leaves by an exception."""
    whole = False
    try:
        yield
        whole = True
    finally:
        if delivery is not None:
            (delivery.reached_end if whole else delivery.broke_off)()


def accepted_answer(escrow: Escrow, *, public_url: str) -> PlainAnswer:
    """202 with where to look: the run goes on without the connection."""
    document = status_document(escrow, public_url=public_url)
    headers = (
        NO_STORE,
        (b"location", escrow_path(escrow.escrow_id).encode("ascii")),
        (b"preference-applied", b"respond-async"),
        (b"retry-after", b"1"),
        escrow_header(escrow),
    )
    return json_answer(ACCEPTED, document, headers)


def status_answer(escrow: Escrow, *, public_url: str) -> PlainAnswer:
    """200 with where the escrow stands."""
    document = status_document(escrow, public_url=public_url)
    return json_answer(OK, document, (NO_STORE, escrow_header(escrow)))


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
    if len(escrow.runs) == escrow.runs_made and escrow.task is None:
        document["attempts"] = attempts_document(escrow)
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


def escrow_header(escrow: Escrow) -> Header:
    """`X-Escrow-Id`: which escrow the answer is of."""
    return (b"x-escrow-id", escrow.escrow_id.encode("ascii"))
