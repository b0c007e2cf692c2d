"""Bodies without end, and bodies too large: made piece by piece, never held.

A reader who leaves ends them.
"""

from __future__ import annotations

from collections.abc import Iterator

from openrouter_simulator.answers.steps import Reset, Say, Step, Wait

_HUGE_BYTES = 65 * 1_024 * 1_024
_PIECE_BYTES = 256 * 1_024
_PAUSE_S = 0.001
_SLOW_PAUSE_S = 0.05


def padded(document: bytes, marked: str) -> Iterator[Step]:
    """A body with 65 MiB of text where the text `marked` stands in it."""
    before, _, after = document.partition(marked.encode())
    yield Say(before)
    for _ in range(_HUGE_BYTES // _PIECE_BYTES + 1):
        yield Say(b"more " * (_PIECE_BYTES // 5))
        yield Wait(_PAUSE_S)
    yield Say(after)


def endless(piece: bytes, *, for_s: float) -> Iterator[Step]:
    """`piece` over and over, as fast as it is read; a reset after `for_s` seconds of waiting."""
    block = piece * (_PIECE_BYTES // len(piece) or 1)
    for _ in range(max(1, int(for_s / _PAUSE_S))):
        yield Say(block)
        yield Wait(_PAUSE_S)
    yield Reset()


def dripping(piece: bytes, *, for_s: float) -> Iterator[Step]:
    """`piece` every 50 ms for `for_s` seconds, and then a reset.

    So nothing ends but the whole time that a reader allows: its idle time never runs out.
    """
    for _ in range(max(1, int(for_s / _SLOW_PAUSE_S))):
        yield Say(piece)
        yield Wait(min(_SLOW_PAUSE_S, for_s))
    yield Reset()
