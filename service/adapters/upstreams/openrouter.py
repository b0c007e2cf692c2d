"""The upstream port over OpenRouter's HTTP API.

Must not know: callers, prices of ours, or Lightning. Every run is one POST, always streamed: the
generation's id then stands in the first header, so a broken connection can still be looked up.
Nothing is ever repeated here; OpenRouter has no idempotency key and every repeat is a charge.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

from service.adapters.upstreams.http_errors import (
    TRANSPORT_FAULTS,
    HttpAnswer,
    fault_of_lookup,
    fault_of_query,
    fault_of_run,
    fault_of_send,
)
from service.adapters.upstreams.openrouter_models import models_from
from service.adapters.upstreams.openrouter_stream import StreamAssembly, completion_from_json
from service.adapters.upstreams.openrouter_wire import (
    generation_cost_from,
    key_usage_pusd,
    request_body,
)
from service.domain.completions import (
    CompletionRequest,
    GenerationCost,
    Model,
    UpstreamCompletion,
)
from service.domain.errors import OutcomeUnknown, UpstreamUnreachable
from service.domain.pricing import ModelPrice
from service.ports.upstream import GenerationStarted

_OK = 200
_ERROR_BYTES_MAX = 65_536
_DRAIN_TIMEOUT_S = 1.0
_GENERATION_ID = "x-generation-id"
_EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRouterSettings:
    """Where OpenRouter is, and how long and how large an answer may be.

    `base_url` ends in `/api/v1`. `timeout_s` is the whole time of a run, after which its outcome
    is unknown; `query_timeout_s` that of a look-up. `title` is shown in OpenRouter's statistics.
    """

    base_url: str
    api_key: str = field(repr=False)
    title: str = ""
    deny_training: bool = False
    timeout_s: float = 300.0
    query_timeout_s: float = 10.0
    answer_bytes_max: int = 8 * 1_024 * 1_024
    query_bytes_max: int = 16 * 1_024 * 1_024


class OpenRouter:
    """One OpenRouter account, behind the port `Upstream`."""

    def __init__(self, client: httpx.AsyncClient, settings: OpenRouterSettings) -> None:
        """`client` is the process's own (`http_session`) and is not closed here."""
        self._client = client
        self._settings = settings
        base_url = settings.base_url.rstrip("/")
        self._chat_url = httpx.URL(f"{base_url}/chat/completions")
        self._generation_url = httpx.URL(f"{base_url}/generation")
        self._models_url = httpx.URL(f"{base_url}/models")
        self._key_url = httpx.URL(f"{base_url}/key")
        self._extensions = {"timeout": client.timeout.as_dict()}
        common = {"authorization": f"Bearer {settings.api_key}", "user-agent": "cobot-meter"}
        if settings.title:
            common["x-openrouter-title"] = settings.title
        self._post_headers = httpx.Headers(
            {
                **common,
                "accept": _EVENT_STREAM,
                "accept-encoding": "identity",
                "content-type": "application/json",
            }
        )
        self._get_headers = httpx.Headers(
            {**common, "accept": "application/json", "accept-encoding": "gzip"}
        )

    async def complete(
        self,
        request: CompletionRequest,
        *,
        price_cap: ModelPrice,
        on_started: GenerationStarted,
    ) -> UpstreamCompletion:
        """See the port. `on_started` is outside every time limit and every translation here."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        body = request_body(
            request, price_cap=price_cap, deny_training=self._settings.deny_training
        )
        response = await self._post(body, deadline)
        try:
            if response.status_code != _OK:
                raise fault_of_run(await self._error_answer(response, deadline))
            generation_id = response.headers.get(_GENERATION_ID, "")
            if generation_id:
                await on_started(generation_id)
            if not response.headers.get("content-type", "").startswith(_EVENT_STREAM):
                return await self._whole(response, generation_id, deadline)
            return await self._streamed(response, generation_id, deadline, on_started)
        finally:
            with contextlib.suppress(*TRANSPORT_FAULTS):
                await response.aclose()

    async def generation_cost(self, generation_id: str) -> GenerationCost:
        """See the port. One GET of `/generation`."""
        url = self._generation_url.copy_merge_params({"id": generation_id})
        answer = await self._get(url)
        if answer.status != _OK:
            raise fault_of_lookup(answer, generation_id)
        return generation_cost_from(answer.body, generation_id)

    async def models(self) -> tuple[Model, ...]:
        """See the port."""
        return models_from(await self._query(self._models_url))

    async def usage_pusd(self) -> int:
        """See the port."""
        return key_usage_pusd(await self._query(self._key_url))

    async def ping(self) -> None:
        """See the port: GET /key needs a valid key, and costs nothing."""
        await self._query(self._key_url)

    async def _post(self, body: bytes, deadline: float) -> httpx.Response:
        request = httpx.Request(
            "POST",
            self._chat_url,
            headers=self._post_headers,
            content=body,
            extensions=self._extensions,
        )
        try:
            async with asyncio.timeout_at(deadline):
                return await self._client.send(request, stream=True)
        except TRANSPORT_FAULTS as fault:
            raise fault_of_send(fault) from fault

    async def _error_answer(self, response: httpx.Response, deadline: float) -> HttpAnswer:
        """The error as far as it can be read: its status has already decided the most."""
        body = b""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            async with asyncio.timeout_at(deadline):
                body = await _read(response.aiter_raw(), _ERROR_BYTES_MAX)
        return HttpAnswer(
            status=response.status_code,
            body=body,
            retry_after=response.headers.get("retry-after"),
        )

    async def _whole(
        self, response: httpx.Response, generation_id: str, deadline: float
    ) -> UpstreamCompletion:
        """A 200 that is no stream: an error found too late, or a gateway that does not stream."""
        bytes_max = self._settings.answer_bytes_max
        try:
            async with asyncio.timeout_at(deadline):
                body = await _read(response.aiter_raw(), bytes_max + 1)
        except TRANSPORT_FAULTS as fault:
            raise OutcomeUnknown("the upstream's answer was cut before its end") from fault
        if len(body) > bytes_max:
            raise OutcomeUnknown(f"the upstream's answer is over {bytes_max} bytes")
        return completion_from_json(body, generation_id)

    async def _streamed(
        self,
        response: httpx.Response,
        generation_id: str,
        deadline: float,
        on_started: GenerationStarted,
    ) -> UpstreamCompletion:
        assembly = StreamAssembly(generation_id)
        chunks = _Bounded(response.aiter_raw(), self._settings.answer_bytes_max)
        if not generation_id:
            await self._feed(assembly, chunks, deadline, until_named=True)
            if assembly.generation_id:
                await on_started(assembly.generation_id)
        await self._feed(assembly, chunks, deadline, until_named=False)
        if assembly.done:
            await chunks.drain()
        return assembly.completion()

    async def _feed(
        self, assembly: StreamAssembly, chunks: _Bounded, deadline: float, *, until_named: bool
    ) -> None:
        """Read until the stream ends, or says that it is done, or (`until_named`) has an id."""
        try:
            async with asyncio.timeout_at(deadline):
                while not assembly.done and not (until_named and assembly.generation_id):
                    chunk = await chunks.next()
                    if chunk is None:
                        assembly.end()
                        return
                    assembly.feed(chunk)
        except TRANSPORT_FAULTS as fault:
            if not assembly.conclusive:
                raise OutcomeUnknown("the upstream's stream broke before its end") from fault

    async def _query(self, url: httpx.URL) -> bytes:
        answer = await self._get(url)
        if answer.status != _OK:
            raise fault_of_query(answer)
        return answer.body

    async def _get(self, url: httpx.URL) -> HttpAnswer:
        """One GET, read whole. Raises UpstreamUnreachable when no whole answer came."""
        request = httpx.Request("GET", url, headers=self._get_headers, extensions=self._extensions)
        bytes_max = self._settings.query_bytes_max
        try:
            async with asyncio.timeout(self._settings.query_timeout_s):
                response = await self._client.send(request, stream=True)
                async with contextlib.aclosing(response):
                    body = await _read(response.aiter_bytes(), bytes_max + 1)
        except TRANSPORT_FAULTS as fault:
            raise UpstreamUnreachable(
                f"the upstream does not answer ({type(fault).__name__})"
            ) from fault
        if len(body) > bytes_max:
            raise UpstreamUnreachable(f"the upstream's answer is over {bytes_max} bytes")
        return HttpAnswer(
            status=response.status_code,
            body=body,
            retry_after=response.headers.get("retry-after"),
        )


class _Bounded:
    """The chunks of one answer, up to a number of bytes."""

    __slots__ = ("_chunks", "_left")

    def __init__(self, chunks: AsyncIterator[bytes], bytes_max: int) -> None:
        self._chunks = chunks
        self._left = bytes_max

    async def next(self) -> bytes | None:
        """The next chunk, None at the end. Raises OutcomeUnknown when there are too many bytes."""
        chunk = await anext(self._chunks, None)
        self._left -= len(chunk or b"")
        if self._left < 0:
            raise OutcomeUnknown("the upstream's answer is larger than this service takes")
        return chunk

    async def drain(self) -> None:
        """Read to the very end, so that the connection can be used again; not at any price."""
        with contextlib.suppress(*TRANSPORT_FAULTS):
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                async for _ in self._chunks:
                    pass


async def _read(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    """All chunks, or the first `bytes_max` bytes of them."""
    pieces: list[bytes] = []
    left = bytes_max
    async for chunk in chunks:
        pieces.append(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    return b"".join(pieces)
