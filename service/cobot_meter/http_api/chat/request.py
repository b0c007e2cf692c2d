"""A chat request's bytes, checked before any money is reserved.

What passes holds only fields we know, so that nothing reaches the upstream that could change who
answers or what it costs. Functions that the model may call are passed on as they are, and counted
as prompt to the last byte; tools that the upstream would run itself are refused, because each call
costs what no ceiling says. Whether the model exists is asked where the quote is made. Must not
know: HTTP, callers, prices or the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.pricing.quotes import CallerTerms
from cobot_meter.domain.privacy.detector import Look, nothing_seen
from cobot_meter.domain.routing.hints import Hints
from cobot_meter.domain.routing.rules import bounded_turn
from cobot_meter.domain.routing.virtual import is_virtual
from cobot_meter.domain.upstream.completions import DEFAULT_MAX_TOKENS, CompletionRequest
from cobot_meter.http_api.chat.fields import (
    REASONING_FIELDS,
    STREAM_FIELDS,
    TOKENS_MAX,
    check_fields,
    check_object,
    is_int,
    refuse,
    shown,
)
from cobot_meter.http_api.chat.hints import MEMBER, HeaderLines, no_headers, read_hints
from cobot_meter.http_api.chat.messages import check_messages, count_images, last_turn
from cobot_meter.http_api.chat.panels import instruction, panel_kind
from cobot_meter.http_api.chat.privacy import AskedPrivacy
from cobot_meter.http_api.chat.providers import check_provider, provider_choice
from cobot_meter.http_api.http.json_request import (
    JsonRequest,
    one_form,
    read_json_request,
)

TOOLS_MAX = 256
NAME_CHARS_MAX = 128
_CHOICES = ("none", "auto", "required")
_FUNCTION = "function"


def check_tools(document: Mapping[str, Any]) -> dict[str, Any]:
    """`tools` and `tool_choice` to forward; nothing without tools. Raises RequestInvalid."""
    tools, choice = document.get("tools"), document.get("tool_choice")
    if not tools and tools in (None, []):
        if _word(choice) not in (None, "none", "auto"):
            raise refuse("tool_choice", "absent where there are no tools", choice)
        return {}
    if not isinstance(tools, list) or len(tools) > TOOLS_MAX:
        raise refuse("tools", f"a list of at most {TOOLS_MAX} functions", tools)
    tools = [_nested(tool) for tool in tools]
    names = [_name(f"tools[{at}]", tool) for at, tool in enumerate(tools)]
    if choice is None:
        return {"tools": tools}
    return {"tools": tools, "tool_choice": _choice(choice, names)}


def _nested(tool: object) -> object:
    """A function as chat completions have it; the Responses API writes its members flat."""
    if not isinstance(tool, dict) or tool.get("type", _FUNCTION) != _FUNCTION:
        return tool
    if _FUNCTION in tool:
        return tool if "type" in tool else {"type": _FUNCTION, **tool}
    flat = {name: value for name, value in tool.items() if name != "type"}
    return {"type": _FUNCTION, _FUNCTION: flat} if "name" in flat else tool


def _name(path: str, tool: object) -> str:
    if not isinstance(tool, dict):
        raise refuse(path, "an object of type function", tool)
    if tool.get("type") != _FUNCTION:
        message = (
            f"{path}.type: only functions that you run yourself are offered, not "
            f"{shown(tool.get('type'))}; what the upstream runs has no price that we could promise."
        )
        raise RequestInvalid(message, param=f"{path}.type")
    function = tool.get(_FUNCTION)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS_MAX:
        raise refuse(f"{path}.function.name", "the name of a function", name)
    return name


def _choice(choice: object, names: list[str]) -> object:
    """A word, or one function; also as other interfaces write them (`any`, `{"type": "tool"}`)."""
    word = _word(choice)
    if isinstance(word, str) and word in _CHOICES:
        return word
    named = _named(choice) if isinstance(choice, dict) else None
    if named not in names:
        wanted = f"one of {', '.join(_CHOICES)}, or one of the functions in tools"
        raise refuse("tool_choice", wanted, choice)
    return {"type": _FUNCTION, _FUNCTION: {"name": named}}


def _word(choice: object) -> object:
    word = choice.get("type") if isinstance(choice, dict) and len(choice) == 1 else choice
    return "required" if word == "any" else word


def _named(choice: Mapping[str, Any]) -> object:
    if choice.get("type") not in {_FUNCTION, "tool"}:
        return None
    function = choice.get(_FUNCTION)
    return (function if isinstance(function, dict) else choice).get("name")


MODEL_CHARS_MAX = 200
CHAIN_MAX = 8
_MODEL_VARIANTS = (":online", ":nitro")
_PRESET = "@preset"
_RESPONSE_FORMATS = ("text", "json_object", "json_schema")
_TEXT_FORMAT = {"type": "text"}
_BLANKS = b" \t\r\n"
# What goes to the upstream as it came, however deep, and counts as prompt to the last byte.
_WHOLE = frozenset({"messages", "response_format", "tool_choice", "tools"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A checked request; `include_usage` is how its stream is to end.

    `digest` is the same however the request is written (`json_request.py`).
    """

    completion: CompletionRequest
    include_usage: bool
    digest: str


