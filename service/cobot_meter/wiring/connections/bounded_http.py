"""HTTP/1.1 on one connection, as uvicorn and llhttp read it, within bounds and never upgraded.

What uvicorn leaves open ends here: a request that asks for an upgrade is read as the plain request
that it also is, so that its body is never taken for the next one; heads, bodies, silence and unread
answers have a size and a time; a request refused before its body was read closes the connection,
without cutting the answer off. Must not know: routes, or what an answer says.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Coroutine
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from cobot_meter.http_api.http.exchange import AsgiApp
from cobot_meter.wiring.connections.refusals import (
    BAD_REQUEST,
    BODY_TOO_SLOW,
    CONNECT_REFUSED,
    ENCODING_REFUSED,
    HEAD_TOO_LARGE,
    HEAD_TOO_SLOW,
    NO_ROOM,
    TOO_MANY_PIPELINED,
    VERSION_REFUSED,
    Refusal,
)
from cobot_meter.wiring.connections.register import Register

_VERSIONS = frozenset({"1.1", "1.0"})
_UPGRADING = frozenset({b"upgrade", b"http2-settings"})
_PECULIAR = frozenset({b"expect", b"transfer-encoding"})
# Of each header line: two for ": ", two for its end.
_LINE_BYTES = 4


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration, and whom its connections are registered with."""

    def __init__(self, app: AsgiApp, *, register: Register, **settings: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """`settings` are uvicorn's."""
        super().__init__(cast("Any", app), http=BoundedProtocol, ws="none", **settings)
        self.register = register


class _Refused(Exception):
    """A head that the parser takes and we do not; raised through the parser."""


class _HeldFlow(FlowControl):
    """While a request waits behind another nothing more is read, whoever asks for it."""

    held = False

    def pause_reading(self) -> None:
        """As usual; a transport that is being closed would raise."""
        if not self._transport.is_closing():
            super().pause_reading()

    def resume_reading(self) -> None:
        """As usual, unless it is held or being closed."""
        if not self.held and not self._transport.is_closing():
            super().resume_reading()


class _Outgoing(asyncio.Transport):
    """The transport, with the one difference that the protocol decides how it is closed."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        """`protocol` is told instead of the transport when it is to be closed."""
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write  # type: ignore[method-assign] # spares a frame at each piece
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]
        self.abort = transport.abort  # type: ignore[method-assign]

    def close(self) -> None:
        """What was written is sent, and what still comes in is not mistaken for a failure."""
        self._protocol.end()


class _Exchange(RequestResponseCycle):
    """One request and its answer; an answer before the end of the body is the last one.

    Both functions hand over uvicorn's own coroutine, which spares a frame at each message.
    """

    def send(self, message: Any) -> Coroutine[Any, Any, None]:  # noqa: ANN401 - ASGI's own shape
        """As uvicorn sends it, and nothing to a connection that is being closed."""
        if self.transport.is_closing():
            self.disconnected = True
        if self.more_body and not self.response_started:
            self.keep_alive = False
        return super().send(message)

    def receive(self) -> Coroutine[Any, Any, Any]:
        """As uvicorn receives it; nobody on a lost connection is told to go on with a body."""
        if self.disconnected or self.transport.is_closing():
            self.disconnected, self.waiting_for_100_continue = True, False
        return super().receive()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Times are looked at by the register, once in a second for all of them."""

    config: BoundedConfig
    flow: _HeldFlow

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn makes it."""
        super().__init__(config, server_state, app_state, _loop)
        self._register = config.register
        self._limits = config.register.limits
        self._clock = config.register.clock
        self._wire: asyncio.Transport | None = None
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._idle_since: float | None = None
        self._ending_since: float | None = None
        self._unread_since: float | None = None
        self._unread_bytes = 0
        self._unheard_bytes = 0
        self._discarded_bytes = 0
        self._head_bytes = 0
        self._encoding: bytes | None = None
        self._refusal: Refusal | None = None
        self._ignoring = False
        self._begun: RequestResponseCycle | None = None

    # --- the connection ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit it, or say that there is no room and close."""
        wire = cast("asyncio.Transport", transport)
        self._wire = wire
        super().connection_made(_Outgoing(wire, self))
        self.flow = _HeldFlow(self.transport)
        if self._register.admit(self, self.client[0] if self.client else None):
            self._head_since = self._clock()
            return
        self._ignoring = True
        self._ending_since = self._clock()
        wire.write(NO_ROOM.on_the_wire(self._limits))
        wire.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever works for it hears that it is gone; uvicorn tells the newest request alone."""
        self._register.remove(self)
        for exchange in (self._begun, *(queued for queued, _ in self.pipeline)):
            if exchange is not None and not exchange.response_complete:
                exchange.disconnected = True
                exchange.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def end(self) -> None:
        """Close after what was written; an unfinished request is let run out for a while.

        Closing with bytes unread sends a reset, which can take the answer away from a caller who is
        still sending: so the answer's end is said, and what comes is read and dropped.
        """
        if self._wire is None or self._ending_since is not None:
            return
        self._ending_since = self._clock()
        self._register.quiet(self)
        if self._body_since is None and self._head_since is None:
            self._wire.close()
            return
        self._ignoring = True
        self.flow.held = False
        self.flow.resume_reading()
        if self._wire.can_write_eof():
            self._wire.write_eof()

    def evict(self) -> None:
        """Close at once."""
        if self._wire is not None:
            self._wire.abort()

    def shutdown(self) -> None:
        """The server stops: what only waits is closed, what runs may end."""
        if self._is_answering():
            self.cycle.keep_alive = False
        elif self._wire is not None:
            self._wire.close()

    def check(self, now_s: float) -> None:
        """End what has taken longer than its time."""
        limits = self._limits
        if self._is_unread(now_s):
            self._register.refused("answers that were not read")
            self.evict()
        elif self._ending_since is not None:
            if not self._unread_bytes and now_s - self._ending_since > limits.linger_s:
                self.evict()
        elif now_s - (self._idle_since or now_s) > limits.idle_s:
            self.transport.close()
        elif not self._ignoring and not self.flow.held:  # else it waits for us
            if self._body_since is not None and now_s - self._body_since > limits.body_s:
                self._refuse(BODY_TOO_SLOW)
            elif self._head_since is not None and now_s - self._head_since > limits.head_s:
                self._head_is_late()

    def _is_unread(self, now_s: float) -> bool:
        """Whether an answer lies in the buffer and none of it has left for a while."""
        unread = self._wire.get_write_buffer_size() if self._wire is not None else 0
        if unread != self._unread_bytes or not unread:
            self._unread_bytes, self._unread_since = unread, now_s
        return now_s - (self._unread_since or now_s) > self._limits.unread_s

    def _head_is_late(self) -> None:
        if self._is_answering():
            return  # the one before it is being answered; the bytes of this one are bounded
        if self._unheard_bytes:
            self._refuse(HEAD_TOO_SLOW)
        else:
            self._register.refused("connections that said nothing")
            self.evict()

    # --- bytes in ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless this connection is at its end."""
        if self._ignoring or self._ending_since is not None:
            self._discard(len(data))
            return
        if self._idle_since is not None:
            self._head_since, self._idle_since = self._clock(), None
            self._register.quiet(self)
        self._unheard_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or BAD_REQUEST)
            return
        if self._unheard_bytes > self._limits.head_bytes and not self._ignoring:
            self._refuse(HEAD_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        """Feed it all; a head that asks for an upgrade is fed again without the wish.

        The parser stops after such a head and would leave its body to the next protocol. Raises
        HttpParserError.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    self._refusal = CONNECT_REFUSED
                    raise httptools.HttpParserError from None
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        lines = [
            b"%s: %s\r\n" % (name, value) for name, value in self.headers if name not in _UPGRADING
        ]
        version = self.parser.get_http_version().encode("ascii")
        first = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        return b"".join((first, *lines, b"\r\n"))

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > self._limits.linger_bytes:
            self.evict()

    # --- what the parser says ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._head_since is None:
            self._head_since = self._clock()
        self._head_bytes = 0
        self._encoding = None

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line; after the head it is a trailer, which nobody here reads."""
        if self._head_since is None:
            return
        name = name.lower()
        self._head_bytes += len(name) + len(value) + _LINE_BYTES
        if name in _PECULIAR:
            if name == b"transfer-encoding":
                self._encoding = value.lower()
            elif value.lower() == b"100-continue":
                self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: start what answers it, or queue it behind the one before it."""
        if self.parser.should_upgrade():
            return  # it is fed again without the wish
        version = self.parser.get_http_version()
        self._check_head(version)
        self._unheard_bytes = 0
        self._head_since, self._body_since = None, self._clock()
        self._complete_scope(version)
        waits = self._is_answering()
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        self.cycle = self._exchange(self.expect_100_continue, keep_alive)
        if waits:
            self._queue(self.cycle, self.app)
        else:
            self._begin(self.cycle, self.app)

    def on_chunk_header(self) -> None:
        """Something was heard: a chunk begins, or the trailers do."""
        self._unheard_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._unheard_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; from here on the connection is worked for."""
        if self.parser.should_upgrade():
            return
        self._unheard_bytes = 0
        self._body_since = None
        self._register.busy(self)
        super().on_message_complete()

    def _check_head(self, version: str) -> None:
        """Raises through the parser what it would have let pass."""
        if self._head_bytes + len(self.url) > self._limits.head_bytes:
            self._refusal = HEAD_TOO_LARGE
        elif version not in _VERSIONS:
            self._refusal = VERSION_REFUSED
        elif self._encoding is not None and (self._encoding != b"chunked" or version != "1.1"):
            self._refusal = ENCODING_REFUSED
        elif len(self.pipeline) >= self._limits.pipelined_max:
            self._refusal = TOO_MANY_PIPELINED
        if self._refusal is not None:
            raise _Refused

    def _complete_scope(self, version: str) -> None:
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        target = httptools.parse_url(self.url)
        raw_path: bytes = target.path or b"/"
        path = raw_path.decode("ascii")
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = target.query or b""

    def _exchange(self, expect_100_continue: bool, keep_alive: bool) -> _Exchange:  # noqa: FBT001 - as uvicorn has them
        return _Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )

    def _begin(self, exchange: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI's own shape
        self._begun = exchange
        self._start_asgi_task(exchange, app)

    def _queue(self, exchange: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI's own shape
        self.flow.pause_reading()
        self.flow.held = True
        self.pipeline.appendleft((exchange, app))

    def _is_answering(self) -> bool:
        """Whether a request has been read that is not wholly answered."""
        newest: RequestResponseCycle | None = self.cycle  # None until the first
        return newest is not None and not newest.response_complete

    # --- answers ----------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """One answer is written: the next request's turn, or its caller's."""
        self.server_state.total_requests += 1
        if self._ending_since is not None or self.transport.is_closing():
            return
        if self.pipeline:
            exchange, app = self.pipeline.pop()
            if exchange.more_body:
                self._body_since = self._clock()  # nothing of it was read while it waited
            self.flow.held = bool(self.pipeline)
            self.flow.resume_reading()
            self._begin(exchange, app)
            return
        self.flow.resume_reading()
        self._register.quiet(self)
        if self._head_since is None:
            self._idle_since = self._clock()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in turn that this cannot be read, and close; nothing further is parsed."""
        self._ignoring = True
        self._register.refused(refusal.why)
        if self._is_answering():
            exchange = self.cycle
            if not exchange.more_body:
                self._refuse_in_turn(refusal)
                return
            if self.pipeline:  # it has not begun: its place is taken by the refusal
                self.pipeline.popleft()
                self._refuse_in_turn(refusal)
                return
            if exchange.response_started:
                return  # its answer is on the way and closes the connection
            exchange.disconnected = True
            exchange.message_event.set()
        self.transport.write(refusal.on_the_wire(self._limits))
        self.end()

    def _refuse_in_turn(self, refusal: Refusal) -> None:
        self.scope = cast("Any", {"type": "http", "method": "GET"})
        self.cycle = self._exchange(False, False)  # noqa: FBT003 - no 100, not kept alive
        self.cycle.more_body = False
        self._queue(self.cycle, refusal.as_app(self._limits))
