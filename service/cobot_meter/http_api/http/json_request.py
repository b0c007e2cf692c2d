"""A body that is one JSON object, and the digest by which the same request is known again.

Clients repeat a request, and not its bytes: members come in another order, text is escaped
otherwise, a broken stream is asked for as a whole. The digest is that of the canonical form: names
sorted, no blanks, a number in one form, without what says how to answer or who repeats it. It binds
macaroons, quotes and Idempotency-Keys, so what is read differently by two readers is refused.
Must not know: what the members mean beyond that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.errors import RequestInvalid

NAME_SHOWN_MAX = 40
PARAM_CHARS_MAX = 200
# What may differ between two askings of one request: how the answer is to be written, and what
# Codex tells of itself, which is another text at every try and reaches no upstream.
# Hints are in the digest in a form of their own, since they may stand in headers as well.
BESIDE_THE_REQUEST = frozenset({"stream", "stream_options", "client_metadata", "cobot"})
# From here on orjson writes a float with an exponent, and as a float it stays.
_EXPONENT_FROM = 10.0**16
_WHOLE_FLOAT = b".0"  # how a whole number is written that came as 1.0, 1e0 or -0.0
_ESCAPED_COLON = b"\\u003"  # the start of it, and of a few others that cost a second look
_TOO_DEEP = "The body is nested too deeply; send a flatter one."


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRequest:
    """A read body. `digest` is the SHA-256 of its canonical form in hex.

    With `has_whole_floats` a number may stand in `document` as 1.0 that is 1 in the digest:
    whatever is counted or sent by its length is to be sent in `one_form`.
    """

    document: dict[str, Any]
    digest: str
    has_whole_floats: bool

    def digest_with(self, text: str) -> str:
        """The digest of the same body with a `text` beside it that makes it another request."""
        if not text:
            return self.digest
        return sha256(f"{self.digest}\n{text}".encode()).hexdigest()


def read_json_request(body: bytes, *, wanted: str) -> JsonRequest:
    """The object in `body`; `wanted` are the members that it must have, for who sent none.

    Raises RequestInvalid for what is no JSON object, gives a name twice, or is nested too deeply.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        message = f"The body is not JSON (line {fault.lineno}, column {fault.colno}); correct it."
        raise RequestInvalid(message) from None
    if not isinstance(document, dict):
        raise RequestInvalid(f"The body must be a JSON object with {wanted}.")
    beside = {name: document[name] for name in BESIDE_THE_REQUEST if name in document}
    asked = {name: value for name, value in document.items() if name not in beside}
    written = _written(asked)
    _check_duplicates(body, members=written.count(b":") + _written(beside).count(b":"))
    whole_floats = _WHOLE_FLOAT in written
    if whole_floats:
        written = _written(one_form(asked))
    return JsonRequest(
        document=document,
        digest=sha256(written).hexdigest(),
        has_whole_floats=whole_floats,
    )


def one_form(value: Any) -> Any:  # noqa: ANN401 - JSON, as deep as it is
    """The value with every whole number written as one: 1.0 and 1e0 are 1."""
    match value:
        case dict():
            return {name: one_form(each) for name, each in value.items()}
        case list():
            return [one_form(each) for each in value]
        case float() if value.is_integer() and abs(value) < _EXPONENT_FROM:
            return int(value)
        case _:
            return value


def _written(members: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise RequestInvalid(_TOO_DEEP) from None


def _check_duplicates(body: bytes, *, members: int) -> None:
    """Refuse a name that is given twice, where `members` colons are left of what was read.

    Readers disagree on which of two values counts, so what we price might not be what runs. Every
    member has one colon and orjson drops the colons of the members it drops: equal counts prove
    that none were, unless a colon was written as an escape.
    """
    if body.count(b":") != members or _ESCAPED_COLON in body:
        try:
            json.loads(body.decode(), object_pairs_hook=_once_each, parse_int=len, parse_float=len)
        except RecursionError:
            raise RequestInvalid(_TOO_DEEP) from None


def _once_each(pairs: list[tuple[str, object]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            _given_twice(name)
        names.add(name)


def _given_twice(name: str) -> NoReturn:
    quoted = outside.shown(name, most=NAME_SHOWN_MAX)
    message = f'"{quoted}" is given twice in one object; keep one of them.'
    raise RequestInvalid(message, param=name[:PARAM_CHARS_MAX])
