"""BOLT 11 invoices: read and verified, written and signed.

As strict as the specification asks of somebody about to pay: what must fail a payment raises
Bolt11Invalid. Fallback addresses and route hints are passed over. Must not know: nodes, escrows or
what an invoice pays for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import coincurve

from cobot_meter.adapters.lightning.bech32 import (
    Bech32Invalid,
    decode_bech32,
    encode_bech32,
    number_of,
    octets_of,
    words_of,
)

PREFIX_OF_NETWORK = {
    "mainnet": "bc",
    "testnet": "tb",
    "testnet4": "tb",
    "signet": "tbs",
    "regtest": "bcrt",
}
NETWORK_OF_PREFIX = {"bc": "mainnet", "tb": "testnet", "tbs": "signet", "bcrt": "regtest"}
DEFAULT_EXPIRY_S = 3600
DEFAULT_MIN_FINAL_CLTV = 18
VAR_ONION_REQUIRED = 8
PAYMENT_SECRET_REQUIRED = 14
BASIC_MPP_OPTIONAL = 17
MAX_AMOUNT_MSAT = 21_000_000 * 100_000_000_000

MSAT_OF_UNIT = {"": 100_000_000_000, "m": 100_000_000, "u": 100_000, "n": 100}
PICO_PER_MSAT = 10  # the unit `p` is a tenth of a millisatoshi

TIMESTAMP_WORDS = 7
SIGNATURE_WORDS = 104


class FieldType:
    """The tagged fields we know, by the value of their Bech32 letter."""

    PAYMENT_HASH = 1
    FEATURES = 5
    EXPIRY = 6
    DESCRIPTION = 13
    PAYMENT_SECRET = 16
    PAYEE = 19
    DESCRIPTION_HASH = 23
    MIN_FINAL_CLTV = 24
    METADATA = 27


class Bolt11Invalid(ValueError):
    """Text that is not an invoice anybody should pay, or terms that no invoice can carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt11Terms:
    """What an invoice says, without who signed it.

    Hashes and secrets are 64 lower-case hex digits. `amount_msat` None leaves the amount to the
    payer. Exactly one of `description` and `description_hash` is set. `features` are bit numbers.
    """

    prefix: str
    payment_hash: str
    payment_secret: str
    timestamp_s: int
    amount_msat: int | None = None
    description: str | None = None
    description_hash: str | None = None
    expiry_s: int = DEFAULT_EXPIRY_S
    min_final_cltv: int = DEFAULT_MIN_FINAL_CLTV
    features: frozenset[int] = frozenset({VAR_ONION_REQUIRED, PAYMENT_SECRET_REQUIRED})
    metadata: str | None = None

    @property
    def network(self) -> str:
        """`mainnet`, `testnet` (testnet4 too: they share a prefix), `signet` or `regtest`."""
        return NETWORK_OF_PREFIX[self.prefix]

    @property
    def expires_at_s(self) -> int:
        """Unix second after which nobody should pay."""
        return self.timestamp_s + self.expiry_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt11(Bolt11Terms):
    """A decoded invoice whose signature holds. `payee_pubkey` is 66 lower-case hex digits."""

    payee_pubkey: str


def signed_octets(data: int, count: int) -> bytes:
    """`count` words of data as octets, padded with zero bits: what is signed after the prefix."""
    padding = -5 * count % 8
    return (data << padding).to_bytes((5 * count + padding) // 8, "big")


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
