"""An answer on its way, as the events that OpenAI's SDKs read: each as soon as it was said.

Why it ended is said last, with what it cost. Where it breaks off, the last event is OpenRouter's
for that, an `error` beside the finish reason of that name, and there is no `[DONE]`: agents take a
clean end without a reason for a short answer, or ask again for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import orjson

from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.upstream.deltas import Delta, Deltas
from cobot_meter.flows.answer.deliveries import Delivery
from cobot_meter.flows.sale.live_answer import LiveAnswer
from cobot_meter.http_api.chat.answers import (
    EVENTS,
    OK,
    PRIVATE,
    delivered,
    escrow_header,
    event,
    last_events,
)
from cobot_meter.http_api.chat.budget_notices import Standing, budget_headers
from cobot_meter.http_api.chat.receipts import Receipt
from cobot_meter.http_api.http.error_table import error_document
from cobot_meter.http_api.http.exchange import Header, Stream
from cobot_meter.http_api.views import cobot_document, completion_document

_OPENS = b"data: {"
_CHOICE = b',"choices":[{"index":0,"delta":'
_LOGPROBS = b',"logprobs":'
_CLOSES = b',"finish_reason":null}]}\n\n'
_NULL = b"null"


# The receipt of a sale once its answer has ended.
ReceiptOf = Callable[[Escrow], Awaitable[Receipt]]


def live_events(
    escrow: Escrow,
    live: LiveAnswer,
    *,
    include_usage: bool,
    delivery: Delivery | None = None,
    standing: Standing,
    receipt_of: ReceiptOf,
) -> Stream:
    """200 with the answer as it comes; `escrow` is the sale as it opened.

    `delivery` is told whether its end was reached; the receipt stands in the last event.
    `standing` is how budgets stood at the beginning, which is what the header can say.
    """
    headers: list[Header] = [EVENTS, PRIVATE, escrow_header(escrow), *budget_headers(standing)]
    return Stream(OK, headers, _events(live, delivery, receipt_of, include_usage=include_usage))


async def _events(
    live: LiveAnswer, delivery: Delivery | None, receipt_of: ReceiptOf, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """Every chunk, and what was said last; a fault is told, and is no end that was reached."""
    writer = _ChunkWriter()
    try:
        with delivered(delivery):
            async with contextlib.aclosing(live.deltas()) as coming:
                async for deltas in coming:
                    written = writer.chunks(deltas)
                    if written:
                        yield written
            escrow, body = await live.sold()
            receipt = await receipt_of(escrow)
            document = (
                _unpriced(receipt)
                if body is None
                else completion_document(receipt.escrow, body, receipt.beside)
            )
            last = last_events(writer.head, document, include_usage=include_usage)
            yield b"".join((writer.rest(), *last))
    except CobotMeterError as fault:
        yield writer.broken_off(fault)


def _unpriced(receipt: Receipt) -> dict[str, Any]:
    """How an answer ends whose price is not known yet: why it did, and where that will stand."""
    escrow = receipt.escrow
    summary = escrow.run.summary
    choice = {"index": 0, "finish_reason": summary.finish_reason if summary else None}
    cobot = {**cobot_document(escrow, receipt.beside), "state": escrow.progress.value}
    return {"choices": [choice], "cobot": cobot}


class _ChunkWriter:
    """Writes what every chunk repeats once: an event is little more than its delta."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self._opens = b""

    def chunks(self, deltas: Deltas) -> bytes:
        """The events of what came at once, the role first; why it ends is said by `last_events`."""
        opening = b""
        if not self._opens:
            self._begin(deltas)
            opening = self._chunk(b'{"role":"assistant","content":""}')
        said = (self._chunk(orjson.dumps(dict(one.said)), one) for one in deltas.deltas if one.said)
        return b"".join((opening, *said))

    def rest(self) -> bytes:
        """The opening of an answer that said nothing; empty where something was said."""
        return b"" if self._opens else self.chunks(Deltas())

    def broken_off(self, fault: CobotMeterError) -> bytes:
        """The last event of an answer that a failure breaks off: OpenRouter's `error`."""
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return event({**self.head, "error": error_document(fault), "choices": [choice]})

    def _begin(self, deltas: Deltas) -> None:
        # No nulls: OpenRouter's TypeScript SDK refuses a chunk whose `system_fingerprint` is one.
        said = {name: value for name, value in deltas.head.items() if value is not None}
        self.head = {**said, "object": "chat.completion.chunk"}
        self._opens = _OPENS + orjson.dumps(self.head)[1:-1] + _CHOICE

    def _chunk(self, said: bytes, delta: Delta | None = None) -> bytes:
        logprobs = delta.logprobs if delta is not None else None
        told = _NULL if logprobs is None else orjson.dumps(dict(logprobs))
        return b"".join((self._opens, said, _LOGPROBS, told, _CLOSES))
