"""Reads `Authorization` lines into pairs of macaroon and preimage, forgiving what callers send.

Taken: `L402`, `LSAT` and `Bearer` in any case, once or doubled, or no scheme; several lines, or
several joined by a comma; several macaroons before one preimage; base64 of either alphabet, padded
or not. Every other scheme is passed over in silence, and so is a `Bearer` that is no pair: OpenAI's
SDKs always send one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from cobot_meter.http_api.l402.macaroons import MACAROON_BYTES_MAX

LINES_MAX = 8
LINE_BYTES_MAX = 8_192
PAIRS_MAX = 8

_SCHEMES = frozenset({b"l402", b"lsat", b"bearer"})
_AROUND_COLON = re.compile(rb"[ \t]*:[ \t]*")
_PREIMAGE = re.compile(rb"[0-9a-fA-F]{64}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+")
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_UNIT = 4  # base64 comes in groups of four characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One pair, unverified: the macaroon's binary form and 32 bytes said to be its preimage."""

    macaroon: bytes
    preimage: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """All pairs in the order in which they came; none when nothing could be read."""

    pairs: tuple[Credential, ...] = ()


def parse_credentials(lines: Iterable[bytes]) -> Credentials:
    """The pairs in the values of the `Authorization` headers. Never raises.

    Lines over LINE_BYTES_MAX, and what comes after LINES_MAX lines or PAIRS_MAX pairs, are ignored.
    """
    fitting = (line for line in islice(lines, LINES_MAX) if len(line) <= LINE_BYTES_MAX)
    found = (pair for line in fitting for pair in _pairs(line))
    return Credentials(pairs=tuple(islice(found, PAIRS_MAX)))


def _pairs(line: bytes) -> Iterator[Credential]:
    ours, macaroons = True, list[bytes]()
    for part in _AROUND_COLON.sub(b":", line).split(b","):
        *schemes, value = part.split() or [b""]
        if schemes:
            ours = all(scheme.lower() in _SCHEMES for scheme in schemes)
            macaroons.clear()
        if not ours:
            continue
        text, colon, digits = value.partition(b":")
        macaroon = _macaroon(text)
        if macaroon is not None:
            macaroons.append(macaroon)
        if not colon:
            continue
        if _PREIMAGE.fullmatch(digits):
            preimage = bytes.fromhex(digits.decode("ascii"))
            yield from (Credential(macaroon=each, preimage=preimage) for each in macaroons)
        macaroons.clear()


def _macaroon(text: bytes) -> bytes | None:
    bare = text.rstrip(b"=").translate(_STANDARD_ALPHABET)
    if not _BASE64.fullmatch(bare):
        return None
    try:
        macaroon = base64.b64decode(bare + b"=" * (-len(bare) % _UNIT))
    except binascii.Error:
        return None
    return macaroon if len(macaroon) <= MACAROON_BYTES_MAX else None
