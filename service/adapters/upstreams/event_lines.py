"""The grammar of server-sent events: bytes in as they arrive, events out as they are whole.

All of it (WHATWG HTML, 9.2.6): lines end in CR, LF or both; a byte-order mark may come first; a
line that begins with a colon is a comment; one space after a field's colon is not its value; data
lines of one event are joined by LF; fields that nobody knows are passed over; an event without
data is none. Must not know: what the data say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r", b"\n"
_DATA, _EVENT = b"data", b"event"


class Event(NamedTuple):
    """One event; `name` is empty for an ordinary message."""

    name: bytes
    data: bytes


class EventLines:
    """One stream being read. What has no end of its line yet is kept in pieces, never copied."""

    __slots__ = ("_after_cr", "_begun", "_data", "_name", "_pieces")

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._begun = False
        self._after_cr = False
        self._pieces: list[bytes] = []
        self._name = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that end in these bytes, which must be read to the end."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(_LF)  # the second half of a CR LF
        self._after_cr = chunk.endswith(_CR) or (self._after_cr and not chunk)
        if _CR in chunk:
            chunk = chunk.replace(b"\r\n", _LF).replace(_CR, _LF)
        first, *later = chunk.split(_LF)
        self._pieces.append(first)
        if not later:
            return
        *lines, rest = later
        yield from self._line(b"".join(self._pieces))
        for line in lines:
            yield from self._line(line)
        self._pieces = [rest]

    def end(self) -> Iterator[Event]:
        """The event that only lacks the ends of its last lines, when there is one."""
        last = b"".join(self._pieces)
        self._pieces = []
        if last:
            yield from self._line(last)
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[Event]:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            name, data = self._name, _LF.join(self._data)
            self._name, self._data = b"", []
            if data.strip():
                yield Event(name, data)
            return
        field, _, value = line.partition(b":")
        if field == _DATA:
            self._data.append(value.removeprefix(b" "))
        elif field == _EVENT:
            self._name = value.removeprefix(b" ")
