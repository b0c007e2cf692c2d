"""The texts of settings: what came along with them when they were copied, and how they are told.

A pasted value brings things that nobody sees: quotes that an editor turned, a space without width,
the dots of a shortened key. Each would fail later and elsewhere, with words about something else.
"""

from __future__ import annotations

import re
import unicodedata

from cobot_meter.domain.outside import shown

SHOWN_MAX = 60
_AROUND = " \t\r\n"
_QUOTES = "\"'`"
# Characters that act on a terminal or cannot be seen; they are wrong in paths too.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BYTE_0 = 0xDC00  # how Python spells a byte of the environment that is not UTF-8
_BYTES = range(_BYTE_0 + 0x80, _BYTE_0 + 0x100)
_ASCII_CONTROLS = {0: "NUL", 9: "TAB", 10: "LINE FEED", 13: "CARRIAGE RETURN", 27: "ESCAPE"}
# A key, a password in an address, a token: what may stand in the wrong variable by mistake.
_SECRET = re.compile(r"sk-|://[^/]*@|[0-9A-Za-z+/_=-]{32,}")


def trimmed(given: str) -> str:
    """Without the blanks and the end of line that a file or a shell left around it."""
    return given.strip(_AROUND)


def fault_of(value: str, *, ascii_only: bool = True, blanks: bool = True) -> str | None:
    """What is wrong with the text itself, with its place, counted from 1; None: nothing."""
    for place, char in enumerate(value, start=1):
        if char == "\N{BYTE ORDER MARK}" and place == 1:
            return "begins with a byte order mark (U+FEFF): save the file without one"
        if not _is_well(char, ascii_only=ascii_only):
            return f"has {told_character(char)} at character {place}: type it anew"
        if char == " " and not blanks:
            return f"has a space at character {place}: leave it out"
    if value and (value[0] in _QUOTES or value[-1] in _QUOTES):
        return "has quotes around it, which a shell takes away and other files keep: leave them out"
    return None


def told_character(char: str) -> str:
    """`U+2026 HORIZONTAL ELLIPSIS`: no terminal hides or acts on that."""
    code = ord(char)
    if code in _BYTES:
        return f"the byte 0x{code - _BYTE_0:02X}, which is not UTF-8,"
    name = unicodedata.name(char, _ASCII_CONTROLS.get(code, "a character without a name"))
    return f"U+{code:04X} {name}"


def told_value(value: str) -> str:
    """The value in quotes, for a sentence; what could be a secret is not repeated."""
    if _SECRET.search(value):
        return "what was given (not repeated here: it may be a secret)"
    return repr(shown(value, most=SHOWN_MAX))


def _is_well(char: str, *, ascii_only: bool) -> bool:
    if ascii_only:
        return " " <= char <= "~"
    return unicodedata.category(char) not in _UNSEEN
