"""Ollama's OpenAI-shaped JSON, one way and the other, and what its tokens cost by our tariff.

Must not know: sockets, or where the meter lies. Ollama is a machine of our own: what it did not
finish, nobody is charged for. Sources: Ollama's OpenAI compatibility page and its source.
"""

from __future__ import annotations

import re
from dataclasses import replace

import orjson

from cobot_meter.adapters.upstreams.answer_pieces import Naming
from cobot_meter.adapters.upstreams.answer_stream import CostOf
from cobot_meter.adapters.upstreams.error_taxonomy import error_of
from cobot_meter.adapters.upstreams.exact_json import (
    NumberText,
    checked_amount,
    exact_dumps,
    exact_loads,
    plain_loads,
)
from cobot_meter.adapters.upstreams.http_errors import HttpAnswer, fault_of_run, words_of
from cobot_meter.adapters.upstreams.ollama.taxonomy import ERRORS
from cobot_meter.domain import outside
from cobot_meter.domain.errors import (
    OutcomeUnknown,
    RequestInvalid,
    UpstreamFailed,
    UpstreamFaultKind,
    UpstreamRefused,
)
from cobot_meter.domain.money import pusd_from_decimal, usd_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Model, UpstreamCall, UpstreamCompletion

PROVIDER = "Ollama"
_BUSY = 503
_NOT_FOUND = 404
_BAD_REQUEST = 400
_NO_EFFORT = "none"
_EFFORTS = {"max": "high", "xhigh": "high", "minimal": "low"}
_TOKENS_PER_PRICE = 1_000_000
# What Ollama's chat endpoint reads; all else of a request is not for it.
_FORWARDED = (
    "frequency_penalty",
    "logprobs",
    "messages",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "temperature",
    "tools",
    "top_logprobs",
    "top_p",
)
_SUPPORTED = sorted({*_FORWARDED, "max_tokens", "reasoning"} - {"messages"})
_NOT_THIS_MODEL = re.compile(r"does not support|not found", re.IGNORECASE)
DEFAULT_TAG = ":latest"


def model_prefix(upstream: str) -> str:
    """What the ids of all models of the upstream of this name begin with."""
    return f"{upstream}/"


def generation_prefix(upstream: str) -> str:
    """What the ids of all its generations begin with."""
    return f"{upstream}-"


def local_model(name: str, *, upstream: str, context_length: int, price: ModelPrice) -> Model:
    """A model as the list has it; `name` is what Ollama calls it."""
    model_id = model_prefix(upstream) + name
    document = {
        "id": model_id,
        "name": f"{PROVIDER}: {name}",
        "created": 0,
        "description": "Runs on a machine of this service's operator.",
        "context_length": context_length,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": usd_text(price.prompt_pusd),
            "completion": usd_text(price.completion_pusd),
        },
        "top_provider": {
            "context_length": context_length,
            "max_completion_tokens": context_length,
            "is_moderated": False,
        },
        "supported_parameters": _SUPPORTED,
    }
    return Model(
        model_id=model_id,
        price=price,
        context_length=context_length,
        max_completion_tokens=context_length,
        document=orjson.dumps(document),
        upstream=upstream,
        parameters=frozenset(_SUPPORTED),
        cuts_prompts=True,
    )


def request_body(call: UpstreamCall, model: Model, *, name: str) -> bytes:
    """What Ollama knows of the caller's object: always streamed, always capped, usage asked for.

    `name` is what Ollama calls the model with its context. Takes the body. Raises RequestInvalid
    when it is not a JSON object, UpstreamRefused when the caller's own `provider.max_price` is
    under the tariff.
    """
    try:
        asked = orjson.loads(call.body.take())
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise RequestInvalid("the request body must be a JSON object")
    _refuse_over_wish(asked.get("provider"), model)
    document = {name: asked[name] for name in _FORWARDED if name in asked}
    _choose_tools(asked.get("tool_choice"), document, model)
    document |= _thinking(asked.get("reasoning"))
    if isinstance(document.get("messages"), list):
        document["messages"] = [_in_its_roles(message) for message in document["messages"]]
    document["model"] = name
    document["max_tokens"] = call.max_tokens
    document["stream"] = True
    document["stream_options"] = {"include_usage": True}
    return bytes(memoryview(orjson.dumps(document)))


def cost_by_tariff(model: Model) -> CostOf:
    """The cost of a `usage` by the model's tariff, in USD as text.

    None for counts that are missing, no whole numbers or more than the model's context, and for
    none at all: an answer without a believable bill is not sold.
    """

    def cost_of(usage: dict[str, object]) -> str | None:
        prompt = _tokens(usage.get("prompt_tokens"), at_most=model.context_length)
        completion = _tokens(usage.get("completion_tokens"), at_most=model.context_length)
        if prompt is None or completion is None:
            return None
        cost_pusd = prompt * model.price.prompt_pusd + completion * model.price.completion_pusd
        unsaid = not completion or not (cost_pusd or model.price.free)
        return None if unsaid else usd_text(cost_pusd)

    return cost_of


