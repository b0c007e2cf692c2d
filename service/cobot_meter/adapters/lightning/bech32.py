"""Bech32 (BIP 173, without its length limit): words of five bits, a charset and a checksum.

Five-bit words are kept as `bytes` (one word a byte), and whole runs of them are turned into
integers and back in one step: a loop over bits would cost more than the signature.
"""

from __future__ import annotations

import base64

CHARSET = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
MAX_LENGTH = 7089  # what fits a QR code, and the most that lnd reads

_CHECKSUM_WORDS = 6
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_NO_WORD = 255

_WORDS = bytes(range(32))
_WORD_TO_CHAR = bytes.maketrans(_WORDS, CHARSET)
_CHAR_TO_WORD = bytes(CHARSET.find(char) % 256 for char in range(256))  # -1 becomes _NO_WORD
_WORD_TO_DIGIT = bytes.maketrans(
    _WORDS, b"0123456789abcdefghijklmnopqrstuv"
)  # as int(..., 32) reads
_BASE32_TO_WORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _WORDS)


class Bech32Invalid(ValueError):
    """Text that is not Bech32, or whose checksum does not hold."""


def encode_bech32(prefix: str, words: bytes) -> str:
    """`prefix` (lower case), `1`, the words and their checksum, as text."""
    summed = words + _checksum(prefix, words)
    return f"{prefix}1{summed.translate(_WORD_TO_CHAR).decode('ascii')}"


def decode_bech32(text: str) -> tuple[str, bytes]:
    """The prefix in lower case, and the words without the checksum. Raises Bech32Invalid."""
    if len(text) > MAX_LENGTH:
        raise Bech32Invalid(f"longer than {MAX_LENGTH} characters")
    if not (text.isascii() and text.isprintable()):
        raise Bech32Invalid("has a character that is not printable ASCII")
    lowered = text.lower()
    if text not in (lowered, text.upper()):
        raise Bech32Invalid("mixes upper and lower case")
    prefix, separator, tail = lowered.rpartition("1")
    if not (separator and prefix):
        raise Bech32Invalid("has no prefix and separator `1`")
    words = tail.encode("ascii").translate(_CHAR_TO_WORD)
    if _NO_WORD in words:
        raise Bech32Invalid("has a character that is not of the Bech32 charset")
    if len(words) < _CHECKSUM_WORDS:
        raise Bech32Invalid("is too short for a checksum")
    if _checksum(prefix, words[:-_CHECKSUM_WORDS]) != words[-_CHECKSUM_WORDS:]:
        raise Bech32Invalid("has a wrong checksum")
    return prefix, words[:-_CHECKSUM_WORDS]


def number_of(words: bytes) -> int:
    """The words read as one big-endian number; 0 for none."""
    return int(words.translate(_WORD_TO_DIGIT), 32) if words else 0


def words_of(number: int, count: int) -> bytes:
    """The low `5 * count` bits of a number that has no more, as words."""
    padding = -5 * count % 40  # base64 works in groups of 40 bits, eight words
    octets = (number << padding).to_bytes((5 * count + padding) // 8, "big")
    return base64.b32encode(octets).translate(_BASE32_TO_WORD)[:count]


def octets_of(words: bytes) -> bytes:
    """Whole octets from the front of the words; up to seven left-over bits are dropped."""
    octets, padding = divmod(5 * len(words), 8)
    return (number_of(words) >> padding).to_bytes(octets, "big")


def _step(state: int, word: int) -> int:
    """BIP 173's polynomial, one word further."""
    top = state >> 25
    state = (state & 0x1FFFFFF) << 5 ^ word
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            state ^= generator
    return state


# What the ten bits that leave the state add to it, two words further on.
_TABLE = tuple(_step(_step(top << 20, 0), 0) for top in range(1_024))


def _checksum(prefix: str, words: bytes) -> bytes:
    """BIP 173's six words over prefix and data; two words at a time, which halves the loop."""
    letters = prefix.encode("ascii")
    high = bytes(letter >> 5 for letter in letters)
    low = bytes(letter & 31 for letter in letters)
    summed = b"".join((high, b"\0", low, words, bytes(_CHECKSUM_WORDS)))
    odd = len(summed) % 2
    state = _step(1, summed[0]) if odd else 1
    for word, after in zip(summed[odd::2], summed[odd + 1 :: 2], strict=True):
        state = (state & 0xFFFFF) << 10 ^ word << 5 ^ after ^ _TABLE[state >> 20]
    return words_of(state ^ 1, _CHECKSUM_WORDS)
