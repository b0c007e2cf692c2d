"""Whether one answer is what was asked for, as far as that can be told without a judge.

Its end, a refusal, the JSON that the request demands with its schema, code that does not parse.
What passes may be wrong all the same; what fails is no answer to this request. Must not know:
models, prices, or what is done about it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

ENDS_WELL = frozenset({"stop", "tool_calls"})
DEPTH_MAX = 32
CODE_CHARS_MAX = 200_000
_FENCE = re.compile(r"^```(?:python|py)[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}


def why_not(answer: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """Why the `chat.completion` does not answer this request, in a few words; empty where it does.

    `request` is the body that was sent.
    """
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return "there is no message"
    if choice.get("finish_reason") not in ENDS_WELL:
        return f"it ended with {str(choice.get('finish_reason'))[:40]}"
    if message.get("refusal"):
        return "it is a refusal"
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return next(_bad_calls(calls), "")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        return "it says nothing"
    return _not_in_format(content, request.get("response_format")) or _broken_code(content)


def _bad_calls(calls: list[Any]) -> Iterator[str]:
    """Arguments of functions that are no JSON."""
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        said = function.get("arguments") if isinstance(function, dict) else None
        if not isinstance(said, str) or not isinstance(_parsed(said or "{}"), dict):
            yield "the arguments of a call are no JSON object"


def _not_in_format(content: str, wanted: object) -> str:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or kind not in {"json_object", "json_schema"}:
        return ""
    value = _parsed(content)
    if value is _NOTHING:
        return "it is no JSON"
    if kind == "json_object":
        return "" if isinstance(value, dict) else "it is no JSON object"
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    return next(_faults(value, schema, "$", 0), "")


class _Nothing:
    """In place of what is no JSON."""


_NOTHING = _Nothing()


def _parsed(said: str) -> object:
    try:
        value: object = json.loads(said)
    except (ValueError, RecursionError):
        return _NOTHING
    return value


def _faults(value: object, schema: object, path: str, depth: int) -> Iterator[str]:
    """What of the value a schema does not allow: types, members, items, and lists of values.

    Words of a schema that are not known here allow everything.
    """
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return
    kinds = schema.get("type")
    if kinds is not None and not any(
        _is(value, kind) for kind in (kinds if isinstance(kinds, list) else [kinds])
    ):
        yield f"{path} is not of the type that the schema has"
        return
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        yield f"{path} is none of the values that the schema lists"
    if isinstance(value, dict):
        yield from _of_object(value, schema, path, depth)
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _faults(item, schema.get("items"), f"{path}[{at}]", depth + 1)


def _of_object(
    value: Mapping[str, object], schema: Mapping[str, Any], path: str, depth: int
) -> Iterator[str]:
    members = schema.get("properties")
    members = members if isinstance(members, dict) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            yield f"{path} lacks {str(name)[:40]}"
    for name, member in value.items():
        if name in members:
            yield from _faults(member, members[name], f"{path}.{name[:40]}", depth + 1)
        elif schema.get("additionalProperties") is False:
            yield f"{path} has a member that the schema has not"


def _is(value: object, kind: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == "integer":
        return whole
    if kind == "number":
        return whole or type(value).__name__ == "float"
    wanted = _TYPES.get(str(kind))
    return wanted is None or isinstance(value, wanted)


def _broken_code(content: str) -> str:
    """Python in a fence that does not parse; other languages are nobody's to judge here."""
    for code in _FENCE.findall(content[:CODE_CHARS_MAX]):
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "its Python does not parse"
    return ""
