"""Reads and verifies BOLT 11 invoices. Must not know: nodes, or what an invoice pays for.

As strict as the specification asks of somebody about to pay: what must fail a payment raises
Bolt11Invalid. Fallback addresses and route hints are passed over.
"""

from __future__ import annotations

import re

import coincurve

from service.adapters.lightning.bech32_words import (
    Bech32Invalid,
    decode_bech32,
    number_of,
    octets_of,
)
from service.adapters.lightning.bolt11 import (
    DEFAULT_EXPIRY_S,
    DEFAULT_MIN_FINAL_CLTV,
    MAX_AMOUNT_MSAT,
    MSAT_OF_UNIT,
    PICO_PER_MSAT,
    SIGNATURE_WORDS,
    TIMESTAMP_WORDS,
    Bolt11,
    Bolt11Invalid,
    FieldType,
    signed_octets,
)

_HRP = re.compile(r"ln(bcrt|bc|tbs|tb)(?:([1-9][0-9]{0,19})([munp]?))?")
_MAX_NUMBER_WORDS = 12  # 60 bits: more than any expiry or delta needs
_FIXED_WORDS = {
    FieldType.PAYMENT_HASH: 52,
    FieldType.PAYMENT_SECRET: 52,
    FieldType.DESCRIPTION_HASH: 52,
    FieldType.PAYEE: 53,
}
# Even bits of BOLT 9 that may stand in an invoice; any other even bit must fail the payment.
_KNOWN_EVEN_FEATURES = frozenset({8, 14, 16, 24, 36, 48})


def decode_bolt11(text: str) -> Bolt11:
    """The invoice in the text, upper or lower case. Raises Bolt11Invalid."""
    try:
        prefix, words = decode_bech32(text)
    except Bech32Invalid as fault:
        raise Bolt11Invalid(f"the invoice {fault}") from fault
    if len(words) < TIMESTAMP_WORDS + SIGNATURE_WORDS:
        raise Bolt11Invalid("the invoice is too short")
    network_prefix, amount_msat = _read_prefix(prefix)
    data, signature = words[:-SIGNATURE_WORDS], octets_of(words[-SIGNATURE_WORDS:])
    fields = _split_fields(data)
    message = prefix.encode("ascii") + signed_octets(number_of(data), len(data))
    description, description_hash = _read_description(fields)
    return Bolt11(
        prefix=network_prefix,
        amount_msat=amount_msat,
        timestamp_s=number_of(data[:TIMESTAMP_WORDS]),
        payment_hash=_read_required(fields, FieldType.PAYMENT_HASH, "payment hash"),
        payment_secret=_read_required(fields, FieldType.PAYMENT_SECRET, "payment secret"),
        description=description,
        description_hash=description_hash,
        expiry_s=_read_number(fields, FieldType.EXPIRY, DEFAULT_EXPIRY_S),
        min_final_cltv=_read_number(fields, FieldType.MIN_FINAL_CLTV, DEFAULT_MIN_FINAL_CLTV),
        features=_read_features(fields),
        metadata=octets_of(fields[FieldType.METADATA]).hex()
        if FieldType.METADATA in fields
        else None,
        payee_pubkey=_read_payee(fields, signature, message),
    )


def _read_prefix(prefix: str) -> tuple[str, int | None]:
    """Network prefix and amount in msat."""
    match = _HRP.fullmatch(prefix)
    if match is None:
        raise Bolt11Invalid("the invoice has an unknown network or a malformed amount")
    network_prefix, digits, unit = match.groups()
    if digits is None:
        return network_prefix, None
    number = int(digits)
    if unit == "p" and number % PICO_PER_MSAT:
        raise Bolt11Invalid("the invoice asks for a part of a millisatoshi")
    amount_msat = number // PICO_PER_MSAT if unit == "p" else number * MSAT_OF_UNIT[unit]
    if amount_msat > MAX_AMOUNT_MSAT:
        raise Bolt11Invalid("the invoice asks for more bitcoin than there are")
    return network_prefix, amount_msat


def _split_fields(data: bytes) -> dict[int, bytes]:
    """The words of the first field of each type; fields of a wrong fixed length are skipped."""
    fields: dict[int, bytes] = {}
    at, end = TIMESTAMP_WORDS, len(data)
    while at < end:
        if end - at < 3:  # noqa: PLR2004 - one word of type, two of length
            raise Bolt11Invalid("the invoice ends inside a field")
        kind, count = data[at], data[at + 1] << 5 | data[at + 2]
        at += 3 + count
        if at > end:
            raise Bolt11Invalid("the invoice ends inside a field")
        if _FIXED_WORDS.get(kind, count) == count:
            fields.setdefault(kind, data[at - count : at])
    return fields


def _read_required(fields: dict[int, bytes], kind: int, name: str) -> str:
    if kind not in fields:
        raise Bolt11Invalid(f"the invoice has no {name}")
    return octets_of(fields[kind]).hex()


def _read_description(fields: dict[int, bytes]) -> tuple[str | None, str | None]:
    if (FieldType.DESCRIPTION in fields) == (FieldType.DESCRIPTION_HASH in fields):
        raise Bolt11Invalid("the invoice has not exactly one of description and description hash")
    if FieldType.DESCRIPTION_HASH in fields:
        return None, octets_of(fields[FieldType.DESCRIPTION_HASH]).hex()
    try:
        return octets_of(fields[FieldType.DESCRIPTION]).decode(), None
    except UnicodeDecodeError as fault:
        raise Bolt11Invalid("the invoice has a description that is not UTF-8") from fault


def _read_number(fields: dict[int, bytes], kind: int, default: int) -> int:
    words = fields.get(kind)
    if words is None:
        return default
    if len(words) > _MAX_NUMBER_WORDS:
        raise Bolt11Invalid("the invoice has a number that is too large")
    return number_of(words)


def _read_features(fields: dict[int, bytes]) -> frozenset[int]:
    bits = f"{number_of(fields.get(FieldType.FEATURES, b'')):b}"[::-1]
    features = frozenset(bit for bit, is_set in enumerate(bits) if is_set == "1")
    unknown = {bit for bit in features - _KNOWN_EVEN_FEATURES if bit % 2 == 0}
    if unknown:
        raise Bolt11Invalid(f"the invoice requires unknown features {sorted(unknown)}")
    return features


def _read_payee(fields: dict[int, bytes], signature: bytes, message: bytes) -> str:
    """The key that signed: the one named, if the (low-S) signature is its, or the one recovered."""
    named = octets_of(fields[FieldType.PAYEE]) if FieldType.PAYEE in fields else None
    try:
        if named is None:
            key = coincurve.PublicKey.from_signature_and_message(signature, message)
            return key.format().hex()
        if coincurve.verify_signature(_der(signature[:64]), message, named):
            return named.hex()
    except ValueError as fault:
        raise Bolt11Invalid("the invoice has a signature nobody can have made") from fault
    raise Bolt11Invalid("the invoice is not signed by the payee it names")


def _der(compact: bytes) -> bytes:
    """A 64-octet signature in the form in which the library verifies it."""
    numbers = b"".join(_der_integer(half) for half in (compact[:32], compact[32:]))
    return bytes((0x30, len(numbers))) + numbers


def _der_integer(octets: bytes) -> bytes:
    number = int.from_bytes(octets, "big")
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")  # with room for a sign bit
    return bytes((0x02, len(content))) + content
