"""A value that a JSON schema allows, made of the prompt's own words; the same every time.

Enough of JSON Schema for what agents send: types, enums, constants, references inside the schema,
choices, and objects and lists with their bounds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from openrouter_simulator.shapes.plausible_text import plausible_answer

_DEPTH_MAX = 12
_ITEMS_MAX = 3
_WORDS_MAX = 12
_LETTER = "a"
_NUMBER = re.compile(r"[0-9]{1,8}")


def value_for(schema: object, prompt: str, *, seed: str) -> object:
    """An instance of `schema`; any text where it says nothing."""
    root = schema if isinstance(schema, dict) else {}
    return _Maker(root, prompt, seed).value(root, "", 0)


class _Maker:
    """Walks one schema."""

    def __init__(self, root: Mapping[str, Any], prompt: str, seed: str) -> None:
        self._root = root
        self._prompt = prompt
        self._chance = random.Random(f"{seed}\n{prompt}")
        self._words = [word.strip(".,;:!?\"'()") for word in prompt.split()][-_WORDS_MAX:]

    def value(self, schema: object, name: str, depth: int) -> object:
        """One instance; null where a schema refers to itself for ever."""
        schema = self._resolved(schema)
        if depth > _DEPTH_MAX:
            return None
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._chosen(schema["enum"])
        for choice in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(choice), list) and schema[choice]:
                return self.value(self._first_real(schema[choice]), name, depth + 1)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Mapping[str, Any], name: str, depth: int) -> object:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "string"
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = _whole(schema.get("minItems"), 1)
                count = max(1, min(least, _ITEMS_MAX) if least else 1)
                return [self.value(schema.get("items"), name, depth + 1) for _ in range(count)]
            case "integer" | "number":
                return self._number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._text(schema, name)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, object]:
        properties = schema.get("properties")
        named = properties if isinstance(properties, dict) else {}
        return {name: self.value(part, name, depth + 1) for name, part in named.items()}

    def _number(self, schema: Mapping[str, Any]) -> int:
        low = _whole(schema.get("minimum"), _whole(schema.get("exclusiveMinimum"), 0) + 1)
        high = _whole(schema.get("maximum"), max(low, 100))
        numbers = [int(word) for word in self._words if _NUMBER.fullmatch(word)]
        said = numbers[0] if numbers else low
        return min(max(said, low), high)

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        longest = _whole(schema.get("maxLength"), 0)
        words = [word for word in self._words if word[:1].isupper() and word != self._words[0]]
        text = words[-1] if words else plausible_answer(f"{self._prompt} {name} briefly", seed=name)
        text = text[:longest] if longest else text
        return text + _LETTER * (_whole(schema.get("minLength"), 0) - len(text))

    def _resolved(self, schema: object) -> Mapping[str, Any]:
        for _ in range(_DEPTH_MAX):
            if not isinstance(schema, dict):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._at(reference)
        return {"const": None}

    def _at(self, reference: str) -> object:
        node: object = self._root
        for word in reference.removeprefix("#").strip("/").split("/"):
            if word:
                node = node.get(word) if isinstance(node, dict) else None
        return node

    def _chosen(self, values: list[object]) -> object:
        """The value that the prompt names, else one by chance."""
        prompt = self._prompt.lower()
        said = [one for one in values if isinstance(one, str) and one.lower() in prompt]
        return said[0] if said else self._chance.choice(values)

    def _first_real(self, schemas: list[object]) -> object:
        real = [one for one in schemas if self._resolved(one).get("type") != "null"]
        return (real or schemas)[0]


def _whole(value: object, otherwise: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(int(value), 10_000) if is_number else otherwise  # type: ignore[call-overload]
