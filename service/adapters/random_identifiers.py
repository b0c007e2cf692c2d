"""Fresh ids and preimages from our key ring. The only file that makes random names.

Must not know: where the key lies (`key_file.py` does), or what the names are for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


class KeyedIdentifiers:
    """Implements `ports.identifiers.Identifiers`."""

    def __init__(self, *, preimage_key: bytes) -> None:
        """`preimage_key` is 32 secret bytes; whoever has it can claim our invoices' preimages."""
        self._preimage_key = preimage_key

    def escrow_id(self) -> str:
        """`esc_` and 256 random bits: knowing one is the right to see its state and invoice."""
        return f"esc_{secrets.token_urlsafe(32)}"

    def topup_id(self) -> str:
        """`top_` and 256 random bits."""
        return f"top_{secrets.token_urlsafe(32)}"

    def caller_id(self) -> str:
        """`c_` and 128 random bits."""
        return f"c_{secrets.token_hex(16)}"

    def preimage(self, subject_id: str, attempt: int) -> bytes:
        """HMAC-SHA256(key, subject ‖ attempt): the same again after a crash."""
        subject = f"{subject_id}\n{attempt}".encode()
        return hmac.digest(self._preimage_key, subject, hashlib.sha256)
