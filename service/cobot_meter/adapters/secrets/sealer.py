"""Bodies at rest: AES-256-GCM with a key per escrow, itself wrapped by our own key.

Dropping the wrapped key is what erases a body, in backups of the ciphertext too. Must not know:
what the bodies are, or where they are stored.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from cobot_meter.domain.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12


class AesSealer:
    """Implements `ports.identifiers.Sealer`."""

    def __init__(self, *, wrapping_key: bytes) -> None:
        """`wrapping_key` is 32 secret bytes that never enter the books."""
        self._wrapping_key = wrapping_key

    def new_key(self) -> bytes:
        """A fresh body key, wrapped (RFC 3394)."""
        return aes_key_wrap(self._wrapping_key, secrets.token_bytes(KEY_BYTES))

    def seal(self, wrapped_key: bytes, body: bytes, *, label: str) -> bytes:
        """Nonce and ciphertext; the label is authenticated."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._unwrapped(wrapped_key)).encrypt(nonce, body, label.encode())

    def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        """The body. Raises SealBroken for another key, label or a damaged text."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._unwrapped(wrapped_key)).decrypt(nonce, ciphertext, label.encode())
        except (InvalidTag, ValueError):
            message = f"the stored body {label} cannot be opened with its key"
            raise SealBroken(message) from None

    def _unwrapped(self, wrapped_key: bytes) -> bytes:
        try:
            return aes_key_unwrap(self._wrapping_key, wrapped_key)
        except (InvalidUnwrap, ValueError):
            message = "a body key was wrapped by another key than ours"
            raise SealBroken(message) from None
