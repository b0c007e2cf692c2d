"""The fields of a chat request beside its messages: what each may hold, and what is not offered.

Null stands for absent, as in OpenAI's API. Must not know: messages, models, prices or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from cobot_meter.domain.errors import RequestInvalid

SHOWN_MAX = 40
TOKENS_MAX = 2**31 - 1
STOPS_MAX = 4
STOP_CHARS_MAX = 500
LOGIT_BIASES_MAX = 1_024
METADATA_PAIRS_MAX = 16
METADATA_KEY_MAX = 64
METADATA_VALUE_MAX = 512
USER_CHARS_MAX = 512
ID_CHARS_MAX = 256

Check = Callable[[Any], bool]


class Field(NamedTuple):
    """What fits, as a check and in words; `forwarded` says whether the upstream is told."""

    fits: Check
    wanted: str
    forwarded: bool = True


def shown(value: object) -> str:
    """A JSON value as it is quoted back in a refusal."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def refuse(param: str, wanted: str, value: object) -> RequestInvalid:
    """The error for a field that holds something else."""
    return RequestInvalid(f"{param} must be {wanted}, not {shown(value)}.", param=param)


def not_offered(param: str) -> RequestInvalid:
    """The error for a field whose feature this service does not have."""
    return RequestInvalid(f"{param} is not offered yet; remove it.", param=param)


def is_int(value: object, low: int, high: int) -> bool:
    """A whole number, written as one: neither 1.0 nor true."""
    return type(value) is int and low <= value <= high


def is_positive(value: object) -> bool:
    """A number over zero, and none too large to be meant."""
    return _number(0, TOKENS_MAX)(value) and value != 0


def _number(low: float, high: float) -> Check:
    def fits(value: object) -> bool:
        return type(value) in {int, float} and low <= value <= high  # type: ignore[operator]

    return fits


def _integer(low: int, high: int) -> Check:
    return lambda value: is_int(value, low, high)


def is_flag(value: object) -> bool:
    """`true` or `false`."""
    return value is True or value is False


def one_of(*words: str) -> Check:
    """One of these words, as they are written."""
    return lambda value: isinstance(value, str) and value in words


def _text(chars_max: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= chars_max


def _stop(value: object) -> bool:
    stops = value if isinstance(value, list) else [value]
    return len(stops) <= STOPS_MAX and all(
        isinstance(stop, str) and 0 < len(stop) <= STOP_CHARS_MAX for stop in stops
    )


def _logit_bias(value: object) -> bool:
    bias = _number(-100, 100)
    return (
        isinstance(value, dict)
        and len(value) <= LOGIT_BIASES_MAX
        and all(map(bias, value.values()))
    )


def _metadata(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= METADATA_PAIRS_MAX
        and all(
            len(key) <= METADATA_KEY_MAX
            and isinstance(text, str)
            and len(text) <= METADATA_VALUE_MAX
            for key, text in value.items()
        )
    )


def _cache_control(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"type", "ttl"}
        and one_of("ephemeral")(value.get("type"))
        and one_of("5m", "1h")(value.get("ttl", "5m"))
    )


