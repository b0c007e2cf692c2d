"""Macaroons, version 2 binary: a codec over bytes, with the 66-byte identifier of L402.

Byte-identical to what the libraries in the field write (key derived with
`HMAC("macaroons-key-generator", root)`, first-party caveats only).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

LOCATION = b"lsat"
MACAROON_BYTES_MAX = 4_096
IDENTIFIER_BYTES = 66
HASH_BYTES = 32

_VERSION = 2
_END, _LOCATION, _IDENTIFIER, _SIGNATURE = 0, 1, 2, 6
_LENGTH_BITS_MAX = 14  # two bytes: more than MACAROON_BYTES_MAX needs
_KEY_GENERATOR = b"macaroons-key-generator"
_IDENTIFIER_VERSION = b"\x00\x00"


class MacaroonInvalid(ValueError):
    """Bytes that are not a macaroon we could have written, or an identifier that is not L402's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Macaroon:
    """A macaroon with first-party caveats; `signature` is 32 bytes, the location proves nothing."""

    identifier: bytes
    caveats: tuple[bytes, ...]
    signature: bytes
    location: bytes = LOCATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """The L402 identifier, version 0: what must be paid, and which token this is; 32 bytes each."""

    payment_hash: bytes
    token_id: bytes


def mint(*, root_key: bytes, identifier: bytes, caveats: tuple[bytes, ...]) -> Macaroon:
    """A signed macaroon. `root_key` is secret, any length."""
    signature = _chain(root_key, identifier, caveats)
    return Macaroon(identifier=identifier, caveats=caveats, signature=signature)


def narrowed(macaroon: Macaroon, caveat: bytes) -> Macaroon:
    """The macaroon with one caveat more, as any holder can append one."""
    signature = hmac.digest(macaroon.signature, caveat, "sha256")
    return Macaroon(
        location=macaroon.location,
        identifier=macaroon.identifier,
        caveats=(*macaroon.caveats, caveat),
        signature=signature,
    )


def verify(macaroon: Macaroon, *, root_key: bytes) -> bool:
    """Whether `root_key` signed it, compared in constant time. Says nothing of the caveats."""
    expected = _chain(root_key, macaroon.identifier, macaroon.caveats)
    return hmac.compare_digest(expected, macaroon.signature)


def encode(macaroon: Macaroon) -> bytes:
    """The macaroon in the binary format of version 2."""
    parts = [
        bytes((_VERSION,)),
        _packet(_LOCATION, macaroon.location),
        _packet(_IDENTIFIER, macaroon.identifier),
        bytes((_END,)),
    ]
    for caveat in macaroon.caveats:
        parts += (_packet(_IDENTIFIER, caveat), bytes((_END,)))
    parts += (bytes((_END,)), _packet(_SIGNATURE, macaroon.signature))
    return b"".join(parts)


def parse(data: bytes) -> Macaroon:
    """The macaroon in `data`, unverified. Raises MacaroonInvalid, and nothing else.

    Refused: other versions, third-party caveats, trailing bytes, more than MACAROON_BYTES_MAX.
    """
    if len(data) > MACAROON_BYTES_MAX:
        raise MacaroonInvalid("longer than any macaroon of ours")
    if data[:1] != bytes((_VERSION,)):
        raise MacaroonInvalid("not a macaroon of version 2")
    at, location, identifier = _read_header(data, 1)
    caveats: list[bytes] = []
    while _byte(data, at) != _END:
        at, caveat = _read_packet(data, at, _IDENTIFIER)
        at = _read_end(data, at)
        caveats.append(caveat)
    at, signature = _read_packet(data, at + 1, _SIGNATURE)
    if len(signature) != HASH_BYTES or at != len(data):
        raise MacaroonInvalid("a macaroon ends with a signature of 32 bytes")
    return Macaroon(
        location=location, identifier=identifier, caveats=tuple(caveats), signature=signature
    )


def encode_identifier(identifier: Identifier) -> bytes:
    """66 bytes: version 0 as uint16, payment hash, token id. Raises MacaroonInvalid."""
    if not len(identifier.payment_hash) == len(identifier.token_id) == HASH_BYTES:
        raise MacaroonInvalid("payment hash and token id have 32 bytes each")
    return _IDENTIFIER_VERSION + identifier.payment_hash + identifier.token_id


def parse_identifier(data: bytes) -> Identifier:
    """The two halves again. Raises MacaroonInvalid."""
    if len(data) != IDENTIFIER_BYTES or data[:2] != _IDENTIFIER_VERSION:
        raise MacaroonInvalid("not an L402 identifier of version 0")
    return Identifier(payment_hash=data[2:34], token_id=data[34:])


def _chain(root_key: bytes, identifier: bytes, caveats: tuple[bytes, ...]) -> bytes:
    # By its name: a function given here is turned back into one at every link.
    signature = hmac.digest(_KEY_GENERATOR, root_key, sha256)
    for part in (identifier, *caveats):
        signature = hmac.digest(signature, part, sha256)
    return signature


def _packet(kind: int, content: bytes) -> bytes:
    length = len(content)
    head = bytearray((kind,))
    while length > 0x7F:  # noqa: PLR2004 - seven bits a byte, the high bit says that more follow
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _read_header(data: bytes, at: int) -> tuple[int, bytes, bytes]:
    location = b""
    if _byte(data, at) == _LOCATION:
        at, location = _read_packet(data, at, _LOCATION)
    at, identifier = _read_packet(data, at, _IDENTIFIER)
    return _read_end(data, at), location, identifier


def _read_packet(data: bytes, at: int, kind: int) -> tuple[int, bytes]:
    if _byte(data, at) != kind:
        raise MacaroonInvalid("a field is missing, out of order or of a third party")
    at, length, shift = at + 1, 0, 0
    while True:
        byte = _byte(data, at)
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of the length
            break
        if shift >= _LENGTH_BITS_MAX:
            raise MacaroonInvalid("a field is longer than any of ours")
    if at + length > len(data):
        raise MacaroonInvalid("a field ends after the macaroon")
    return at + length, data[at : at + length]


def _read_end(data: bytes, at: int) -> int:
    if _byte(data, at) != _END:
        raise MacaroonInvalid("a section does not end where it should")
    return at + 1


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise MacaroonInvalid("the macaroon is cut short")
    return data[at]
