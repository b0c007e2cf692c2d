"""Fresh ids and preimages from our key ring. The only file that makes random names.

A name begins with the time: rows that belong together lie together in every index on disk, which
makes writing to a ledger of a million entries cost what writing to a small one does. What makes it
hard to guess is the randomness after it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from cobot_meter.ports.process import Clock


class KeyedIdentifiers:
    """Implements `ports.identifiers.Identifiers`."""

    def __init__(self, *, preimage_key: bytes, clock: Clock) -> None:
        """`preimage_key` is 32 secret bytes; whoever has it can claim our invoices' preimages."""
        self._preimage_key = preimage_key
        self._tags = AESSIV(hmac.digest(preimage_key, b"cobot-meter memo tag", "sha512"))
        self._api_keys = hmac.digest(preimage_key, b"cobot-meter api key", "sha256")
        self._names = hmac.digest(preimage_key, b"cobot-meter named id", "sha256")
        self._clock = clock

    def escrow_id(self) -> str:
        """`esc_`, the time, 130 random bits: knowing one is the right to see state and invoice."""
        return f"esc_{self._time()}{_random_130()}"

    def topup_id(self) -> str:
        """`top_`, the time and 130 random bits."""
        return f"top_{self._time()}{_random_130()}"

    def caller_id(self) -> str:
        """`c_`, the time and 128 random bits."""
        return f"c_{self._time()}{secrets.token_hex(16)}"

    def replica_id(self) -> str:
        """`r_`, the time and 64 random bits: a process in one run of it."""
        return f"r_{self._time()}{secrets.token_hex(8)}"

    def key_id(self) -> str:
        """`key_`, the time and 128 random bits."""
        return f"key_{self._time()}{secrets.token_hex(16)}"

    def key_secret(self, key_id: str, rotation: int) -> str:
        """From a key of its own, so that no preimage is ever one of these."""
        text = hmac.digest(self._api_keys, f"{key_id}\n{rotation}".encode(), "sha256")
        return f"sk-cobot-{base64.urlsafe_b64encode(text).decode().rstrip('=')}"

    def named_id(self, prefix: str, owner: str, name: str) -> str:
        """`{prefix}_n` and an HMAC-SHA256 of all three; it has no time in it and never changes."""
        named = f"{prefix}\n{owner}\n{name}".encode()
        return f"{prefix}_n{_letters(hmac.digest(self._names, named, 'sha256'))}"

    def preimage(self, subject_id: str, attempt: int) -> bytes:
        """HMAC-SHA256(key, subject ‖ attempt): the same again after a crash."""
        subject = f"{subject_id}\n{attempt}".encode()
        return hmac.digest(self._preimage_key, subject, sha256)

    def memo_tag(self, caller_id: str, payment_hash: str) -> str:
        """AES-SIV: the nonce is made of the content, so that the memo is the same after a crash."""
        sealed = self._tags.encrypt(caller_id.encode(), [payment_hash.encode()])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def caller_of_tag(self, tag: str, payment_hash: str) -> str | None:
        """The caller's id, opened by AES-SIV; None for a tag not ours or made for another hash."""
        try:
            sealed = base64.b64decode(tag + "=" * (-len(tag) % 4), altchars=b"-_", validate=True)
            return self._tags.decrypt(sealed, [payment_hash.encode()]).decode()
        except (ValueError, InvalidTag):
            return None

    def _time(self) -> str:
        """Milliseconds in hexadecimal, of one length until the year 2527, so that text sorts."""
        return f"{self._clock.now_ms():011x}"


class GenerationNames:
    """Names for the runs of an upstream that gives them none."""

    def __init__(self, *, prefix: str, clock: Clock) -> None:
        """Every name begins with `prefix`."""
        self._prefix = prefix
        self._clock = clock

    def __call__(self) -> str:
        """The prefix, the time and 64 random bits."""
        return f"{self._prefix}{self._clock.now_ms():011x}{secrets.token_hex(8)}"


# Five random bits for each byte: made in one pass, where base32 takes a loop in Python.
_LETTERS_OF_BYTES = bytes(b"abcdefghijklmnopqrstuvwxyz234567"[byte & 31] for byte in range(256))
# More than anybody guesses; each stands some 25 times in the books of one sale, so 52 were 0.65 kB.
_LETTERS = 26


def _random_130() -> str:
    """130 random bits in letters and digits: every end of it can be typed after a command."""
    return secrets.token_bytes(_LETTERS).translate(_LETTERS_OF_BYTES).decode()


def _letters(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()
