"""Bodies at rest: AES-256-GCM with a key per escrow, itself wrapped for the books.

What wraps it is made of our own key and of the key of a day, which is kept outside the books and
dropped with the last body of that day: from then on no copy of the wrapped key opens anything, be
it in a page that was not overwritten, a log, a standby or a backup.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from cobot_meter.domain.body_keys import split_key
from cobot_meter.domain.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12


class SealingKey(Protocol):
    """The key of one day, by its name."""

    @property
    def name(self) -> str:
        """What stands before the keys that are wrapped with it."""

    @property
    def secret(self) -> bytes:
        """32 bytes."""


class SealingKeys(Protocol):
    """Where the keys of the day come from."""

    async def of_day(self, day: str) -> SealingKey:
        """Made when it is not there. Raises BodyKeysUnusable."""

    async def named(self, name: str) -> SealingKey:
        """Raises SealBroken when it is gone for good, BodyKeysUnusable when it may come back."""


class AesSealer:
    """Implements `ports.identifiers.Sealer`."""

    def __init__(self, *, wrapping_key: bytes, days: SealingKeys) -> None:
        """`wrapping_key` is 32 secret bytes that never enter the books."""
        self._wrapping_key = wrapping_key
        self._days = days

    async def new_key(self, *, day: str) -> bytes:
        """A fresh body key, wrapped (RFC 3394), behind the name of the day's key."""
        key = await self._days.of_day(day)
        wrapped = aes_key_wrap(self._wraps(key), secrets.token_bytes(KEY_BYTES))
        return key.name.encode() + wrapped

    async def seal(self, wrapped_key: bytes, body: bytes, *, label: str) -> bytes:
        """Nonce and ciphertext; the label is authenticated."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = AESGCM(await self._unwrapped(wrapped_key))
        return nonce + key.encrypt(nonce, body, label.encode())

    async def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        """The body. Raises SealBroken for another key, label or a damaged text."""
        key = AESGCM(await self._unwrapped(wrapped_key))
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return key.decrypt(nonce, ciphertext, label.encode())
        except (InvalidTag, ValueError):
            message = f"the stored body {label} cannot be opened with its key"
            raise SealBroken(message) from None

    async def _unwrapped(self, stored: bytes) -> bytes:
        name, wrapped = split_key(stored)
        wraps = self._wrapping_key if name is None else self._wraps(await self._days.named(name))
        try:
            return aes_key_unwrap(wraps, wrapped)
        except (InvalidUnwrap, ValueError):
            message = "a body key was wrapped by another key than ours"
            raise SealBroken(message) from None

    def _wraps(self, day: SealingKey) -> bytes:
        """Neither our key alone nor the day's opens anything."""
        return hmac.digest(
            self._wrapping_key, b"cobot-meter/1/body-key/" + day.secret, hashlib.sha256
        )
