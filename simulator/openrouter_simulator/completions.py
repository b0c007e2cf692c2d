"""POST /api/v1/chat/completions: admit the order, run it, charge it, and answer or fail as asked.

Errors before the run cost nothing, as on OpenRouter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openrouter_simulator.account import Account
from openrouter_simulator.admission import Admitted, Posted, admitted
from openrouter_simulator.answers.event_stream import EVENTS, steps_of
from openrouter_simulator.answers.runs import Run
from openrouter_simulator.answers.steps import Head, Reset, Say, Settle, Step, Wait
from openrouter_simulator.error_answers import STATUS_FAULTS, OrderRefused
from openrouter_simulator.http_io import (
    BodyTooLarge,
    Headers,
    ReaderLeft,
    Receive,
    Send,
    drop_connection,
    read_body,
    reader_left,
    send_head,
    send_piece,
)

_EXPOSED = b"X-Generation-Id,X-Provider-Name,cf-ray"
_PENDING_BYTES_MAX = 65_536
# Ran and charged, and then an error status: the status it shows, and whether it names its id.
_CHARGED_ERRORS = {
    "charged_502": ("status_502", False),
    "charged_502_named": ("status_502", True),
    "charged_524_named": ("status_524", True),
}


async def chat_completions(
    account: Account, headers: Mapping[bytes, bytes], receive: Receive, send: Send
) -> None:
    """Serve one POST. Raises OrderRefused, and BodyTooLarge and ReaderLeft from reading."""
    account.book.arrive()
    try:
        posted = Posted(body=await read_body(receive), headers=headers)
        wanted = admitted(account, posted)
    except (OrderRefused, BodyTooLarge, ReaderLeft):
        account.book.refuse()
        raise
    if wanted.order is None:
        account.book.refuse()
        await drop_connection(receive, send)
        return
    run = account.begin(wanted.order, wanted.faults, source_id=wanted.source_id)
    for name in run.faults & _CHARGED_ERRORS.keys():
        status, named = _CHARGED_ERRORS[name]
        account.settle(run, run.ended())
        generation_id = run.generation_id if named else ""
        raise OrderRefused(replace(STATUS_FAULTS[status], generation_id=generation_id))
    if posted.cached and not run.faults:
        account.cache.keep(
            posted.body, run.generation_id, now_ms=run.created_at_ms, ttl_s=posted.cache_ttl_s
        )
    await _Playing(account, run, receive, send, _headers(run, posted, wanted)).play()


@dataclass(slots=True)
class _Playing:
    """One answer on its way to one reader."""

    account: Account
    run: Run
    receive: Receive
    send: Send
    headers: Headers
    pending: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    settled: bool = False

    async def play(self) -> None:
        """Play the script to its end, or until the reader leaves; either way it is charged."""
        left = False
        try:
            for step in steps_of(self.run, self.account.timing):
                left = await self._step(step)
                if left:
                    break
        finally:
            self._settle()
        if not left:
            await send_piece(self.send, bytes(self.pending), last=True)

    async def _step(self, step: Step) -> bool:
        """Do one step; True when the connection is gone after it."""
        match step:
            case Head(content_type=content_type, length=length):
                told = {} if length is None else {b"content-length": str(length).encode()}
                head = {b"content-type": content_type, **told, **self._headers_for(content_type)}
                await send_head(self.send, 200, head)
            case Say(data=data, tokens=tokens):
                self.pending += data
                self.tokens = max(self.tokens, tokens)
                if len(self.pending) > _PENDING_BYTES_MAX:
                    await self._flush()
            case Settle(end=end):
                self.account.settle(self.run, end)
                self.settled = True
            case Wait(seconds=seconds) if seconds:
                await self._flush()
                return await reader_left(self.receive, within_s=seconds)
            case Reset():
                await self._flush()
                self._settle()
                await drop_connection(self.receive, self.send)
                return True
            case _:
                pass
        return False

    def _settle(self) -> None:
        if not self.settled:
            self.settled = True
            self.account.settle(self.run, self.run.cancelled(self.tokens))

    async def _flush(self) -> None:
        if self.pending:
            await send_piece(self.send, bytes(self.pending), last=False)
            self.pending.clear()

    def _headers_for(self, content_type: bytes) -> Headers:
        if content_type == EVENTS:
            return {b"cache-control": b"no-cache", **self.headers}
        return self.headers


def _headers(run: Run, posted: Posted, wanted: Admitted) -> Headers:
    headers: Headers = {}
    if "no_generation_header" not in run.faults:
        headers[b"x-generation-id"] = run.generation_id.encode()
        headers[b"x-provider-name"] = run.order.endpoint.provider.encode()
        headers[b"access-control-expose-headers"] = _EXPOSED
    if run.source_id is not None:
        headers[b"x-openrouter-cache-status"] = b"HIT"
        headers[b"x-openrouter-cache-source-id"] = run.source_id.encode()
    elif posted.cached and wanted.source_id is None:
        headers[b"x-openrouter-cache-status"] = b"MISS"
    return headers
