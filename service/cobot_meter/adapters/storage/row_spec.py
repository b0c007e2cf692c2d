"""A table whose rows are values of the domain: each column is one line, and all else is made of it.

A spec names a table's columns, where each lies in the value, and which of them an event may change.
The table itself, the statements that write and read it, and the way from a value to its row and
back are made of these lines, once, when the spec is: nobody counts columns, and nothing is looked
up by name while a row is written or read. Must not know: SQL, or any table.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from cobot_meter.domain.errors import Broken
from cobot_meter.domain.retention import Retention

Row = Sequence[Any]
Read = Callable[[Any], Any]
Value = TypeVar("Value")

# An event changes fields of its own, some of them one set or another: far fewer sets than this.
MOVES_MAX = 256
VERSION = "version"
# Beside a version every row has the number of the entry that opened it.
OPENED_SEQUENCE = "opened_sequence"


class Kind(enum.Enum):
    """What a column holds; a KEY is a text by which pages walk, in the order of its bytes."""

    KEY = "key"
    WORDS = "words"
    NUMBER = "number"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A column, and the attribute of the value that it holds.

    `choices` is the enumeration that a text is a value of; `unsaid` is what NULL is read as.
    """

    column: str
    attribute: str
    kind: Kind
    nullable: bool = False
    choices: type[enum.Enum] | None = None
    unsaid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Columns that lie in a value inside the value, of the class `made`."""

    attribute: str
    made: type[Any]
    lines: tuple[Stored | Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaybePart:
    """Columns that lie in a value inside the value, of the class `made`, which may be None.

    Then all its columns are NULL; it is there when the first of its columns is.
    """

    attribute: str
    made: type[Any]
    lines: tuple[Stored | Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A column that holds what the domain says of the value, so that an index can stand on it.

    `looks_at` are all the fields that it is said by: it is written whenever one of them is. One
    that `falls` opens as 1 or 0 and never comes back to 1: while it is 1 it has not changed.
    """

    column: str
    kind: Kind
    nullable: bool = False
    says: Callable[[Any, Retention], int | None]
    looks_at: frozenset[str]
    falls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A value inside the value that is a row of another table: read with it, and written by itself.

    `on` pairs a column of this table with one of the other, as often as it takes to find one row.
    """

    attribute: str
    spec: RowSpec[Any]
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A field that no row of the table holds: whatever is read has this in it."""

    attribute: str
    value: Any


Line = Stored | Part | MaybePart | Joined | Apart


def key(column: str) -> Stored:
    """The text by which a row is found."""
    return Stored(column=column, attribute=column, kind=Kind.KEY)


def words(column: str, of: str = "", *, unsaid: str | None = None) -> Stored:
    """A text, of the attribute of the same name or of another."""
    return Stored(column=column, attribute=of or column, kind=Kind.WORDS, unsaid=unsaid)


def maybe_words(column: str, of: str = "") -> Stored:
    """A text or None."""
    return Stored(column=column, attribute=of or column, kind=Kind.WORDS, nullable=True)


def choice(column: str, choices: type[enum.Enum], of: str = "") -> Stored:
    """One of an enumeration, by its value."""
    return Stored(column=column, attribute=of or column, kind=Kind.WORDS, choices=choices)


def number(column: str, of: str = "") -> Stored:
    """A whole number."""
    return Stored(column=column, attribute=of or column, kind=Kind.NUMBER)


def maybe_number(column: str, of: str = "") -> Stored:
    """A whole number or None."""
    return Stored(column=column, attribute=of or column, kind=Kind.NUMBER, nullable=True)


def flag(column: str, of: str = "") -> Stored:
    """True or False, which databases hold as 1 or 0."""
    return Stored(column=column, attribute=of or column, kind=Kind.FLAG)


def part(attribute: str, made: type[Any], *lines: Stored | Part) -> Part:
    """A value inside the value."""
    return Part(attribute=attribute, made=made, lines=lines)


def maybe_part(attribute: str, made: type[Any], *lines: Stored | Part) -> MaybePart:
    """A value inside the value, or None. Raises Broken where nothing tells whether it is there."""
    first = next(_flat(lines))
    if first.nullable:
        message = f"{first.column} may be NULL in a {attribute} that is there"
        raise Broken(message)
    return MaybePart(attribute=attribute, made=made, lines=lines)


class Writing(NamedTuple):
    """Some columns of a table, and what takes their values, in this order, out of a value."""

    columns: tuple[str, ...]
    values: Callable[[Any, Retention], list[Any]]


