"""The name that a sealed body's key has before it: which key of the day it is wrapped with.

`2026-11-28.0123456789abcdef`: the UTC day and a mark of that day's key, so that two keys of one
day are told apart. In the books it stands before the wrapped key, and names sort by day. Must not
know: keys, or where they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cobot_meter.domain.errors import BodyKeysUnusable

DAY_CHARS = 10
NAME_BYTES = 27
WRAPPED_BYTES = 40
NAMED_BYTES = NAME_BYTES + WRAPPED_BYTES
DAY = r"\d{4}-\d\d-\d\d"
_NAME = re.compile(rf"{DAY}\.[0-9a-f]{{16}}", re.ASCII)


def key_name(day: str, mark: str) -> str:
    """The name of this day's key; both come from us."""
    return f"{day}.{mark}"


def is_key_name(text: str) -> bool:
    """Whether this is a name, and can stand in a path."""
    return _NAME.fullmatch(text) is not None


def day_of(name: str) -> str:
    """The UTC day, such as `2026-11-22`, with which a key's name begins."""
    return name[:DAY_CHARS]


def split_key(stored: bytes) -> tuple[str | None, bytes]:
    """The name, and the wrapped key behind it; no name before a key from before there were any."""
    if len(stored) != NAMED_BYTES:
        return None, stored
    name = stored[:NAME_BYTES].decode("latin-1")
    return (name, stored[NAME_BYTES:]) if is_key_name(name) else (None, stored)


def unusable(why: str) -> BodyKeysUnusable:
    """What is told to whoever asks, with `why` for the operator."""
    message = (
        "This service cannot seal what it would keep for you just now, nor open what it keeps. "
        "Nothing was run or charged by this request; repeat it in a minute."
    )
    return BodyKeysUnusable(message, why=why)


def lacks_sentence(where: str, missing: Collection[str]) -> str:
    """What the operator is told of keys that are missing in `where`."""
    one = len(missing) == 1
    what, those = ("the key", "it is") if one else (f"{len(missing)} keys", "they are")
    files = " ".join(f"{name}.gone" for name in sorted(missing))
    return (
        f"{where} lacks {what} of the day that sealed bodies in the books need ({min(missing)}): "
        "share the directory with the replica that has it (COBOT_METER_BODY_KEYS_DIR), put it back "
        f"from its backup, or, if {those} lost for good, run: cd {where} && touch {files}"
    )
