"""Names and seals that tests can read: counted ids, derived preimages, bodies in a plain cover.

Must not know: randomness or keys. One object is what survives a restart: it never gives the same
name twice.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection

from cobot_meter.domain.errors import SealBroken

KEY = b"wrapped key"


class FakeIdentifiers:
    """The port `Identifiers`: `esc_` and 64 hex digits, but counted."""

    def __init__(self) -> None:
        """Counts from one."""
        self._numbers = itertools.count(1)

    def escrow_id(self) -> str:
        return f"esc_{next(self._numbers):064x}"

    def topup_id(self) -> str:
        return f"top_{next(self._numbers):064x}"

    def caller_id(self) -> str:
        return f"c_{next(self._numbers):032x}"

    def key_id(self) -> str:
        return f"key_{next(self._numbers):032x}"

    def key_secret(self, key_id: str, rotation: int) -> str:
        digest = hashlib.sha256(f"secret of {key_id} {rotation}".encode()).hexdigest()
        return f"sk-cobot-{digest[:43]}"

    def named_id(self, prefix: str, owner: str, name: str) -> str:
        digest = hashlib.sha256(f"{prefix} {owner} {name}".encode()).hexdigest()
        return f"{prefix}_n{digest[:52]}"

    def preimage(self, subject_id: str, attempt: int) -> bytes:
        return hashlib.sha256(f"preimage of {subject_id} {attempt}".encode()).digest()

    def memo_tag(self, caller_id: str, payment_hash: str) -> str:
        return f"{caller_id}.{payment_hash[:8]}"

    def caller_of_tag(self, tag: str, payment_hash: str) -> str | None:
        caller_id, _, bound = tag.rpartition(".")
        return caller_id if caller_id and bound == payment_hash[:8] else None


class FakeSealer:
    """The port `Sealer`: a cover that names its label. `broken` labels cannot be opened."""

    def __init__(self) -> None:
        """Nothing is broken."""
        self.broken: set[str] = set()

    async def new_key(self, *, day: str) -> bytes:
        assert day
        return KEY

    async def seal(self, wrapped_key: bytes, body: bytes, *, label: str) -> bytes:
        assert wrapped_key == KEY
        return _cover(label) + body

    async def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        cover = _cover(label)
        if wrapped_key != KEY or not sealed.startswith(cover) or label in self.broken:
            raise SealBroken(f"{label} cannot be opened")
        return sealed.removeprefix(cover)


def _cover(label: str) -> bytes:
    return f"sealed {label}\n".encode()


class FakeBodyKeys:
    """Keys of the day that are always there: FakeSealer seals without them."""

    where = "memory"

    async def prepare(self, day: str) -> None:
        del day

    async def missing(self, names: Collection[str]) -> tuple[str, ...]:
        del names
        return ()

    async def drop(self, *, kept: Collection[str], before: str) -> tuple[str, ...]:
        del kept, before
        return ()
