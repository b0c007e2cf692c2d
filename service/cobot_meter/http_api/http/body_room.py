"""How many bytes of request bodies are in memory at once, by address and in all.

A body counts from its first byte until its request is answered: for as long as its run may need it.
"""

from __future__ import annotations

from collections import Counter
from typing import Self

from cobot_meter.domain.errors import AddressBusy, ServiceBusy

BYTES_MAX = 67_108_864
ADDRESS_SHARE = 4
RETRY_S = 2


class BodyRoom:
    """Room for bodies, of which one address may have a quarter."""

    def __init__(self, *, bytes_max: int = BYTES_MAX, body_bytes_max: int = 1_048_576) -> None:
        """One body of `body_bytes_max` always fits an address's part."""
        self._bytes_max = max(bytes_max, body_bytes_max)
        self._address_max = max(self._bytes_max // ADDRESS_SHARE, body_bytes_max)
        self._held = 0
        self._held_of: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes that are in memory now."""
        return self._held

    def held_by(self, address: str) -> BodyHold:
        """A hold of nothing yet; what it has grown to is given back when its block ends."""
        return BodyHold(self, address)

    def take(self, address: str, size: int) -> None:
        """Count `size` more bytes. Raises AddressBusy and ServiceBusy, and takes nothing then."""
        if self._held_of[address] + size > self._address_max:
            message = (
                f"Request bodies from this network address take {self._held_of[address]} bytes of "
                f"the {self._address_max} that they may take at once: repeat this one when others "
                "have been answered."
            )
            raise AddressBusy(message, retry_after_s=RETRY_S)
        if self._held + size > self._bytes_max:
            message = (
                f"Request bodies take {self._held} bytes of the {self._bytes_max} that they may "
                "take at once: repeat this one in a few seconds."
            )
            raise ServiceBusy(message, retry_after_s=RETRY_S)
        self._held += size
        self._held_of[address] += size

    def give_back(self, address: str, size: int) -> None:
        """So many bytes are in memory no more."""
        self._held -= size
        self._held_of[address] -= size
        if not self._held_of[address]:
            del self._held_of[address]


class BodyHold:
    """What one request holds."""

    __slots__ = ("_address", "_room", "size")

    def __init__(self, room: BodyRoom, address: str) -> None:
        """Nothing yet."""
        self._room = room
        self._address = address
        self.size = 0

    def grow(self, size: int) -> None:
        """So many bytes more have come. Raises AddressBusy and ServiceBusy."""
        self._room.take(self._address, size)
        self.size += size

    def __enter__(self) -> Self:
        """Itself: a waiting caller keeps no frame of a generator beside it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it all back."""
        if self.size:
            self._room.give_back(self._address, self.size)
            self.size = 0
