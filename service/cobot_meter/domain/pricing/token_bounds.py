"""How many tokens a text makes at most, by the kinds of bytes in it: measured, not proven.

Bytes bound tokens for every tokenizer in use, and are three to five times as many. Each part of a
text is bounded by what it is made of: words of letters, digits and marks, other scripts, and what
has no words (keys, pictures, tables of numbers), where every byte counts. `docs/keys.md` has the
data, the figures and how often it was too low. Must not know: prices, or any tokenizer.
"""

from __future__ import annotations

# Kinds stand beside each other in one prompt: a key in a file is not averaged away by the file.
PART_BYTES = 4_096
_LOWER = bytes(range(ord("a"), ord("z") + 1))
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_DIGITS = b"0123456789"
_BLANKS = b" \t\r\n"
_BEYOND_ASCII = bytes(range(128, 256))
_KINDS = (_LOWER, _UPPER, _DIGITS, _BLANKS, _BEYOND_ASCII)
# Of a part with fewer blanks than this every byte counts, unless it is of a script without them.
_BLANK_SHARE = 20
_SCRIPT_SHARE = 2
# With more bytes of other scripts than this the letters are of words that no tokenizer knows well.
_ACCENT_SHARE = 20
# In twelfths of a token for each byte of a kind.
_WHOLE = 12
_TWELFTHS_LOWER, _TWELFTHS_ACCENTED = 4, 6
_TWELFTHS_UPPER, _TWELFTHS_MARK = 9, 9
_TWELFTHS_BLANK = 6
_TWELFTHS_BEYOND_ASCII = 8


def tokens_bound(text: bytes) -> int:
    """The most tokens of this text in UTF-8, as far as was ever measured; never more than bytes."""
    twelfths = sum(_twelfths(text[at : at + PART_BYTES]) for at in range(0, len(text), PART_BYTES))
    return min(-(-twelfths // _WHOLE), len(text))


def _twelfths(part: bytes) -> int:
    size = len(part)
    lower, upper, digits, blanks, beyond = (_count(part, kind) for kind in _KINDS)
    if blanks * _BLANK_SHARE < size and beyond * _SCRIPT_SHARE < size:
        return size * _WHOLE
    marks = size - blanks - beyond - lower - upper - digits
    accented = beyond * _ACCENT_SHARE >= size
    return (
        lower * (_TWELFTHS_ACCENTED if accented else _TWELFTHS_LOWER)
        + upper * _TWELFTHS_UPPER
        + digits * _WHOLE
        + blanks * _TWELFTHS_BLANK
        + marks * _TWELFTHS_MARK
        + beyond * _TWELFTHS_BEYOND_ASCII
    )


def _count(part: bytes, kind: bytes) -> int:
    return len(part) - len(part.translate(None, kind))
