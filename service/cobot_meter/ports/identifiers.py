"""Fresh identities and secrets derived from our key."""

from __future__ import annotations

from typing import Protocol


class Identifiers(Protocol):
    """Names nobody can guess, and secrets that can be derived again after a crash."""

    def escrow_id(self) -> str:
        """`esc_`, the time, so that rows lie together, and 130 random bits against guessing."""

    def topup_id(self) -> str:
        """`top_`, the time and 130 random bits."""

    def caller_id(self) -> str:
        """`c_`, the time and 128 random bits."""

    def key_id(self) -> str:
        """`key_`, the time and 128 random bits."""

    def key_secret(self, key_id: str, rotation: int) -> str:
        """`sk-cobot-` and HMAC-SHA256(key, id ‖ rotation): the same again whenever asked."""

    def named_id(self, prefix: str, owner: str, name: str) -> str:
        """`{prefix}_n` and what this owner's subject of this name is always called."""

    def preimage(self, subject_id: str, attempt: int) -> bytes:
        """HMAC-SHA256(key, subject ‖ attempt), 32 bytes: the same again whenever asked."""

    def memo_tag(self, caller_id: str, payment_hash: str) -> str:
        """The caller, sealed to us and to this hash; the same again whenever asked."""

    def caller_of_tag(self, tag: str, payment_hash: str) -> str | None:
        """The caller; None when the tag is not ours, or was made for another hash."""


class Sealer(Protocol):
    """Encrypts bodies at rest, a key per escrow. Must not know: what the bodies are."""

    async def new_key(self, *, day: str) -> bytes:
        """A fresh body key, wrapped by our own key and that of the UTC day.

        It is what the books keep beside the escrow. Raises BodyKeysUnusable.
        """

    async def seal(self, wrapped_key: bytes, body: bytes, *, label: str) -> bytes:
        """Encrypt; `label` (escrow id and kind) is authenticated, so bodies cannot be swapped.

        Raises BodyKeysUnusable, and never in the process that made or opened something with the
        key: it holds what it needs.
        """

    async def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        """Decrypt. Raises SealBroken, and BodyKeysUnusable when the day's key may come back."""
