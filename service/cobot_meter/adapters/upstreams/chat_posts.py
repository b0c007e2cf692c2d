"""POSTs to a chat completions URL, and their answers: read once, within bounds, never repeated."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import httpx

from cobot_meter.adapters.upstreams.answer_pieces import WholePiece
from cobot_meter.adapters.upstreams.answer_stream import (
    Dialect,
    StreamAssembly,
    completion_from_json,
)
from cobot_meter.adapters.upstreams.http_errors import TRANSPORT_FAULTS, HttpAnswer, fault_of_send
from cobot_meter.adapters.upstreams.reading_time import ReadingTime
from cobot_meter.domain.errors import OutcomeUnknown, UpstreamUnreachable
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.ports.upstream import AnswerPiece, TellGeneration

_DRAIN_TIMEOUT_S = 1.0


class BoundedChunks:
    """The chunks of one answer, up to a number of bytes."""

    __slots__ = ("_chunks", "_left")

    def __init__(self, chunks: AsyncIterator[bytes], bytes_max: int) -> None:
        """`chunks` is read until its end, or until `bytes_max` are passed."""
        self._chunks = chunks
        self._left = bytes_max

    async def next(self) -> bytes | None:
        """The next chunk, None at the end. Raises OutcomeUnknown when there are too many bytes."""
        chunk = await anext(self._chunks, None)
        self._left -= len(chunk or b"")
        if self._left < 0:
            raise OutcomeUnknown("the upstream's answer is larger than this service takes")
        return chunk

    async def rest(self) -> bytes:
        """All that follows. Raises OutcomeUnknown when there are too many bytes."""
        pieces: list[bytes] = []
        while (chunk := await self.next()) is not None:
            pieces.append(chunk)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read to the very end, so that the connection can be used again; not at any price."""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                async for _ in self._chunks:
                    pass


