"""The upstream port over OpenRouter's HTTP API.

Must not know: callers, prices of ours, or Lightning. Every run is one POST, always streamed: the
generation's id then stands in the first header, so a broken connection can still be looked up.
Nothing is ever repeated here; OpenRouter has no idempotency key and every repeat is a charge.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from service.adapters.upstreams.bounded_reading import BoundedChunks, read_up_to
from service.adapters.upstreams.http_errors import (
    TRANSPORT_FAULTS,
    HttpAnswer,
    fault_of_lookup,
    fault_of_query,
    fault_of_run,
    fault_of_send,
)
from service.adapters.upstreams.openrouter_models import endpoints_from, models_from
from service.adapters.upstreams.openrouter_stream import StreamAssembly, completion_from_json
from service.adapters.upstreams.openrouter_wire import (
    account_from,
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
from service.domain.endpoints import Endpoint
from service.domain.errors import OutcomeUnknown, UpstreamRefused, UpstreamUnreachable
from service.domain.pricing import ModelPrice
from service.domain.upstream_accounts import UpstreamAccount
from service.ports.upstream import GenerationStarted

_OK = 200
_FORBIDDEN = 403
_NOT_FOUND = 404
_ERROR_BYTES_MAX = 65_536
_GENERATION_ID = b"x-generation-id"
_CONTENT_TYPE = b"content-type"
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
        self._generation_url = f"{base_url}/generation?id="
        self._models_url = httpx.URL(f"{base_url}/models")
        self._key_url = httpx.URL(f"{base_url}/key")
        self._credits_url = httpx.URL(f"{base_url}/credits")
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
        within_ms: int | None = None,
    ) -> UpstreamCompletion:
        """See the port. `on_started` is outside every time limit and every translation here."""
        limit_s = self._settings.timeout_s
        if within_ms is not None:
            limit_s = min(limit_s, within_ms / 1_000)
        deadline = asyncio.get_running_loop().time() + limit_s
        body = request_body(
            request, price_cap=price_cap, deny_training=self._settings.deny_training
        )
        response = await self._post(body, deadline)
        try:
            generation_id, content_type = _id_and_type(response)
            fault = None
            if response.status_code != _OK:
                fault = fault_of_run(await self._error_answer(response, deadline))
            if generation_id and not isinstance(fault, UpstreamRefused):
                await on_started(generation_id)
            if fault:
                raise fault
            if content_type.startswith(_EVENT_STREAM):
                return await self._streamed(response, generation_id, deadline, on_started)
            return await self._whole(response, generation_id, deadline, on_started)
        finally:
            with contextlib.suppress(*TRANSPORT_FAULTS):
                await response.aclose()

    async def generation_cost(self, generation_id: str) -> GenerationCost:
        """See the port. One GET of `/generation`."""
        answer = await self._get(httpx.URL(self._generation_url + quote(generation_id, safe="")))
        if answer.status != _OK:
            raise fault_of_lookup(answer, generation_id)
        return generation_cost_from(answer.body, generation_id)

    async def models(self) -> tuple[Model, ...]:
        """See the port."""
        return models_from(await self._query(self._models_url))

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        """See the port."""
        path = f"{self._models_url}/{quote(model_id, safe='/:')}/endpoints"
        answer = await self._get(httpx.URL(path))
        if answer.status == _NOT_FOUND:
            return ()
        if answer.status != _OK:
            raise fault_of_query(answer)
        return endpoints_from(answer.body)

    async def usage_pusd(self) -> int:
        """See the port."""
        return key_usage_pusd(await self._query(self._key_url))

    async def account(self) -> UpstreamAccount:
        """See the port. `/credits` is for management keys: 403 says no more than that."""
        key = await self._query(self._key_url)
        credit = await self._get(self._credits_url)
        if credit.status not in {_OK, _FORBIDDEN}:
            raise fault_of_query(credit)
        return account_from(key, credit.body if credit.status == _OK else None)

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
                body = await read_up_to(response.aiter_raw(), _ERROR_BYTES_MAX)
        return _answer(response, body)

    async def _whole(
        self,
        response: httpx.Response,
        generation_id: str,
        deadline: float,
        on_started: GenerationStarted,
    ) -> UpstreamCompletion:
        """A 200 that is no stream: an error found too late, or a gateway that does not stream."""
        bytes_max = self._settings.answer_bytes_max
        try:
            async with asyncio.timeout_at(deadline):
                body = await read_up_to(response.aiter_raw(), bytes_max + 1)
        except TRANSPORT_FAULTS as fault:
            raise OutcomeUnknown("the upstream's answer was cut before its end") from fault
        if len(body) > bytes_max:
            raise OutcomeUnknown(f"the upstream's answer is over {bytes_max} bytes")
        completion = completion_from_json(body, generation_id)
        if not generation_id:
            await on_started(completion.generation_id)
        return completion

    async def _streamed(
        self,
        response: httpx.Response,
        generation_id: str,
        deadline: float,
        on_started: GenerationStarted,
    ) -> UpstreamCompletion:
        assembly = StreamAssembly(generation_id)
        chunks = BoundedChunks(response.aiter_raw(), self._settings.answer_bytes_max)
        if not generation_id:
            await self._feed(assembly, chunks, deadline, until_named=True)
            if assembly.generation_id:
                await on_started(assembly.generation_id)
        await self._feed(assembly, chunks, deadline, until_named=False)
        if assembly.done:
            await chunks.drain()
        return assembly.completion()

    async def _feed(
        self, assembly: StreamAssembly, chunks: BoundedChunks, deadline: float, *, until_named: bool
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
                    packed = "content-encoding" in response.headers
                    chunks = response.aiter_bytes() if packed else response.aiter_raw()
                    body = await read_up_to(chunks, bytes_max + 1)
        except TRANSPORT_FAULTS as fault:
            raise UpstreamUnreachable(
                f"the upstream does not answer ({type(fault).__name__})"
            ) from fault
        if len(body) > bytes_max:
            raise UpstreamUnreachable(f"the upstream's answer is over {bytes_max} bytes")
        return _answer(response, body)


def _answer(response: httpx.Response, body: bytes) -> HttpAnswer:
    if response.status_code == _OK:
        return HttpAnswer(status=_OK, body=body)
    return HttpAnswer(
        status=response.status_code,
        body=body,
        retry_after=response.headers.get("retry-after"),
        date=response.headers.get("date"),
    )


def _id_and_type(response: httpx.Response) -> tuple[str, str]:
    """One pass over the raw headers: `Headers.get` decodes all of them, every time."""
    generation_id = content_type = b""
    for name, value in response.headers.raw:
        lowered = name.lower()
        if lowered == _GENERATION_ID:
            generation_id = value
        elif lowered == _CONTENT_TYPE:
            content_type = value
    return generation_id.decode("ascii", "replace"), content_type.decode("ascii", "replace")
