"""What a seed draws: the same for ever, whatever Python or machine it is drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")
_BYTES = 8


class Draws:
    """Draws of one seed for one name, in order.

    `random.Random` would serve but for its methods, which draw otherwise from one Python to the
    next; a set of prompts has to be made again from its seed years later.
    """

    def __init__(self, seed: int, name: str) -> None:
        """Nothing is drawn yet."""
        self._name = f"{seed}\n{name}\n"
        self._drawn = 0

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        digest = sha256(f"{self._name}{self._drawn}".encode()).digest()
        self._drawn += 1
        return low + int.from_bytes(digest[:_BYTES]) % (high - low + 1)

    def one_of(self, several: Sequence[T]) -> T:
        """One of them."""
        return several[self.between(0, len(several) - 1)]

    def some_of(self, several: Sequence[T], count: int) -> list[T]:
        """`count` of them, each once, in a drawn order."""
        left = list(several)
        return [left.pop(self.between(0, len(left) - 1)) for _ in range(count)]
