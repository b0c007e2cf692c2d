"""In which form an answer is wanted: a text, JSON, or a call of one of the asker's functions.

Must not know: prices, tokens or HTTP.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from openrouter_simulator.shapes.plausible_text import plausible_answer
from openrouter_simulator.shapes.schema_values import value_for

_WORD = re.compile(r"[a-z]{4,}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CALL = re.compile(r"\b([A-Za-z_]\w{0,63})\((\{[^{}]{0,2000}\})\)")
_FORCED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function that the asker would run."""

    name: str
    parameters: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`function` is called instead of answering; `as_json` with the schema that it has to fit.

    An `obedient` model calls what the words themselves spell out, if they do.
    """

    function: Function | None = None
    as_json: bool = False
    schema: object = None
    obedient: bool = False

    def call(self, prompt: str, *, seed: str) -> ToolCall | None:
        """The call this form demands, None for none."""
        spelled = _spelled_out(prompt) if self.obedient else None
        if spelled is not None:
            return _call(*spelled, prompt, seed=seed)
        if self.function is None:
            return None
        arguments = value_for(self.function.parameters, prompt, seed=seed)
        whole = arguments if isinstance(arguments, dict) else {}
        return _call(self.function.name, whole, prompt, seed=seed)

    def text(self, prompt: str, *, seed: str) -> str:
        """What is said, in JSON where that is wanted."""
        if not self.as_json:
            return plausible_answer(prompt, seed=seed)
        if self.schema is None:
            return orjson.dumps({"answer": plausible_answer(prompt, seed=seed)}).decode()
        return orjson.dumps(value_for(self.schema, prompt, seed=seed)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call, its arguments as the JSON text that the wire has."""

    call_id: str
    name: str
    arguments: str


TEXT = Form()


def persuaded(form: Form) -> Form:
    """As a model that does what a stranger's words say, whatever it was offered."""
    return replace(form, obedient=True)


def _spelled_out(prompt: str) -> tuple[str, dict[str, object]] | None:
    """The first call that the words spell out as `name({...})`."""
    found = _CALL.search(prompt)
    if found is None:
        return None
    try:
        arguments = orjson.loads(found[2])
    except orjson.JSONDecodeError:
        return None
    return found[1], arguments


def _call(name: str, arguments: dict[str, object], prompt: str, *, seed: str) -> ToolCall:
    made = hashlib.sha256(f"{seed}\n{name}\n{prompt}".encode("utf-8", "replace"))
    return ToolCall(
        call_id=f"call_{made.hexdigest()[:24]}",
        name=name,
        arguments=orjson.dumps(arguments).decode(),
    )


def form_of(document: Mapping[str, object], *, prompt: str) -> Form:
    """What the request of this body wants, whose last message says `prompt`."""
    wanted = document.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    described = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = described.get("schema") if isinstance(described, dict) else None
    return Form(
        function=_called(document, prompt),
        as_json=kind in ("json_object", "json_schema"),
        schema=schema if kind == "json_schema" else None,
    )


def _called(document: Mapping[str, object], prompt: str) -> Function | None:
    """The function that is demanded; else the first that the asker's last words speak of."""
    functions = _functions(document.get("tools"))
    choice = document.get("tool_choice")
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        named = choice.get("function")
        name = named.get("name") if isinstance(named, dict) else None
        return next((one for one in functions if one.name == name), None)
    spoken_of = [one for one in functions if _words(one.name) & _words(prompt)]
    if choice == _FORCED:
        return (spoken_of or functions)[0]
    return spoken_of[0] if spoken_of and _last_role(document) == "user" else None


def _functions(tools: object) -> list[Function]:
    found = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            found.append(Function(name=function["name"], parameters=parameters))
    return found


def _words(text: str) -> set[str]:
    return set(_WORD.findall(_CAMEL.sub(" ", text).lower()))


def _last_role(document: Mapping[str, object]) -> object:
    messages = document.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return last.get("role") if isinstance(last, dict) else None
