"""Standard output and error as they really are: any encoding, a pipe, or nobody at the other end.

What an encoding cannot show is shown by what it can, so that no sign of ours, and no word of
somebody else's, ends a command. Loaded by every command: it imports nothing that takes time. Must
not know: what is printed.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata

ERRORS = "cobot-meter"
UNKNOWN = "?"
# Of the same width where a table stands on it.
PLAIN = {
    "✓": "+",
    "✗": "x",
    "…": "~",
    "→": ">",
    "≠": "#",
    "·": "-",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "“": '"',
    "”": '"',
    "─": "-",
    "━": "-",
    "•": "*",
}


def prepare_streams() -> None:
    """From now on both streams can be given any text."""
    codecs.register_error(ERRORS, _shown_plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def fitting_text(text: str, encoding: str) -> str:
    """The text as a stream of this encoding will show it, so that widths can be counted."""
    return text.encode(encoding, ERRORS).decode(encoding)


def is_unicode(encoding: str) -> bool:
    """Whether every character has a place in it."""
    return encoding.lower().replace("_", "-").startswith("utf-")


def hang_up() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, without a word at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _shown_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or _letters(char) for char in lost), error.end


def _letters(char: str) -> str:
    """`é` as `e`; what has no plain letter in it is a question mark."""
    letters = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return letters if len(letters) == 1 and letters.isprintable() else UNKNOWN
