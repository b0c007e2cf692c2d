"""The grammar of server-sent events: bytes in as they arrive, events out as they are whole.

All of it (WHATWG HTML, 9.2.6): lines end in CR, LF or both; a byte-order mark may come first; a
line that begins with a colon is a comment; one space after a field's colon is not its value; data
lines of one event are joined by LF; fields that nobody knows are passed over; an event without data
is none.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r", b"\n"
_DATA, _EVENT = b"data", b"event"
_DATA_IS, _AFTER_SPACE = b"data:", 6


# One event: its name, which is empty for an ordinary message, and its data. A plain tuple, because
# one is made for each word of an answer.
Event = tuple[bytes, bytes]


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

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in these bytes."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(_LF)  # the second half of a CR LF
        if _CR in chunk:
            self._after_cr = chunk.endswith(_CR)
            chunk = chunk.replace(b"\r\n", _LF).replace(_CR, _LF)
        lines = chunk.split(_LF)
        if len(lines) == 1:
            self._pieces.append(chunk)
            return []
        if self._pieces:
            lines[0] = b"".join((*self._pieces, lines[0]))
        rest = lines.pop()
        self._pieces = [rest] if rest else []
        return self._events(lines)

    def end(self) -> list[Event]:
        """The event that only lacks the ends of its last lines, when there is one."""
        last, self._pieces = b"".join(self._pieces), []
        return self._events([last, b""])

    def _events(self, lines: list[bytes]) -> list[Event]:
        if not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BOM)
        found: list[Event] = []
        for line in lines:
            if line.startswith(_DATA_IS):
                self._data.append(line[_AFTER_SPACE if line[5:6] == b" " else len(_DATA_IS) :])
            elif line:
                self._field(line)
            elif self._data or self._name:
                data = self._data[0] if len(self._data) == 1 else _LF.join(self._data)
                if data.strip():
                    found.append((self._name, data))
                self._name, self._data = b"", []
        return found

    def _field(self, line: bytes) -> None:
        """A line that is not plainly data; comments and fields that nobody knows say nothing."""
        field, _, value = line.partition(b":")
        if field == _DATA:
            self._data.append(value)
        elif field == _EVENT:
            self._name = value.removeprefix(b" ")