def is_empty(body: bytes) -> bool:
    """Zero bytes, blanks or `{}`: how directories of paid routes ask for a challenge."""
    stripped = body.strip(_BLANKS)
    in_braces = stripped[:1] == b"{" and stripped[-1:] == b"}"
    return not stripped or (in_braces and not stripped[1:-1].strip(_BLANKS))


def capped(_digest: str, hints: Hints) -> CallerTerms:
    """The caller's own cap, and nothing beside it."""
    return CallerTerms(max_cost=hints.max_cost)


def parse_chat_request(
    body: bytes,
    *,
    lines: HeaderLines = no_headers,
    read_terms: Callable[[str, Hints], CallerTerms] = capped,
    look: Look = nothing_seen,
) -> ChatRequest:
    """The request in `body`. Raises RequestInvalid, with the field as OpenAI names it.

    Hints, in header `lines` or in the body, and the terms for its digest are read once the body is
    sound: of two faults the body's is told first. `look` says what in it is private.
    """
    read = read_json_request(body, wanted="model and messages")
    document = _to_forward(read)
    fields = check_fields(document)
    checked = check_messages(document.get("messages"))
    hints = read_hints(document.get(MEMBER), lines)
    kind = panel_kind(document, hints)
    image_count, image_bytes = count_images(checked)
    told = checked if kind is None else [*checked, instruction(kind)]
    messages = orjson.dumps(told)
    prompt_bytes = len(messages) - image_bytes
    prompt_bytes += _add_format(fields, document) + _add_tools(fields, document)
    max_tokens = _max_tokens(document)
    reasoning = _reasoning(document, max_tokens or DEFAULT_MAX_TOKENS)
    if reasoning:
        fields["reasoning"] = reasoning
    providers = None
    if document.get("provider") is not None:
        fields["provider"] = check_provider(document["provider"])
        providers = provider_choice(fields["provider"])
    model, *others = models = _models(document)
    privacy = AskedPrivacy(fields, checked, models, hints.privacy, look).settled()
    fields = {"model": model, "messages": orjson.Fragment(messages), **fields}
    key = read.digest_with(hints.identity)
    return ChatRequest(
        completion=CompletionRequest(
            # A copy of its own length: orjson's buffer has up to twice as much, for as long as the
            # caller waits.
            body=Body(bytes(memoryview(orjson.dumps(fields)))),
            model=model,
            max_tokens=max_tokens,
            prompt_bytes=prompt_bytes,
            message_count=len(told),
            stream=document.get("stream") is True,
            fallback_models=tuple(others),
            terms=read_terms(key, hints),
            hints=hints,
            privacy=privacy,
            turn=bounded_turn(last_turn(checked)) if is_virtual(model) and kind is None else "",
            image_count=image_count,
            providers=providers,
            demands=_demands(fields),
            own_terms=bool(fields.get("provider")),
            asks_reasoning=_asks_reasoning(fields),
        ),
        include_usage=_include_usage(document.get("stream_options")),
        digest=key,
    )


def _add_format(fields: dict[str, Any], document: Mapping[str, Any]) -> int:
    """Add the format that the answer must have to what is forwarded; its bytes of prompt."""
    asked = document.get("response_format")
    if asked in (None, {}, {"type": "text"}):
        return 0
    fields["response_format"] = _response_format(asked)
    return len(orjson.dumps(fields["response_format"]))


def _add_tools(fields: dict[str, Any], document: Mapping[str, Any]) -> int:
    """Add the tools to what is forwarded; how many bytes of prompt they are."""
    tools = check_tools(document)
    if not tools:
        fields.pop("parallel_tool_calls", None)  # says nothing, and few providers know it
        return 0
    fields.update(tools)
    return len(orjson.dumps(tools))


def _to_forward(read: JsonRequest) -> dict[str, Any]:
    """The members; what counts as prompt has the numbers of the digest.

    Else a quote for `[1,1]` would hold for `[1.0,1.0]`, which is twice the prompt. All other
    numbers are checked as they were written.
    """
    if not read.has_whole_floats:
        return read.document
    return {
        name: one_form(value) if name in _WHOLE else value for name, value in read.document.items()
    }


