"""A part of a text in which something begins. Must not know: what."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Longer than anything that is looked for, so that what follows it is seen as well.
_PAST = 80


def beginning_in(
    pattern: re.Pattern[str], text: str, start: int, end: int
) -> Iterator[re.Match[str]]:
    """The matches that begin before `end`, each read as far as it goes."""
    for found in pattern.finditer(text, start, end + _PAST):
        if found.start() >= end:
            return
        yield found