class RowSpec(Generic[Value]):
    """One table of values; the first of its `fixed` lines is the key.

    What has a column `version` is opened with version 1, and each later version follows the one
    before it. What has none is only ever opened.
    """

    def __init__(
        self,
        table: str,
        made: type[Value],
        *,
        fixed: tuple[Line, ...],
        moving: tuple[Line, ...] = (),
        derived: tuple[Derived, ...] = (),
        joined: tuple[Joined | Apart, ...] = (),
    ) -> None:
        """`fixed` lines are written when a row opens, `moving` ones whenever they change.

        `joined` is what does not lie in this table.
        """
        lines = _in_reading_order((*fixed, *moving, *joined))
        self.table = table
        self.made, self.lines = made, lines
        self.joined = tuple(line for line in joined if isinstance(line, Joined))
        self.stored = tuple(_flat(lines))
        self.derived = derived
        self.columns = tuple(one.column for one in self.stored)
        self.key = next(_flat(fixed)).column
        self.versioned = VERSION in self.columns
        looked_at = frozenset[str]().union(*(one.looks_at for one in derived))
        self.fields = (
            *(line.attribute for line in moving),
            *(line.attribute for line in self.joined if line.attribute in looked_at),
        )
        self.decode: Callable[[Row], Value] = _maker(made, lines, 0)[0]
        self.opening = _writing(lines, derived)
        self._moving = {line.attribute: line for line in (*moving, *self.joined)}
        self._identity = attrgetter(self.key, VERSION)
        self._falling = tuple(one for one in derived if one.falls)

    def identity(self, value: Value) -> tuple[str, int]:
        """Its key and its version, of a row that has versions."""
        found: tuple[str, int] = self._identity(value)
        return found

    def still_up(self, value: Value, retention: Retention) -> tuple[str, ...]:
        """The columns that could have fallen and have not: their indexes need no work."""
        return tuple(one.column for one in self._falling if one.says(value, retention))

    def moved(self, changed: tuple[str, ...], still_up: tuple[str, ...] = ()) -> Writing:
        """What is written when these fields have changed, and what is said by them."""
        said = (
            one
            for one in self.derived
            if one.column not in still_up and not one.looks_at.isdisjoint(changed)
        )
        return _writing([self._moving[name] for name in changed], tuple(said))


@functools.lru_cache(maxsize=MOVES_MAX)
def moved_by(
    spec: RowSpec[Any], changed: tuple[str, ...] | None, still_up: tuple[str, ...] = ()
) -> Writing:
    """`spec.moved`, made once for each set of fields; None stands for all that may change."""
    return spec.moved(spec.fields if changed is None else changed, still_up)


def _in_reading_order(lines: Sequence[Line]) -> tuple[Line, ...]:
    """What lies in the value itself in one piece, then its parts, then rows of other tables."""
    return (
        *(line for line in lines if isinstance(line, Stored)),
        *(line for line in lines if isinstance(line, Part | MaybePart)),
        *(line for line in lines if isinstance(line, Joined | Apart)),
    )


def _flat(lines: Sequence[Line]) -> Iterator[Stored]:
    """Every column of the lines and of their parts; in a part that may be None each may be NULL."""
    for line in _in_reading_order(lines):
        match line:
            case Stored():
                yield line
            case Part():
                yield from _flat(line.lines)
            case MaybePart():
                yield from (replace(one, nullable=True) for one in _flat(line.lines))


def _maker(made: type[Any], lines: Sequence[Line], begin: int) -> tuple[Callable[[Row], Any], int]:
    """What makes the value whose columns stand in a row from `begin` on, and where they end.

    It fills the slots of a value, as copying one does, and lets the value check itself: a call with
    every field by its name takes half as long again, and escrows are read with every request.
    """
    _refuse_forgotten(made, lines)
    own = [line for line in lines if isinstance(line, Stored)]
    end = begin + len(own)
    piece, own_slots = slice(begin, end), tuple(_slot(made, line.attribute) for line in own)
    reads = tuple((place, read) for place, line in enumerate(own) if (read := _read(line)))
    parts: list[tuple[Callable[[Any, Any], None], Callable[[Row], Any]]] = []
    for line in lines:
        if not isinstance(line, Stored):
            make, end = _inner(line, end)
            parts.append((_slot(made, line.attribute), make))
    check: Callable[[Any], None] | None = getattr(made, "__post_init__", None)

    def value_of(row: Row) -> Any:  # noqa: ANN401 - whatever `made` is
        value = object.__new__(made)
        stored: Any = list(row[piece]) if reads else row[piece]
        for place, read in reads:
            stored[place] = read(stored[place])
        for fill, one in zip(own_slots, stored, strict=True):
            fill(value, one)
        for fill, make in parts:
            fill(value, make(row))
        if check is not None:
            check(value)
        return value

    return value_of, end