def _models(document: dict[str, Any]) -> list[str]:
    """`model`, and after it those of `models`: who is asked, one after the other.

    A model that is named in both is asked once; saying it again means that nobody else is wanted.
    """
    others = document.get("models")
    if others is None:
        others = []
    if not isinstance(others, list) or len(others) > CHAIN_MAX:
        raise refuse("models", f"a list of at most {CHAIN_MAX} model ids", others)
    if document.get("model") is None and others:
        return [_model(f"models[{at}]", model) for at, model in enumerate(others)]
    first = _model("model", document.get("model"))
    return [first, *(_model(f"models[{at}]", model) for at, model in enumerate(others))]


def _model(param: str, model: object) -> str:
    if model is None:
        message = f"{param} is missing; GET /v1/models lists those that are offered."
        raise RequestInvalid(message, param=param)
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_CHARS_MAX:
        raise refuse(param, "a model id, such as those of GET /v1/models", model)
    variant = next((each for each in _MODEL_VARIANTS if each in model), None)
    if variant or _PRESET in model:
        message = f"{param}: {variant or _PRESET} is not offered yet; remove it from the model id."
        raise RequestInvalid(message, param=param)
    return model


def _max_tokens(document: dict[str, Any]) -> int:
    """What was asked for under either name; 0 when it was under none."""
    asked = {
        name: document[name]
        for name in ("max_tokens", "max_completion_tokens")
        if document.get(name) is not None
    }
    for name, value in asked.items():
        if not is_int(value, 1, TOKENS_MAX):
            raise refuse(name, "a whole number of tokens, 1 or more", value)
    if len(set(asked.values())) > 1:
        message = "max_tokens and max_completion_tokens differ; send only one of them."
        raise RequestInvalid(message, param="max_completion_tokens")
    return next(iter(asked.values()), 0)


def _reasoning(document: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """OpenRouter's object, or OpenAI's one word as that object."""
    whole, word = document.get("reasoning"), document.get("reasoning_effort")
    if word is not None:
        if whole is not None:
            message = "reasoning and reasoning_effort say the same; send only one of them."
            raise RequestInvalid(message, param="reasoning_effort")
        effort = REASONING_FIELDS["effort"]
        if not effort.fits(word):
            raise refuse("reasoning_effort", effort.wanted, word)
        return {"effort": word}
    if whole is None:
        return {}
    reasoning = check_object("reasoning", whole, REASONING_FIELDS)
    if "effort" in reasoning and "max_tokens" in reasoning:
        message = "reasoning takes effort or max_tokens, not both."
        raise RequestInvalid(message, param="reasoning")
    if reasoning.get("max_tokens", 0) >= max_tokens:
        wanted = f"less than max_tokens, which is {max_tokens}"
        raise refuse("reasoning.max_tokens", wanted, reasoning["max_tokens"])
    return reasoning


def _asks_reasoning(fields: Mapping[str, Any]) -> bool:
    """Whether the model is to think first; who switches it off says so too."""
    reasoning = fields.get("reasoning", {})
    off = reasoning.get("enabled") is False or reasoning.get("effort") == "none"
    return (bool(reasoning) and not off) or bool(fields.get("include_reasoning"))


def _response_format(value: object) -> dict[str, Any]:
    """One of OpenAI's three; a schema is passed on whole, and counted as prompt."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind not in _RESPONSE_FORMATS:
        wanted = f"an object whose type is one of {', '.join(_RESPONSE_FORMATS)}"
        raise refuse("response_format", wanted, value)
    if kind != "json_schema":
        return {"type": kind}
    schema = value.get("json_schema")
    if not isinstance(schema, dict) or not isinstance(schema.get("name"), str):
        raise refuse("response_format.json_schema", "an object with name and schema", schema)
    return {"type": kind, "json_schema": schema}


def _demands(fields: dict[str, Any]) -> frozenset[str]:
    """What the answer is not what was asked for without; every other parameter is a wish."""
    demands = {name for name in ("logprobs", "top_logprobs", "tools") if fields.get(name)}
    if fields.get("tool_choice") not in (None, "none", "auto"):
        demands.add("tool_choice")
    if fields.get("response_format", _TEXT_FORMAT) != _TEXT_FORMAT:
        demands.add("response_format")
    return frozenset(demands)


def _include_usage(options: object) -> bool:
    if options is None:
        return False
    return check_object("stream_options", options, STREAM_FIELDS).get("include_usage") is True
