"""The functions a model may call: passed on as they are, and counted as prompt to the last byte.

Tools that the upstream would run itself are refused, because each call costs what no ceiling says.
Must not know: messages, models, prices or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.errors import RequestInvalid
from service.http_api.chat_fields import refuse, shown

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
