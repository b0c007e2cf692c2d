"""How two keys keep a text from all others: NIP-44 version 2, and NIP-04 for services without it.

NIP-04 proves nothing of what it carries; the signature of the event around it does.
"""

from __future__ import annotations

import base64
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.padding import PKCS7

from cobot_pay.nostr.keys import NostrKey

NIP44, NIP04 = "nip44_v2", "nip04"

_VERSION = b"\x02"
_SALT = b"nip44-v2"
_NONCE_BYTES = 32
_MAC_BYTES = 32
_LENGTH_BYTES = 2
_PLAIN_BYTES_MAX = 65_535
_PAYLOAD_CHARACTERS = range(132, 87_473)
_CHUNK_LEAST = 32
_SMALL = 256
_COUNTER = bytes(4)
_IV_BYTES = 16
_AES_BITS = 128


class CannotDecrypt(Exception):
    """The text was not made for this key by the other one, or was changed on the way."""


def conversation_key(mine: NostrKey, theirs: str) -> bytes:
    """NIP-44's key of two parties (32 bytes), equal for both. Raises ValueError for no key."""
    return hmac.digest(_SALT, mine.shared_x(theirs), "sha256")


def message_keys(conversation: bytes, nonce: bytes) -> tuple[bytes, bytes, bytes]:
    """The keys of one message: ChaCha20's, its nonce, and that of the authentication."""
    keys = HKDFExpand(algorithm=SHA256(), length=76, info=nonce).derive(conversation)
    return keys[:32], keys[32:44], keys[44:]


def padded_length(length: int) -> int:
    """How long a text of so many bytes is made, so that its length tells little."""
    if length <= _CHUNK_LEAST:
        return _CHUNK_LEAST
    next_power = 1 << (length - 1).bit_length()
    chunk = _CHUNK_LEAST if next_power <= _SMALL else next_power // 8
    return chunk * ((length - 1) // chunk + 1)


def encrypt_nip44(text: str, conversation: bytes, nonce: bytes) -> str:
    """The payload, in base64, of one text. Raises ValueError for 0 bytes or more than 65,535.

    `nonce` is 32 random bytes, fresh for every text.
    """
    plain = text.encode()
    if not 1 <= len(plain) <= _PLAIN_BYTES_MAX:
        raise ValueError("NIP-44 takes texts of 1 to 65,535 bytes")
    padding = bytes(padded_length(len(plain)) - len(plain))
    chacha_key, chacha_nonce, mac_key = message_keys(conversation, nonce)
    padded = len(plain).to_bytes(_LENGTH_BYTES, "big") + plain + padding
    sealed = _chacha20(chacha_key, chacha_nonce, padded)
    mac = hmac.digest(mac_key, nonce + sealed, "sha256")
    return base64.b64encode(_VERSION + nonce + sealed + mac).decode("ascii")


def decrypt_nip44(payload: str, conversation: bytes) -> str:
    """The text in a payload. Raises CannotDecrypt for one that the key of two does not open."""
    if len(payload) not in _PAYLOAD_CHARACTERS:
        raise CannotDecrypt("it is too short or too long for NIP-44")
    octets = _base64(payload)
    if octets[:1] != _VERSION:
        raise CannotDecrypt("it is not of NIP-44's version 2")
    nonce, rest = octets[1 : 1 + _NONCE_BYTES], octets[1 + _NONCE_BYTES :]
    sealed, mac = rest[:-_MAC_BYTES], rest[-_MAC_BYTES:]
    chacha_key, chacha_nonce, mac_key = message_keys(conversation, nonce)
    if not hmac.compare_digest(mac, hmac.digest(mac_key, nonce + sealed, "sha256")):
        raise CannotDecrypt("its authentication is wrong")
    padded = _chacha20(chacha_key, chacha_nonce, sealed)
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    plain = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
    whole = len(padded) - _LENGTH_BYTES
    if not length or len(plain) != length or whole != padded_length(length):
        raise CannotDecrypt("its padding is wrong")
    return _text(plain)


def encrypt_nip04(text: str, shared_x: bytes, iv: bytes) -> str:
    """The text by AES-256-CBC in base64, with the 16 bytes of `iv` beside it."""
    padder = PKCS7(_AES_BITS).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(shared_x), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    return f"{base64.b64encode(sealed).decode('ascii')}?iv={base64.b64encode(iv).decode('ascii')}"


def decrypt_nip04(payload: str, shared_x: bytes) -> str:
    """The text in a payload; nothing in it proves who wrote it. Raises CannotDecrypt."""
    sealed, _, iv = payload.partition("?iv=")
    try:
        decryptor = Cipher(algorithms.AES(shared_x), modes.CBC(_base64(iv))).decryptor()
        padded = decryptor.update(_base64(sealed)) + decryptor.finalize()
        unpadder = PKCS7(_AES_BITS).unpadder()
        plain = unpadder.update(padded) + unpadder.finalize()
    except ValueError as fault:
        raise CannotDecrypt("it is not of NIP-04") from fault
    return _text(plain)


class Encryption:
    """What one key and another write to each other, by the name that NIP-47 gives the cipher."""

    def __init__(self, name: str, *, mine: NostrKey, theirs: str) -> None:
        """`mine` is our key, `theirs` a public key in hex. Raises ValueError where that is none."""
        self.name = name
        self._shared_x = mine.shared_x(theirs)
        self._conversation = conversation_key(mine, theirs)

    def encrypt(self, text: str) -> str:
        """The payload that only the other, and we, can read."""
        if self.name == NIP04:
            return encrypt_nip04(text, self._shared_x, secrets.token_bytes(_IV_BYTES))
        return encrypt_nip44(text, self._conversation, secrets.token_bytes(_NONCE_BYTES))

    def decrypt(self, payload: str) -> str:
        """The text of a payload from the other. Raises CannotDecrypt."""
        if self.name == NIP04:
            return decrypt_nip04(payload, self._shared_x)
        return decrypt_nip44(payload, self._conversation)


def _chacha20(key: bytes, nonce: bytes, octets: bytes) -> bytes:
    encryptor = Cipher(algorithms.ChaCha20(key, _COUNTER + nonce), mode=None).encryptor()
    return encryptor.update(octets)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as fault:
        raise CannotDecrypt("it is no base64") from fault


def _text(plain: bytes) -> str:
    try:
        return plain.decode()
    except UnicodeDecodeError as fault:
        raise CannotDecrypt("it is no UTF-8") from fault
