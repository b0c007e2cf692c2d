"""What a payer must know of a BOLT11 invoice before paying it: amount and payment hash.

The signature is the wallet's to check. Must not know: wallets, challenges or budgets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import xor

from cobot_pay.errors import ChallengeRefused

INVOICE_CHARACTERS_MAX = 7_089

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE_OF = {letter: value for value, letter in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What the five bits that are carried out of the checksum put back into it, whichever they are.
_SUMS = tuple(
    reduce(xor, (part for bit, part in enumerate(_GENERATOR) if carried >> bit & 1), 0)
    for carried in range(32)
)
_PREFIX = re.compile(r"ln[a-z]+?(?:([1-9][0-9]{0,19})([munp]?))?")
_PICO_BTC_OF = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
_PICO_BTC_PER_MSAT = 10
_LINK = re.compile(r"\Alightning:(?://)?", re.IGNORECASE)
_CHECKSUM_WORDS = 6
_TIMESTAMP_WORDS = 7
_SIGNATURE_WORDS = 104
_HEAD_WORDS = 3  # of a field: one of type, two of length
_PAYMENT_HASH_FIELD = 1
_PAYMENT_HASH_WORDS = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceTerms:
    """What is asked for. `payment_hash` is 64 lower-case hex digits."""

    amount_msat: int
    payment_hash: str


def plain_invoice(payment_request: str) -> str:
    """The invoice alone: without blanks, `lightning:` or the capitals of a QR code."""
    bare = _LINK.sub("", payment_request.strip())
    return bare.lower() if bare.isupper() else bare


def read_invoice(payment_request: str) -> InvoiceTerms:
    """The amount and the payment hash of a BOLT11 invoice.

    Raises ChallengeRefused for what is no invoice, or leaves the amount open.
    """
    payment_request = plain_invoice(payment_request)
    text = payment_request.lower()
    prefix, separator, letters = text.rpartition("1")
    mixed = payment_request != text
    if mixed or not separator or len(text) > INVOICE_CHARACTERS_MAX:
        raise ChallengeRefused("the invoice is not written as BOLT11")
    if not _VALUE_OF.keys() >= set(letters) or not prefix.isascii():
        raise ChallengeRefused("the invoice has characters that BOLT11 does not")
    words = [_VALUE_OF[letter] for letter in letters]
    if _checksum(prefix, words) != 1:
        raise ChallengeRefused("the invoice is damaged: its checksum is wrong")
    return InvoiceTerms(
        amount_msat=_amount_msat(prefix),
        payment_hash=_payment_hash(words[:-_CHECKSUM_WORDS]),
    )


def _checksum(prefix: str, words: list[int]) -> int:
    spread = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(one) & 31 for one in prefix]
    check = 1
    for word in spread + words:
        check = (check & 0x1FFFFFF) << 5 ^ word ^ _SUMS[check >> 25]
    return check


def _amount_msat(prefix: str) -> int:
    match = _PREFIX.fullmatch(prefix)
    if match is None:
        raise ChallengeRefused("the invoice has a malformed amount")
    digits, unit = match.groups()
    if digits is None:
        raise ChallengeRefused("the invoice leaves the amount to the payer")
    amount_msat, rest = divmod(int(digits) * _PICO_BTC_OF[unit], _PICO_BTC_PER_MSAT)
    if rest:
        raise ChallengeRefused("the invoice asks for a part of a millisatoshi")
    return amount_msat


def _payment_hash(words: list[int]) -> str:
    """The first payment hash field of the right length, as payers read it."""
    at, end = _TIMESTAMP_WORDS, len(words) - _SIGNATURE_WORDS
    while at + _HEAD_WORDS <= end:
        kind, length = words[at], words[at + 1] << 5 | words[at + 2]
        content = words[at + _HEAD_WORDS : min(at + _HEAD_WORDS + length, end)]
        if kind == _PAYMENT_HASH_FIELD and len(content) == _PAYMENT_HASH_WORDS:
            number = 0
            for word in content:
                number = number << 5 | word
            return (number >> 4).to_bytes(32, "big").hex()
        at += _HEAD_WORDS + length
    raise ChallengeRefused("the invoice has no payment hash")
