"""The upstream port over a local Ollama: its OpenAI-shaped endpoint, and our own meter for a bill.

Must not know: callers, prices of ours, or other upstreams. A generation has a name of ours before
it is sent, so that whatever becomes of it can be looked up. Nothing is ever repeated here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from cobot_meter.adapters.upstreams.answer_stream import Dialect
from cobot_meter.adapters.upstreams.chat_posts import OK, ChatPosts, ask_whole
from cobot_meter.adapters.upstreams.http_errors import HttpAnswer, fault_of_query
from cobot_meter.adapters.upstreams.ollama.contexts import SizedModels
from cobot_meter.adapters.upstreams.ollama.meter import MeterFile
from cobot_meter.adapters.upstreams.ollama.taxonomy import ERRORS
from cobot_meter.adapters.upstreams.ollama.wire import (
    called_as_ours,
    cost_by_tariff,
    fault_of_answer,
    names_missing,
    priced_as_ours,
    request_body,
    served_model,
)
from cobot_meter.domain.errors import (
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamFaultKind,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
)
from cobot_meter.domain.upstream.endpoints import Endpoint
from cobot_meter.ports.upstream import AccountHolder, AnswerFeed, TellGeneration

_BAD_REQUEST = 400


class _CostsNothing:
    """A failure has no cost here, whatever it says of tokens."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        """Raises UpstreamFailed without a cost in place of one with it."""
        if isinstance(fault, UpstreamFailed):
            raise UpstreamFailed(fault.message, kind=fault.kind) from fault


_COSTS_NOTHING = _CostsNothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSettings:
    """Where Ollama is, which of its models are sold, and how long and how large answers may be.

    `name` is its own among our upstreams, which its models bear too. `base_url` is without `/v1`.
    Without `models` nothing is ever sent there.
    """

    name: str
    base_url: str
    models: tuple[Model, ...]
    timeout_s: float = 300.0
    query_timeout_s: float = 10.0
    answer_bytes_max: int = 8 * 1_024 * 1_024
    query_bytes_max: int = 1_024 * 1_024


class Ollama:
    """One Ollama and its meter, behind the port `Upstream`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: OllamaSettings,
        *,
        meter: MeterFile,
        new_id: Callable[[], str],
    ) -> None:
        """`client` and `meter` are not closed here. `new_id` gives a name that never was."""
        self._client = client
        self._settings = settings
        self._meter = meter
        self._new_id = new_id
        self._models = {model.model_id: model for model in settings.models}
        base_url = settings.base_url.rstrip("/")
        self._base_url = base_url
        self._sized_models = SizedModels(self._asked)
        headers = {"user-agent": "cobot-meter"}
        self._get_headers = httpx.Headers({**headers, "accept": "application/json"})
        self._posts = ChatPosts(
            client,
            url=f"{base_url}/v1/chat/completions",
            headers=headers,
            answer_bytes_max=settings.answer_bytes_max,
            timeout_s=settings.timeout_s,
        )

    @property
    def name(self) -> str:
        """The name from the settings, which its models and runs bear."""
        return self._settings.name

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        """One POST of `/v1/chat/completions`: the pieces, then the summary, priced by the tariff.

        The meter has the run before it is sent, and its cost before the summary is given on.
        `on_started` also hears of what broke before it was answered. Raises RequestInvalid,
        UpstreamUnreachable and UpstreamRefused (nothing ran), UpstreamFailed (at no cost) and
        OutcomeUnknown.
        """
        deadline = self._posts.deadline(within_ms)
        model = self._model(call.model, price_cap)
        name = await self._sized_models.name_of(model)
        body, naming = request_body(call, model, name=name), called_as_ours(model, name=name)
        generation_id = self._new_id()
        try:
            await self._meter.started(generation_id, model=model.model_id)
            response = await self._sent(body, deadline, generation_id, on_started)
            del body  # it may be a megabyte, and was sent
            try:
                await self._begun(response, deadline, generation_id, on_started)
                dialect = Dialect(cost_by_tariff(model), ERRORS, naming)
                with (
                    _COSTS_NOTHING,
                    contextlib.closing(
                        self._posts.completion(response, generation_id, deadline, dialect)
                    ) as reading,
                ):
                    await reading.begin(_named_already)
                    while (piece := await reading.next()) is not None:
                        yield piece
                    completion = priced_as_ours(await reading.completion(), naming=naming)
            finally:
                await self._posts.close(response)
            await self._meter.ended(
                generation_id,
                model=served_model(completion),
                cost_pusd=pusd_from_text(completion.inline_cost or "0"),
                tokens=(completion.prompt_tokens, completion.completion_tokens),
            )
        finally:
            self._meter.over(generation_id)
        yield completion

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:  # noqa: ARG002 - the port
        """What the meter says the run cost, in pico-USD; nobody is asked.

        0 for one that is over without a cost. Raises CostNotYetKnown while it runs, and for a run
        that the meter does not know.
        """
        return self._meter.cost(generation_id)

    async def models(self) -> tuple[Model, ...]:
        """The operator's list from the settings, whether Ollama is there or not."""
        return self._settings.models

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:  # noqa: ARG002 - the port
        """Always empty: there is nobody to choose from, and nothing to ask."""
        return ()

    async def usage_pusd(self) -> int:
        """What all runs ever cost, in pico-USD, by the meter; nobody is asked."""
        return self._meter.total_pusd

    def account_holders(self) -> tuple[AccountHolder, ...]:
        """Always empty: a machine of our own has no credit that could run low."""
        return ()

    async def ping(self) -> None:
        """Return when `GET /v1/models` answers 200. Raises UpstreamUnreachable, UpstreamRefused."""
        await self._listed()

    async def missing(self) -> tuple[str, ...]:
        """Names of our models that are not there. Raises UpstreamUnreachable, UpstreamRefused."""
        try:
            return names_missing(await self._listed(), self._settings.models)
        except ValueError as fault:
            raise UpstreamUnreachable("the upstream's model list cannot be read") from fault

    def _model(self, model_id: str, price_cap: ModelPrice) -> Model:
        """The model, at no more than was quoted. Raises UpstreamRefused: nothing has been sent."""
        model = self._models.get(model_id)
        if model is None:
            words = f"{model_id[:80]} is not offered by this upstream"
        elif not model.price.is_within(price_cap):
            words = f"{model_id} costs more by now than was quoted"
        else:
            return model
        raise UpstreamRefused(words, status=_BAD_REQUEST, kind=UpstreamFaultKind.NOT_FOUND)

    async def _sent(
        self, body: bytes, deadline: float, generation_id: str, on_started: TellGeneration
    ) -> httpx.Response:
        try:
            return await self._posts.send(body, deadline)
        except OutcomeUnknown:
            await on_started(generation_id)
            raise

    async def _begun(
        self,
        response: httpx.Response,
        deadline: float,
        generation_id: str,
        on_started: TellGeneration,
    ) -> None:
        """Return for a 200, its generation stored. Raises UpstreamRefused and UpstreamFailed."""
        if response.status_code == OK:
            await on_started(generation_id)
            return
        fault = fault_of_answer(await self._posts.refusal(response, deadline))
        if not isinstance(fault, UpstreamRefused):
            await on_started(generation_id)
        try:
            raise fault
        finally:
            del fault  # a frame that holds its own fault stays, and the whole body with it

    async def _listed(self) -> bytes:
        return (await self._asked("/v1/models")).body

    async def _asked(self, path: str, body: bytes = b"") -> HttpAnswer:
        """One answer of Ollama's own endpoints, or the fault that a list was refused with."""
        answer = await ask_whole(
            self._client,
            httpx.URL(f"{self._base_url}{path}"),
            self._get_headers,
            body=body,
            timeout_s=self._settings.query_timeout_s,
            bytes_max=self._settings.query_bytes_max,
        )
        if answer.status != OK and not body:
            raise fault_of_query(ERRORS, answer)
        return answer


async def _named_already(generation_id: str) -> None:
    """The name is ours: what the answer calls itself is of no use."""
