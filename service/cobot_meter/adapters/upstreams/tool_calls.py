"""Tool calls as upstreams send them, in pieces or whole, put together into a list of calls.

OpenAI's form is one index for each call, its id and name first and its arguments bit by bit. Also
in use, and each has merged two calls into one or broken a name: two calls under one index that
only their ids tell apart; no index at all; a new id in every piece; the name again in every piece;
a name in two halves; arguments as an object; no id. Must not know: streams, or whose calls.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

import orjson

from cobot_meter.domain import outside

# More than any model makes in one answer; what would be passed over would be missed.
CALLS_MAX = 512
# Longer arguments are not read again to see whether they are whole.
_READ_CHARS_MAX = 16_384
_OWN = frozenset({"index", "id", "function", "type"})


class ToolCall:
    """One call; `extra` is what came with it and is nobody's but the caller's."""

    __slots__ = (
        *("_arguments", "_chars", "_named", "at", "begun", "extra", "identity", "index", "name"),
        "unused",
    )

    def __init__(self, identity: str, index: int | None, at: int) -> None:
        """`identity` is empty while none is said, `index` None where none was; `at` its place."""
        self.at = at
        self._named = False  # whether its id has been handed on
        self.identity = identity
        self.index = index
        self.name = ""
        self.unused = ""  # an id that came here, and may be that of the call which begins next
        self.begun = False  # whether there are arguments
        self.extra: dict[str, object] = {}
        self._arguments: list[str] = []
        self._chars = 0

    @property
    def complete(self) -> bool:
        """Whether its arguments are a whole JSON object: more of them would be another's."""
        if not self.begun or self._chars > _READ_CHARS_MAX:
            return False
        said = "".join(self._arguments).strip()
        if not (said.startswith("{") and said.endswith("}")):
            return False
        try:
            json.loads(said)
        except (ValueError, RecursionError):
            return False
        return True

    def take(self, name: str, arguments: str) -> None:
        """Add a piece. A name that is said again, or longer than before, is the whole name."""
        if name and name != self.name:
            self.name = name if name.startswith(self.name) else self.name + name
        self._arguments.append(arguments)
        self._chars += len(arguments)
        self.begun = self.begun or bool(arguments.strip())

    def document(self, index: int, made_up: str) -> dict[str, object]:
        """The call of a whole answer; without an id where there is none."""
        identity = self.identity or made_up
        return {
            **self.extra,
            "index": index,
            **({"id": identity} if identity else {}),
            "type": "function",
            "function": {"name": self.name, "arguments": "".join(self._arguments)},
        }

    def piece(self, named: str, arguments: str, extra: dict[str, object]) -> dict[str, object]:
        """What a piece adds, as OpenAI streams it: the id once; `named` is what the name gains."""
        function = {"name": named, "arguments": arguments} if named else {"arguments": arguments}
        said: dict[str, object] = {**extra, "index": self.at, "function": function}
        if self.identity and not self._named:
            self._named = True
            said |= {"id": self.identity, "type": "function"}
        return said


class _Piece(NamedTuple):
    """What one piece says; `identity`, `name` and `arguments` are empty where it does not."""

    identity: str
    place: int | None
    name: str
    arguments: str


class ToolCalls:
    """Pieces in, calls out, in the order in which they began."""

    __slots__ = ("_calls", "_touched")

    def __init__(self) -> None:
        """None yet."""
        self._calls: list[ToolCall] = []
        self._touched: list[ToolCall] = []

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._calls)

    def add(self, pieces: list[object]) -> list[object]:
        """The `tool_calls` of one delta, or of a message, as what they add to which call.

        Raises ValueError for too many.
        """
        self._touched = []
        added = [self._piece(piece) for piece in pieces if isinstance(piece, dict)]
        return [one for one in added if one is not None]

    def so_far(self) -> list[object]:
        """The calls as far as they are known, in the form of a delta."""
        return [call.document(call.at, "") for call in self._calls]

    def documents(self, *, named: str) -> list[object]:
        """The calls. Those without an id, or with another's, get one that `named` determines."""
        taken: set[str] = set()
        documents: list[object] = []
        for at, call in enumerate(self._calls):
            if call.identity in taken:
                call.identity = ""
            digest = sha256(f"{named}/{at}".encode()).hexdigest()
            documents.append(call.document(at, f"call_{digest[:24]}"))
            taken.add(call.identity)
        return documents

    def _piece(self, said: dict[str, object]) -> dict[str, object] | None:
        piece = _piece_of(said)
        if not (piece.identity or piece.name or piece.arguments):
            return None
        call = self._meant(piece)
        if call is None:
            call = self._begin(piece)
        elif piece.identity and not call.identity:
            call.identity = piece.identity
        elif piece.identity != call.identity:
            call.unused = piece.identity
        if call not in self._touched:
            self._touched.append(call)
        known = len(call.name)
        call.take(piece.name, piece.arguments)
        extra = {
            field: value
            for field, value in said.items()
            if field not in _OWN and field not in call.extra
        }
        call.extra |= extra
        return call.piece(call.name[known:], piece.arguments, extra)

    def _begin(self, piece: _Piece) -> ToolCall:
        if len(self._calls) >= CALLS_MAX:
            message = f"more than {CALLS_MAX} tool calls"
            raise ValueError(message)
        before = self._latest(piece.place)
        unused = before.unused if before is not None else ""
        call = ToolCall(piece.identity or unused, piece.place, len(self._calls))
        self._calls.append(call)
        return call

    def _meant(self, piece: _Piece) -> ToolCall | None:
        """The call that a piece goes on with; None for one that begins another."""
        call = self._known(piece.identity)
        if call is not None:
            moved = None not in (piece.place, call.index) and piece.place != call.index
            return None if moved and piece.name and call.complete else call
        call = self._latest(piece.place)
        if call is None or self._is_another(piece, call):
            return None
        return call

    def _is_another(self, piece: _Piece, call: ToolCall) -> bool:
        """Whether a piece is not of the latest call of its place, though it stands there."""
        touched = call in self._touched
        if piece.identity and piece.name and call.identity:
            return True
        if touched and piece.place is None and not piece.identity:
            return True  # two pieces of one delta are two calls
        if piece.name and piece.name != call.name and (call.begun or touched):
            return True
        return not piece.identity and piece.arguments.lstrip().startswith("{") and call.complete

    def _known(self, identity: str) -> ToolCall | None:
        """The latest call of this id."""
        same = (call for call in reversed(self._calls) if identity and call.identity == identity)
        return next(same, None)

    def _latest(self, index: int | None) -> ToolCall | None:
        """The latest call under this index; of all where none is said."""
        same = (call for call in reversed(self._calls) if index is None or call.index == index)
        return next(same, None)


def _piece_of(said: dict[str, object]) -> _Piece:
    told = said.get("function")
    function = told if isinstance(told, dict) else {}
    return _Piece(
        identity=_text(said.get("id")),
        place=outside.count(said.get("index")),
        name=_text(function.get("name")),
        arguments=_arguments(function.get("arguments")),
    )


def _text(said: object) -> str:
    return said if isinstance(said, str) else ""


def _arguments(said: object) -> str:
    """Their text; some upstreams send the object itself."""
    return orjson.dumps(outside.value(said)).decode() if isinstance(said, dict) else _text(said)
