"""The upstream port over OpenRouter's HTTP API.

Must not know: callers, prices of ours, or Lightning. Every run is one POST, always streamed: the
generation's id then stands in the first header, so a broken connection can still be looked up.
Nothing is ever repeated here; OpenRouter has no idempotency key and every repeat is a charge.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from cobot_meter.adapters.upstreams.chat_posts import OK, ChatPosts, get_whole, header_of
from cobot_meter.adapters.upstreams.http_errors import (
    HttpAnswer,
    fault_of_lookup,
    fault_of_query,
    fault_of_run,
)
from cobot_meter.adapters.upstreams.openrouter.models import (
    ENDPOINTS_BYTES_MAX,
    endpoints_from,
    models_from,
)
from cobot_meter.adapters.upstreams.openrouter.taxonomy import ERRORS
from cobot_meter.adapters.upstreams.openrouter.wire import (
    DIALECT,
    account_from,
    generation_cost_from,
    key_usage_pusd,
    request_body,
)
from cobot_meter.domain import outside
from cobot_meter.domain.errors import UpstreamRefused
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
)
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.upstream import AccountHolder, AnswerFeed, TellGeneration

_FORBIDDEN = 403
_NOT_FOUND = 404
_GENERATION_ID = b"x-generation-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRouterSettings:
    """Where OpenRouter is, and how long and how large an answer may be.

    `name` is the account's among our upstreams; its models bear it, and callers do not see it.
    `base_url` ends in `/api/v1`. `timeout_s` is the whole time of a run, after which its outcome
    is unknown; `query_timeout_s` that of a look-up. `title` is shown in OpenRouter's statistics.
    """

    name: str
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
        self._parameters: dict[str, frozenset[str] | None] = {}
        base_url = settings.base_url.rstrip("/")
        self._generation_url = f"{base_url}/generation?id="
        self._models_url = httpx.URL(f"{base_url}/models")
        self._key_url = httpx.URL(f"{base_url}/key")
        self._credits_url = httpx.URL(f"{base_url}/credits")
        common = {"authorization": f"Bearer {settings.api_key}", "user-agent": "cobot-meter"}
        if settings.title:
            common["x-openrouter-title"] = settings.title
        self._posts = ChatPosts(
            client,
            url=f"{base_url}/chat/completions",
            headers=common,
            answer_bytes_max=settings.answer_bytes_max,
            timeout_s=settings.timeout_s,
        )
        self._get_headers = httpx.Headers(
            {**common, "accept": "application/json", "accept-encoding": "gzip"}
        )

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        """One POST of `/chat/completions`, always streamed: the pieces, then the summary.

        `on_started` hears the id from the header, or from the answer where there is none; it is
        outside every time limit and every translation here. Raises RequestInvalid,
        UpstreamUnreachable and UpstreamRefused (not charged), UpstreamFailed, OutcomeUnknown.
        """
        deadline = self._posts.deadline(within_ms)
        body = request_body(
            call,
            price_cap=price_cap,
            deny_training=self._settings.deny_training,
            parameters=self._parameters.get(call.model),
        )
        posts = self._posts
        response = await posts.send(body, deadline)
        del body  # it may be a megabyte, and was sent
        try:
            generation_id = outside.identifier(header_of(response, _GENERATION_ID)) or ""
            fault = None
            if response.status_code != OK:
                fault = fault_of_run(ERRORS, await posts.refusal(response, deadline))
            if generation_id and not isinstance(fault, UpstreamRefused):
                await on_started(generation_id)
            if fault:
                try:
                    raise fault
                finally:
                    del fault  # a frame that holds its own fault stays, and the whole body with it
            with contextlib.closing(
                posts.completion(response, generation_id, deadline, DIALECT)
            ) as reading:
                await reading.begin(on_started)
                while (piece := await reading.next()) is not None:
                    yield piece
                completion = await reading.completion()
        finally:
            await posts.close(response)
        yield completion

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:  # noqa: ARG002 - the port
        """`GET /generation?id=`: the record, with its cost in pico-USD.

        Raises CostNotYetKnown while there is none, UpstreamRefused when our key may not ask, and
        UpstreamUnreachable.
        """
        answer = await self._get(httpx.URL(self._generation_url + quote(generation_id, safe="")))
        if answer.status != OK:
            raise fault_of_lookup(ERRORS, answer, generation_id)
        return generation_cost_from(answer.body, generation_id)

    async def models(self) -> tuple[Model, ...]:
        """`GET /models`: those that can be priced, in pico-USD for each unit.

        Which parameters each takes is remembered until the next list. Raises UpstreamUnreachable,
        UpstreamRefused.
        """
        models = models_from(await self._query(self._models_url), upstream=self.name)
        self._parameters = {model.model_id: model.parameters for model in models}
        return models

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        """`GET /models/{id}/endpoints`: those that can be priced; none for an unknown model (404).

        Raises UpstreamUnreachable, UpstreamRefused.
        """
        path = f"{self._models_url}/{quote(model_id, safe='/:')}/endpoints"
        answer = await self._get(httpx.URL(path), bytes_max=ENDPOINTS_BYTES_MAX)
        if answer.status == _NOT_FOUND:
            return ()
        if answer.status != OK:
            raise fault_of_query(ERRORS, answer)
        return endpoints_from(answer.body)

    async def usage_pusd(self) -> int:
        """`GET /key`: all that our key has ever spent, in pico-USD, what providers took (BYOK) too.

        Raises UpstreamUnreachable, UpstreamRefused.
        """
        return key_usage_pusd(await self._query(self._key_url))

    @property
    def name(self) -> str:
        """The account's name from the settings, which its models and runs bear."""
        return self._settings.name

    def account_holders(self) -> tuple[AccountHolder, ...]:
        """This account alone; nobody is asked."""
        return (self,)

    async def account(self) -> UpstreamAccount:
        """`GET /key` and `GET /credits`: what is left of the key's limit and of the account.

        In pico-USD. `/credits` is for management keys: 403 says no more than that, and what is left
        of the account is then None. Raises UpstreamUnreachable, UpstreamRefused.
        """
        key = await self._query(self._key_url)
        credit = await self._get(self._credits_url)
        if credit.status not in {OK, _FORBIDDEN}:
            raise fault_of_query(ERRORS, credit)
        return account_from(key, credit.body if credit.status == OK else None)

    async def ping(self) -> None:
        """Return when `GET /key` answers 200: it needs a valid key, and costs nothing.

        Raises UpstreamUnreachable, UpstreamRefused.
        """
        await self._query(self._key_url)

    async def _query(self, url: httpx.URL) -> bytes:
        answer = await self._get(url)
        if answer.status != OK:
            raise fault_of_query(ERRORS, answer)
        return answer.body

    async def _get(self, url: httpx.URL, *, bytes_max: int | None = None) -> HttpAnswer:
        """One GET, read whole. Raises UpstreamUnreachable when no whole answer came."""
        return await get_whole(
            self._client,
            url,
            self._get_headers,
            timeout_s=self._settings.query_timeout_s,
            bytes_max=bytes_max or self._settings.query_bytes_max,
        )