def priced_as_ours(completion: UpstreamCompletion, *, naming: Naming) -> UpstreamCompletion:
    """Ollama's answer under our names: its id, the prefix before the model, the provider.

    Raises UpstreamFailed for an answer without a believable usage, or that cannot be written.
    """
    if completion.inline_cost is None:
        raise UpstreamFailed("the upstream did not say how many tokens its answer took")
    try:
        document = exact_loads(completion.body)
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY301, TRY004
        document["id"] = completion.generation_id
        document["object"] = "chat.completion"
        body = exact_dumps(naming(document))
    except (ValueError, TypeError) as fault:
        raise UpstreamFailed("the upstream's answer cannot be read") from fault
    return replace(completion, body=body)


def called_as_ours(model: Model, *, name: str) -> Naming:
    """What an answer is called here: the prefix before its model, and our word for its provider.

    `name` is the one under which the model was asked, which is nobody's but ours.
    """

    def naming(head: dict[str, object]) -> dict[str, object]:
        said = head.get("model")
        served = model.model_id if said == name else _served(said, model)
        return {**head, "model": served, "provider": PROVIDER}

    return naming


def served_model(completion: UpstreamCompletion) -> str:
    """The model that an answer of ours names."""
    document = exact_loads(completion.body)
    return str(document.get("model", "")) if isinstance(document, dict) else ""


def fault_of_answer(answer: HttpAnswer) -> UpstreamRefused | UpstreamFailed:
    """What an HTTP error in answer to a run means: it certainly cost nothing.

    Busy is said before anything ran. What one model cannot do, another one may.
    """
    if answer.status == _BUSY:
        kind = UpstreamFaultKind.OVERLOADED
        words = words_of(error_of(answer.body), kind, ERRORS, status=_BUSY)
        return UpstreamRefused(words, status=_BUSY, kind=kind)
    fault = fault_of_run(ERRORS, answer)
    if isinstance(fault, OutcomeUnknown):
        return UpstreamFailed(f"the upstream answered {answer.status}", kind=fault.kind)
    if fault.kind is UpstreamFaultKind.BAD_REQUEST and _NOT_THIS_MODEL.search(fault.message):
        return UpstreamRefused(fault.message, status=fault.status, kind=UpstreamFaultKind.NOT_FOUND)
    return fault


def names_missing(listed: bytes, wanted: tuple[Model, ...]) -> tuple[str, ...]:
    """Which of our models `GET /v1/models` does not list. Raises ValueError for no list."""
    document = plain_loads(listed)
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no list of models")  # noqa: TRY004
    there = {outside.identifier(row.get("id")) for row in rows if isinstance(row, dict)}
    names = (name_there(model) for model in wanted)
    return tuple(name for name in names if not {name, name + DEFAULT_TAG} & there)


def name_there(model: Model) -> str:
    """What Ollama calls it."""
    return model.model_id.removeprefix(model_prefix(model.upstream))


def _choose_tools(choice: object, document: dict[str, object], model: Model) -> None:
    """Ollama's models choose for themselves. Raises UpstreamRefused where that is not wanted."""
    if choice == "none":
        document.pop("tools", None)
    elif choice not in (None, "auto"):
        words = f"{model.model_id} does not take tool_choice"
        raise UpstreamRefused(words, status=_BAD_REQUEST, kind=UpstreamFaultKind.NOT_FOUND)


def _thinking(reasoning: object) -> dict[str, object]:
    """How much it thinks: not at all has a word of its own, others have fewer degrees here."""
    if not isinstance(reasoning, dict):
        return {}
    effort = reasoning.get("effort")
    if effort == _NO_EFFORT or (effort is None and reasoning.get("enabled") is False):
        return {"reasoning_effort": _NO_EFFORT}
    if not isinstance(effort, str):
        return {}
    return {"reasoning": {"effort": _EFFORTS.get(effort, effort)}}


def _in_its_roles(message: object) -> object:
    """Ollama's templates pass over a role that they do not know, and with it what it says."""
    if isinstance(message, dict) and message.get("role") == "developer":
        return {**message, "role": "system"}
    return message


def _refuse_over_wish(provider: object, model: Model) -> None:
    """Of a caller's preferences only his own limit in USD for a million tokens means anything."""
    wishes = provider.get("max_price") if isinstance(provider, dict) else None
    tariff = {"prompt": model.price.prompt_pusd, "completion": model.price.completion_pusd}
    for unit, unit_pusd in tariff.items():
        said = wishes.get(unit) if isinstance(wishes, dict) else None
        wish = None if said is None else checked_amount(str(said))
        if wish is not None and pusd_from_decimal(wish) < unit_pusd * _TOKENS_PER_PRICE:
            words = f"{model.model_id} costs more than provider.max_price.{unit}"
            raise UpstreamRefused(words, status=_NOT_FOUND, kind=UpstreamFaultKind.NOT_FOUND)


def _served(said: object, model: Model) -> str:
    if not isinstance(said, str) or not said:
        return model.model_id
    return model_prefix(model.upstream) + outside.text(said, most=outside.NAME_MAX)


def _tokens(value: object, *, at_most: int) -> int | None:
    """A count as read by `exact_loads`; digits in quotes are none."""
    return outside.count(value, most=at_most) if isinstance(value, NumberText) else None
