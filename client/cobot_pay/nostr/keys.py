"""A pair of keys as Nostr has them: secp256k1, public keys by their x alone, BIP-340 signatures."""

from __future__ import annotations

import secrets

from coincurve import PrivateKey, PublicKey, PublicKeyXOnly

_KEY_BYTES = 32
_EVEN_Y = b"\x02"  # which of the two points of an x is meant is settled: the even one


class NostrKey:
    """A secret key; `public` is its public key in hex."""

    def __init__(self, secret: bytes) -> None:
        """`secret` has 32 bytes. Raises ValueError for what is no secret key."""
        if len(secret) != _KEY_BYTES:
            raise ValueError("a secret key has 32 bytes")
        self._key = PrivateKey(secret)
        self.public = self._key.public_key.format()[1:].hex()

    @classmethod
    def new(cls) -> NostrKey:
        """A fresh random key."""
        return cls(PrivateKey().secret)

    def sign(self, digest: bytes) -> bytes:
        """The BIP-340 signature, 64 bytes, of a digest of 32."""
        return self._key.sign_schnorr(digest, secrets.token_bytes(_KEY_BYTES))

    def shared_x(self, public: str) -> bytes:
        """The x (32 bytes) of the point that this key and a public key (hex) make together.

        Raises ValueError for no public key.
        """
        point = PublicKey(_EVEN_Y + bytes.fromhex(public))
        return point.multiply(self._key.secret).format()[1:]


def is_signed(digest: bytes, *, public: str, signature: str) -> bool:
    """Whether that key has signed these 32 bytes; False for what is no key or signature."""
    try:
        return PublicKeyXOnly(bytes.fromhex(public)).verify(bytes.fromhex(signature), digest)
    except ValueError:
        return False