def _inner(line: Part | MaybePart | Joined | Apart, begin: int) -> tuple[Callable[[Row], Any], int]:
    """What makes a field that lies in more than one column, or in none, and where those end."""
    if isinstance(line, Apart):
        return functools.partial(_always, line.value), begin
    inner = line.spec if isinstance(line, Joined) else line
    make, end = _maker(inner.made, _in_reading_order(inner.lines), begin)
    return _maybe(make, begin) if isinstance(line, MaybePart) else make, end


def _always(value: Any, _row: Row) -> Any:  # noqa: ANN401 - whatever the field holds
    return value


def _slot(made: type[Any], attribute: str) -> Callable[[Any, Any], None]:
    fill: Callable[[Any, Any], None] = getattr(made, attribute).__set__
    return fill


def _refuse_forgotten(made: type[Any], lines: Sequence[Line]) -> None:
    """Raises Broken for a field without a column: it would be empty in whatever is read."""
    forgotten = {field.name for field in fields(made)} ^ {line.attribute for line in lines}
    if forgotten:
        message = f"{made.__name__} and its spec differ in {', '.join(sorted(forgotten))}"
        raise Broken(message)


def _maybe(make: Callable[[Row], Any], first: int) -> Callable[[Row], Any]:
    return lambda row: None if row[first] is None else make(row)


def _read(line: Stored) -> Read | None:
    """What becomes of a stored value, None where it is taken as it is."""
    if line.choices is not None:
        return _read_choice(line.choices)
    if line.kind is Kind.FLAG:
        return bool
    if line.unsaid is not None:
        unsaid = line.unsaid
        return lambda stored: stored or unsaid
    return None


def _read_choice(choices: type[enum.Enum]) -> Read:
    """The member by its value; the enumeration itself is asked only for what is none of them."""
    known = {member.value: member for member in choices}
    return lambda stored: known.get(stored) or choices(stored)


def _writing(lines: Sequence[Line], derived: tuple[Derived, ...]) -> Writing:
    """Their columns in this order: of the value itself, of parts that may be None, what is said."""
    plain = tuple(_plain(lines))
    maybe = [line for line in lines if isinstance(line, MaybePart)]
    own = _values_at([path for _, path in plain])
    flags = tuple(place for place, (line, _) in enumerate(plain) if line.kind is Kind.FLAG)
    parts = tuple(
        (
            attrgetter(line.attribute),
            _values_at([path for _, path in _plain(line.lines)]),
            (None,) * sum(1 for _ in _plain(line.lines)),
        )
        for line in maybe
    )
    said = tuple(one.says for one in derived)

    def values_of(value: object, retention: Retention) -> list[Any]:
        found = list(own(value))
        for place in flags:
            found[place] = int(found[place])
        for part_of, values_in, absent in parts:
            inside = part_of(value)
            found += absent if inside is None else values_in(inside)
        for says in said:
            found.append(says(value, retention))
        return found

    columns = (
        *(line.column for line, _ in plain),
        *(one.column for line in maybe for one, _ in _plain(line.lines)),
        *(one.column for one in derived),
    )
    return Writing(columns, values_of)


def _plain(lines: Sequence[Line], within: str = "") -> Iterator[tuple[Stored, str]]:
    """Every column that is always there, with the path of its attribute."""
    for line in lines:
        if isinstance(line, Stored):
            yield line, within + _path(line)
        elif isinstance(line, Part):
            yield from _plain(line.lines, f"{within}{line.attribute}.")


def _path(line: Stored) -> str:
    """`_value_` is what `value` of an enumeration reads, without its frame."""
    return line.attribute if line.choices is None else f"{line.attribute}._value_"


def _values_at(paths: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """`attrgetter`, but for one path too it gives a tuple, and for none an empty one."""
    if not paths:
        return lambda _: ()
    getter = attrgetter(*paths)
    if len(paths) > 1:
        return getter
    return lambda value: (getter(value),)