async def read_up_to(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    """All chunks, or the first `bytes_max` bytes of them."""
    pieces: list[bytes] = []
    left = bytes_max
    async for chunk in chunks:
        pieces.append(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    return b"".join(pieces)


OK = 200
EVENT_STREAM = "text/event-stream"
_ERROR_BYTES_MAX = 65_536
_BOM = b"\xef\xbb\xbf"
_JSON = (b"{", b"[")
# What reading and writing JSON raises, and texts: whatever of it no reader foresaw.
_UNREADABLE = (ValueError, TypeError, RecursionError)


_CANNOT_BE_READ = "the upstream's answer cannot be read"


class _WhateverItSays:
    """What came may be anything, and it was charged for: no fault of reading it gets further."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        """Raises OutcomeUnknown in place of what reading raised."""
        if isinstance(fault, _UNREADABLE):
            raise OutcomeUnknown(_CANNOT_BE_READ) from fault


_WHATEVER_IT_SAYS = _WhateverItSays()


class ChatPosts:
    """One URL on the process's client."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        headers: dict[str, str],
        answer_bytes_max: int,
        timeout_s: float,
    ) -> None:
        """`headers` are sent beside those that ask for an event stream."""
        self._timeout_s = timeout_s
        self._client = client
        self._url = httpx.URL(url)
        self._bytes_max = answer_bytes_max
        self._extensions = {"timeout": client.timeout.as_dict()}
        self._sent = httpx.Request("POST", self._url)
        self._headers = httpx.Headers(
            {
                **headers,
                "accept": EVENT_STREAM,
                "accept-encoding": "identity",
                "content-type": "application/json",
            }
        )

    def deadline(self, within_ms: int | None) -> float:
        """When a run that begins now has to be over, by the loop's clock."""
        limit_s = self._timeout_s
        if within_ms is not None:
            limit_s = min(limit_s, within_ms / 1_000)
        return asyncio.get_running_loop().time() + limit_s

    async def send(self, body: bytes, deadline: float) -> httpx.Response:
        """The answer's headers, to be closed with `close`. `deadline` is the loop's time.

        Raises UpstreamUnreachable (certainly not received) and OutcomeUnknown.
        """
        request = _request("POST", self._url, self._headers, self._extensions, body)
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._client.send(request, stream=True)
        except TRANSPORT_FAULTS as fault:
            raise fault_of_send(fault) from fault
        # Without what was sent: httpx would keep the whole prompt for as long as it is answered.
        response.request = self._sent
        return response

    async def refusal(self, response: httpx.Response, deadline: float) -> HttpAnswer:
        """The error as far as it can be read: its status has already decided the most."""
        body = b""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            async with asyncio.timeout_at(deadline):
                body = await read_up_to(response.aiter_raw(), _ERROR_BYTES_MAX)
        return answer_of(response, body)

    def completion(
        self, response: httpx.Response, generation_id: str, deadline: float, dialect: Dialect
    ) -> AnswerReading:
        """What reads the completion of a 200."""
        return AnswerReading(
            response,
            generation_id=generation_id,
            deadline=deadline,
            bytes_max=self._bytes_max,
            dialect=dialect,
        )

    async def close(self, response: httpx.Response) -> None:
        """Give the connection back; one that broke meanwhile is gone anyway."""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            await response.aclose()


class AnswerReading:
    """One completion being read: `begin`, `next` until there is nothing more, `completion`."""

    __slots__ = (
        *("_assembly", "_chunks", "_completion", "_dialect", "_ended", "_generation_id", "_piece"),
        "_time",
    )

    def __init__(
        self,
        response: httpx.Response,
        *,
        generation_id: str,
        deadline: float,
        bytes_max: int,
        dialect: Dialect,
    ) -> None:
        """`generation_id` is empty where only the answer itself names it."""
        self._chunks = BoundedChunks(response.aiter_raw(), bytes_max)
        self._generation_id = generation_id
        self._time = ReadingTime(deadline)
        self._dialect = dialect
        self._assembly = StreamAssembly(generation_id, dialect)
        self._piece: AnswerPiece | None = None
        self._completion: UpstreamCompletion | None = None
        self._ended = False

    async def begin(self, on_named: TellGeneration) -> None:
        """Read until it is known what comes and how it is named.

        What was sent decides whether it is a stream, not what it is called: gateways give streams
        any type or none, and say of an error that it is a stream. `on_named` is awaited, outside
        every limit, when the id was not known and has come. Raises UpstreamFailed and
        OutcomeUnknown.
        """
        with _WHATEVER_IT_SAYS:
            begun = await self._beginning()
        if _content_of(begun).startswith(_JSON):
            completion = await self._whole(begun)
            self._completion, self._ended = completion, True
            self._piece = WholePiece(completion, self._dialect.naming)
            named = completion.generation_id
        else:
            named = await self._named(begun)
        if named and not self._generation_id:
            await on_named(named)

    async def next(self) -> AnswerPiece | None:
        """What comes next; None at the end, which need not be a good one.

        Raises OutcomeUnknown.
        """
        while self._piece is None and not self._ended:
            self._piece = self._assembly.piece(await self._read())
        piece, self._piece = self._piece, None
        return piece

    async def completion(self) -> UpstreamCompletion:
        """The whole, once all is read. Raises UpstreamFailed and OutcomeUnknown."""
        if self._assembly.done:
            await self._chunks.drain()
        if self._completion is not None:
            return self._completion
        with _WHATEVER_IT_SAYS:
            return self._assembly.completion()

    def close(self) -> None:
        """Nothing is read any more."""
        self._time.close()

    async def _beginning(self) -> bytes:
        """The first chunks, up to the first of more than blanks; gateways send those meanwhile."""
        begun = b""
        try:
            while not _content_of(begun):
                with self._time:
                    chunk = await self._chunks.next()
                if chunk is None:
                    break
                begun = begun.strip() + chunk
        except TRANSPORT_FAULTS as fault:
            raise OutcomeUnknown("the upstream's answer was cut before its beginning") from fault
        return begun

    async def _whole(self, begun: bytes) -> UpstreamCompletion:
        """A 200 that is no stream: an error found too late, or a gateway that does not stream."""
        try:
            with self._time:
                body = begun + await self._chunks.rest()
        except TRANSPORT_FAULTS as fault:
            raise OutcomeUnknown("the upstream's answer was cut before its end") from fault
        with _WHATEVER_IT_SAYS:
            return completion_from_json(body, self._generation_id, self._dialect)

    async def _named(self, begun: bytes) -> str:
        """The id of a stream, read as far as it takes to know it; empty where it never says it."""
        assembly, size = self._assembly, len(begun)
        with _WHATEVER_IT_SAYS:
            assembly.feed(begun)
        self._ended = assembly.done
        while not (self._ended or assembly.generation_id):
            size += await self._read()
        self._piece = assembly.piece(size)
        return assembly.generation_id

    async def _read(self) -> int:
        """Read on in a stream; how many bytes came."""
        assembly = self._assembly
        try:
            with self._time:
                chunk = await self._chunks.next()
            if chunk is None:
                assembly.end()
            else:
                assembly.feed(chunk)
        except TRANSPORT_FAULTS as fault:
            if not assembly.conclusive:
                raise OutcomeUnknown("the upstream's stream broke before its end") from fault
            chunk = None
        except _UNREADABLE as fault:
            raise OutcomeUnknown(_CANNOT_BE_READ) from fault
        self._ended = chunk is None or assembly.done
        return len(chunk or b"")


def _content_of(begun: bytes) -> bytes:
    """What has come, less blanks and a byte-order mark, of which more may be on its way."""
    if _BOM.startswith(begun):
        return b""
    return begun.removeprefix(_BOM).lstrip()


async def get_whole(
    client: httpx.AsyncClient,
    url: httpx.URL,
    headers: httpx.Headers,
    *,
    timeout_s: float,
    bytes_max: int,
) -> HttpAnswer:
    """One GET, read whole. Raises UpstreamUnreachable when no whole answer came."""
    return await ask_whole(client, url, headers, timeout_s=timeout_s, bytes_max=bytes_max)


async def ask_whole(
    client: httpx.AsyncClient,
    url: httpx.URL,
    headers: httpx.Headers,
    *,
    body: bytes = b"",
    timeout_s: float,
    bytes_max: int,
) -> HttpAnswer:
    """One GET, or a POST of a JSON `body`, read whole. Raises UpstreamUnreachable without one."""
    extensions = {"timeout": client.timeout.as_dict()}
    if body:
        headers = httpx.Headers({**headers, "content-type": "application/json"})
    request = _request("POST" if body else "GET", url, headers, extensions, body)
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(request, stream=True)
            async with contextlib.aclosing(response):
                packed = "content-encoding" in response.headers
                chunks = response.aiter_bytes() if packed else response.aiter_raw()
                said = await read_up_to(chunks, bytes_max + 1)
    except TRANSPORT_FAULTS as fault:
        raise UpstreamUnreachable(
            f"the upstream does not answer ({type(fault).__name__})"
        ) from fault
    if len(said) > bytes_max:
        raise UpstreamUnreachable(f"the upstream's answer is over {bytes_max} bytes")
    return answer_of(response, said)


def _request(
    method: str, url: httpx.URL, headers: httpx.Headers, extensions: dict[str, Any], body: bytes
) -> httpx.Request:
    """Without the host and the length that httpx would add: aiohttp says both of itself.

    As a stream, so that httpx does not sort out every header once more; read, as it is all there.
    """
    stream = httpx.ByteStream(body)
    request = httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)
    request.read()
    return request


def answer_of(response: httpx.Response, body: bytes) -> HttpAnswer:
    """The answer with the headers that an error may need."""
    if response.status_code == OK:
        return HttpAnswer(status=OK, body=body)
    return HttpAnswer(
        status=response.status_code,
        body=body,
        retry_after=response.headers.get("retry-after"),
        # An answer without a date is dated by whoever receives it (RFC 9110, 6.6.1).
        date=response.headers.get("date") or formatdate(usegmt=True),
    )


def header_of(response: httpx.Response, wanted: bytes) -> str:
    """One header by its lower-case name, empty when it is not there."""
    for name, value in response.headers.raw:
        if name.lower() == wanted:
            return value.decode("ascii", "replace")
    return ""