FIELDS: Mapping[str, Field] = {
    "temperature": Field(_number(0, 2), "a number from 0 to 2"),
    "top_p": Field(_number(0, 1), "a number from 0 to 1"),
    "min_p": Field(_number(0, 1), "a number from 0 to 1"),
    "top_a": Field(_number(0, 1), "a number from 0 to 1"),
    "top_k": Field(_integer(0, TOKENS_MAX), "a whole number, 0 or more"),
    "frequency_penalty": Field(_number(-2, 2), "a number from -2 to 2"),
    "presence_penalty": Field(_number(-2, 2), "a number from -2 to 2"),
    "repetition_penalty": Field(_number(0, 2), "a number from 0 to 2"),
    "seed": Field(_integer(-(2**63), 2**63 - 1), "a whole number of 64 bits"),
    "stop": Field(_stop, f"a text, or a list of at most {STOPS_MAX} texts"),
    "logprobs": Field(is_flag, "true or false"),
    "top_logprobs": Field(_integer(0, 20), "a whole number from 0 to 20"),
    "logit_bias": Field(_logit_bias, "an object of numbers from -100 to 100 by token id"),
    "parallel_tool_calls": Field(is_flag, "true or false"),
    "structured_outputs": Field(is_flag, "true or false"),
    "include_reasoning": Field(is_flag, "true or false"),
    "session_id": Field(_text(ID_CHARS_MAX), f"a text of at most {ID_CHARS_MAX} characters"),
    "prompt_cache_key": Field(_text(ID_CHARS_MAX), f"a text of at most {ID_CHARS_MAX} characters"),
    # Every write to a cache is in the ceiling, at its dearest.
    "cache_control": Field(_cache_control, 'an object such as {"type": "ephemeral"}'),
    "verbosity": Field(one_of("low", "medium", "high"), "low, medium or high"),
    # Checked, and not told to the upstream: it is given a tag of ours, and bills no tier of choice.
    "user": Field(
        _text(USER_CHARS_MAX), f"a text of at most {USER_CHARS_MAX} characters", forwarded=False
    ),
    "metadata": Field(
        _metadata, f"an object of at most {METADATA_PAIRS_MAX} short texts", forwarded=False
    ),
    "n": Field(
        lambda value: is_int(value, 1, 1), "1: one answer for each request", forwarded=False
    ),
    "service_tier": Field(one_of("auto", "default"), "auto or default", forwarded=False),
    "modalities": Field(lambda value: value == ["text"], '["text"]', forwarded=False),
    "stream": Field(is_flag, "true or false", forwarded=False),
}

REASONING_FIELDS: Mapping[str, Field] = {
    "effort": Field(
        one_of("max", "xhigh", "high", "medium", "low", "minimal", "none"),
        "max, xhigh, high, medium, low, minimal or none",
    ),
    "max_tokens": Field(_integer(1, TOKENS_MAX), "a whole number of tokens, 1 or more"),
    "exclude": Field(is_flag, "true or false"),
    "enabled": Field(is_flag, "true or false"),
    "summary": Field(one_of("auto", "concise", "detailed"), "auto, concise or detailed"),
}

STREAM_FIELDS: Mapping[str, Field] = {"include_usage": Field(is_flag, "true or false")}

NOT_OFFERED = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "plugins",
        "prediction",
        "preset",
        "route",
        "transforms",
        "web_search_options",
    }
)


# Of a field that takes a list or an object an empty one says nothing, and is not passed on: the
# upstream would look for a provider who understands it.
_CONTAINERS = frozenset({"cache_control", "logit_bias", "metadata", "modalities", "stop"})
# What these say is what happens anyway; so they are neither refused nor passed on.
_SAYS_NOTHING: Mapping[str, Check] = {
    "function_call": one_of("none"),
    "plugins": lambda value: isinstance(value, list) and all(map(_is_switched_off, value)),
    "route": one_of("fallback"),
    "transforms": lambda value: isinstance(value, list) and all(map(one_of("middle-out"), value)),
}


def _is_switched_off(plugin: object) -> bool:
    return isinstance(plugin, dict) and plugin.get("enabled") is False


def check_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to forward. Raises RequestInvalid; fields nobody knows are passed over."""
    forwarded: dict[str, Any] = {}
    for name, value in document.items():
        if value is None or (value in ([], {}) and name in _CONTAINERS):
            continue
        field = FIELDS.get(name)
        if field is not None:
            if not field.fits(value):
                raise refuse(name, field.wanted, value)
            if field.forwarded:
                forwarded[name] = value
        elif name in NOT_OFFERED and value not in ([], {}, "", False):
            says_nothing = _SAYS_NOTHING.get(name)
            if says_nothing is None or not says_nothing(value):
                raise not_offered(name)
    return forwarded


def check_object(name: str, value: object, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The known fields of an object. Raises RequestInvalid."""
    if not isinstance(value, dict):
        raise refuse(name, "an object", value)
    checked: dict[str, Any] = {}
    for key, field in fields.items():
        part = value.get(key)
        if part is None:
            continue
        if not field.fits(part):
            raise refuse(f"{name}.{key}", field.wanted, part)
        checked[key] = part
    return checked
