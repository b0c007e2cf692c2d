"""Takes HTTP/1.1 requests on a local address and writes the answers, chunk by chunk as they come.

h11 reads and writes the protocol. It is there wherever httpx is, since httpcore is built on it: a
proxy needs nothing more to be installed. Must not know: what is answered, or money.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

import h11

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 32 * 1_048_576
IDLE_S = 120.0

_READ_BYTES = 65_536
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, whole: `target` as it stands in its first line, header names in lower case."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str:
        """The first header of that name, empty without one."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered; `chunks`, sent as they come, take the place of `body`."""

    status: int
    headers: Headers = ()
    chunks: AsyncIterator[bytes] | None = None
    body: bytes = field(default=b"", repr=False)


class AnswerBroke(Exception):
    """An answer that had begun cannot be ended: whoever reads it must notice."""


Respond = Callable[[Asked], AbstractAsyncContextManager[Answer]]


class Refused(Exception):
    """The request is not taken; `status` and text are what it is told."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Listener:
    """One server; `respond` gives the answer, `refuse` makes one of a Refused."""

    def __init__(self, respond: Respond, *, refuse: Callable[[int, str], Answer]) -> None:
        """Nothing listens yet."""
        self._respond = respond
        self._refuse = refuse
        self._stopping = False
        self._idle: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen while the block lasts; gives the port. Raises OSError when it is taken."""
        server = await asyncio.start_server(self._serve, host, port)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self._stopping = True
            for writer in self._idle:
                writer.close()

    async def drained(self, within_s: float) -> bool:
        """Once nothing listens: wait for the answers that began, and cut off what is too late.

        False when something was cut off.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._quiet.wait()
        except TimeoutError:
            for writer in self._open:
                writer.transport.abort()
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = _Exchange(reader, writer)
        self._open.add(writer)
        self._quiet.clear()
        try:
            try:
                while await self._one(exchange, writer):
                    continue
            except AnswerBroke:
                writer.transport.abort()  # a quiet end may be taken for that of the answer
            except (ConnectionError, TimeoutError, h11.LocalProtocolError):
                pass  # whoever asked is gone, or silent for too long
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            writer.close()
            self._open.discard(writer)
            if not self._open:
                self._quiet.set()

    async def _one(self, exchange: _Exchange, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request; whether another may follow on this connection."""
        if self._stopping:
            return False
        self._idle.add(writer)
        try:
            asked = await exchange.asked()
        except Refused as refused:
            await exchange.answer(self._refuse(refused.status, str(refused)))
            return False
        finally:
            self._idle.discard(writer)
        if asked is None:
            return False
        async with self._respond(asked) as answer:
            await exchange.answer(answer)
        return exchange.again()


class _Exchange:
    """One connection, in the terms of h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._method = ""

    async def asked(self) -> Asked | None:
        """The next request; None when the other side is done. Raises Refused."""
        try:
            return await self._asked()
        except h11.RemoteProtocolError as fault:
            status = fault.error_status_hint
            raise Refused(
                status, f"the request is not HTTP/1.1 as it should be: {fault}"
            ) from fault

    async def _asked(self) -> Asked | None:
        head = await self._next()
        if not isinstance(head, h11.Request):
            return None
        self._method = head.method.decode("ascii")
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(part := await self._next(), h11.Data):
            body += part.data
            if len(body) > BODY_BYTES_MAX:
                raise Refused(413, f"the body is longer than {BODY_BYTES_MAX:,} bytes")
        if not isinstance(part, h11.EndOfMessage):
            return None
        return Asked(
            method=self._method,
            target=head.target.decode("latin-1"),
            headers=list(head.headers),
            body=bytes(body),
        )

    async def answer(self, answer: Answer) -> None:
        """Send it, each chunk when it is there. Raises AnswerBroke, ConnectionError."""
        headers = [*answer.headers]
        if answer.chunks is None:
            headers.append((b"content-length", str(len(answer.body)).encode("ascii")))
        await self._send(h11.Response(status_code=answer.status, headers=headers))
        if answer.chunks is None:
            if self._method != "HEAD":
                await self._send(h11.Data(data=answer.body))
        else:
            async for chunk in answer.chunks:
                await self._send(h11.Data(data=chunk))
        await self._send(h11.EndOfMessage())

    def again(self) -> bool:
        """Whether another request may follow; then the connection is ready for it."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _next(self) -> h11.Event | None:
        """The next event; None while the other side must wait for us."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Event):
                return event
            if event is not h11.NEED_DATA:
                return None
            async with asyncio.timeout(IDLE_S):
                self._http.receive_data(await self._reader.read(_READ_BYTES))

    async def _send(self, event: h11.Event) -> None:
        octets = self._http.send(event)
        if octets:
            self._writer.write(octets)
            await self._writer.drain()
