"""Writes and signs BOLT 11 invoices. Must not know: nodes, or what an invoice pays for."""

from __future__ import annotations

import coincurve

from service.adapters.lightning.bech32_words import encode_bech32, words_of
from service.adapters.lightning.bolt11 import (
    DEFAULT_EXPIRY_S,
    DEFAULT_MIN_FINAL_CLTV,
    MAX_AMOUNT_MSAT,
    MSAT_OF_UNIT,
    NETWORK_OF_PREFIX,
    PICO_PER_MSAT,
    SIGNATURE_WORDS,
    TIMESTAMP_WORDS,
    Bolt11Invalid,
    Bolt11Terms,
    FieldType,
    signed_octets,
)

MAX_MEMO_OCTETS = 639

_MAX_FIELD_WORDS = 1023
_HASH_OCTETS = 32

_Bits = tuple[int, int]  # a number, and how many words of five bits it fills


def sign_bolt11(terms: Bolt11Terms, key: coincurve.PrivateKey, *, name_payee: bool = False) -> str:
    """The invoice as text; `name_payee` adds the key itself. Raises Bolt11Invalid."""
    prefix = _write_prefix(terms)
    data, count = _write_data(terms, key.public_key.format() if name_payee else None)
    message = prefix.encode("ascii") + signed_octets(data, count)
    signature = int.from_bytes(key.sign_recoverable(message), "big")
    whole = data << 5 * SIGNATURE_WORDS | signature
    return encode_bech32(prefix, words_of(whole, count + SIGNATURE_WORDS))


def _write_prefix(terms: Bolt11Terms) -> str:
    """`ln`, network and the shortest form of the amount."""
    if terms.prefix not in NETWORK_OF_PREFIX:
        raise Bolt11Invalid(f"no network has the prefix {terms.prefix!r}")
    amount_msat = terms.amount_msat
    if amount_msat is None:
        return f"ln{terms.prefix}"
    if not 0 < amount_msat <= MAX_AMOUNT_MSAT:
        raise Bolt11Invalid(f"an invoice cannot ask for {amount_msat} msat")
    for unit, msat in MSAT_OF_UNIT.items():
        if amount_msat % msat == 0:
            return f"ln{terms.prefix}{amount_msat // msat}{unit}"
    return f"ln{terms.prefix}{amount_msat * PICO_PER_MSAT}p"


def _write_data(terms: Bolt11Terms, payee: bytes | None) -> _Bits:
    """Timestamp and tagged fields, in the order of the specification's examples."""
    if not 0 <= terms.timestamp_s < 1 << 5 * TIMESTAMP_WORDS:
        raise Bolt11Invalid(f"a timestamp cannot be {terms.timestamp_s}")
    fields = [
        _octets_field(FieldType.PAYMENT_SECRET, _fixed_octets(terms.payment_secret)),
        _octets_field(FieldType.PAYMENT_HASH, _fixed_octets(terms.payment_hash)),
        _description_field(terms),
    ]
    if terms.metadata is not None:
        fields.append(_octets_field(FieldType.METADATA, bytes.fromhex(terms.metadata)))
    if payee is not None:
        fields.append(_octets_field(FieldType.PAYEE, payee))
    if terms.expiry_s != DEFAULT_EXPIRY_S:
        fields.append(_number_field(FieldType.EXPIRY, terms.expiry_s))
    if terms.min_final_cltv != DEFAULT_MIN_FINAL_CLTV:
        fields.append(_number_field(FieldType.MIN_FINAL_CLTV, terms.min_final_cltv))
    if terms.features:
        fields.append(_number_field(FieldType.FEATURES, sum(1 << bit for bit in terms.features)))
    data, count = terms.timestamp_s, TIMESTAMP_WORDS
    for number, words in fields:
        data = data << 5 * words | number
        count += words
    return data, count


def _description_field(terms: Bolt11Terms) -> _Bits:
    if terms.description is not None and terms.description_hash is None:
        return _octets_field(FieldType.DESCRIPTION, terms.description.encode())
    if terms.description_hash is not None and terms.description is None:
        return _octets_field(FieldType.DESCRIPTION_HASH, _fixed_octets(terms.description_hash))
    raise Bolt11Invalid("an invoice has either a description or the hash of one")


def _fixed_octets(digits: str) -> bytes:
    octets = bytes.fromhex(digits)
    if len(octets) != _HASH_OCTETS:
        raise Bolt11Invalid("hashes and secrets have 32 octets")
    return octets


def _octets_field(kind: int, octets: bytes) -> _Bits:
    count = -(-8 * len(octets) // 5)
    number = int.from_bytes(octets, "big") << 5 * count - 8 * len(octets)
    return _field(kind, number, count)


def _number_field(kind: int, number: int) -> _Bits:
    if number < 0:
        raise Bolt11Invalid("numbers in an invoice are not negative")
    return _field(kind, number, -(-max(1, number.bit_length()) // 5))


def _field(kind: int, number: int, count: int) -> _Bits:
    """One word of type, two of length, then the number in `count` words."""
    if count > _MAX_FIELD_WORDS:
        raise Bolt11Invalid(f"a field has at most {MAX_MEMO_OCTETS} octets")
    return (kind << 10 | count) << 5 * count | number, 3 + count
