"""BOLT 11 by its specification: every example, and the rules that have none."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import coincurve
import pytest

from cobot_meter.adapters.lightning.bech32 import (
    decode_bech32,
    encode_bech32,
    number_of,
    octets_of,
    words_of,
)
from cobot_meter.adapters.lightning.bolt11 import (
    MAX_AMOUNT_MSAT,
    SIGNATURE_WORDS,
    Bolt11Invalid,
    Bolt11Terms,
    decode_bolt11,
    sign_bolt11,
    signed_octets,
)
from tests.adapters.lightning.bolt11_vectors import (
    CAKE_HASH,
    INVALID,
    NODE_ID,
    PAYMENT_HASH,
    PAYMENT_SECRET,
    PRIVATE_KEY,
    TIMESTAMP_S,
    VALID,
    ValidExample,
)

KEY = coincurve.PrivateKey.from_hex(PRIVATE_KEY)
TERMS = Bolt11Terms(
    prefix="bcrt",
    payment_hash=PAYMENT_HASH,
    payment_secret=PAYMENT_SECRET,
    timestamp_s=TIMESTAMP_S,
    amount_msat=1_000,
    description="a completion",
)
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _resigned(text: str, fields: bytes, *, prefix: str | None = None) -> str:
    """The same invoice with more field words (or another prefix), signed again."""
    was, words = decode_bech32(text)
    prefix = prefix or was
    data = words[:-SIGNATURE_WORDS] + fields
    message = prefix.encode() + signed_octets(number_of(data), len(data))
    signature = int.from_bytes(KEY.sign_recoverable(message), "big")
    return encode_bech32(prefix, data + words_of(signature, SIGNATURE_WORDS))


@pytest.mark.parametrize("example", VALID, ids=lambda example: example.name)
def test_specification_valid(example: ValidExample) -> None:
    """Every valid example of the specification reads as the specification says."""
    invoice = decode_bolt11(example.text)
    assert invoice.prefix == example.prefix
    assert invoice.amount_msat == example.amount_msat
    assert invoice.timestamp_s == example.timestamp_s
    assert invoice.payment_hash == example.payment_hash
    assert invoice.payment_secret == PAYMENT_SECRET
    assert invoice.description == example.description
    assert invoice.description_hash == (None if example.description else CAKE_HASH)
    assert (invoice.expiry_s, invoice.min_final_cltv) == (example.expiry_s, example.min_final_cltv)
    assert invoice.features == example.features
    assert invoice.metadata == example.metadata
    assert example.payee_pubkey in (None, invoice.payee_pubkey)


@pytest.mark.parametrize(
    ("text", "reason"),
    [pytest.param(text, reason, id=name) for name, text, reason in INVALID],
)
def test_specification_invalid(text: str, reason: str) -> None:
    """Every invalid example of the specification is refused for its own reason."""
    with pytest.raises(Bolt11Invalid) as refused:
        decode_bolt11(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "example", [e for e in VALID if e.ours_to_write], ids=lambda example: example.name
)
def test_specification_written(example: ValidExample) -> None:
    """Signing the terms of a specification example gives its very text."""
    terms = Bolt11Terms(
        prefix=example.prefix,
        payment_hash=example.payment_hash,
        payment_secret=PAYMENT_SECRET,
        timestamp_s=example.timestamp_s,
        amount_msat=example.amount_msat,
        description=example.description,
        description_hash=None if example.description else CAKE_HASH,
        expiry_s=example.expiry_s,
    )
    assert sign_bolt11(terms, KEY) == example.text


@pytest.mark.parametrize(
    ("amount_msat", "written"),
    [
        (1, "lnbcrt10p1"),
        (99, "lnbcrt990p1"),
        (100, "lnbcrt1n1"),
        (1_000, "lnbcrt10n1"),
        (100_000, "lnbcrt1u1"),
        (123_456_789, "lnbcrt1234567890p1"),
        (100_000_000, "lnbcrt1m1"),
        (100_000_000_000, "lnbcrt11"),
        (MAX_AMOUNT_MSAT, "lnbcrt210000001"),
        (MAX_AMOUNT_MSAT - 1, "lnbcrt20999999999999999990p1"),
        (None, "lnbcrt1"),
    ],
)
def test_amounts_take_the_shortest_form(amount_msat: int | None, written: str) -> None:
    """The largest unit that keeps the amount whole is used, and reads back as the same msat."""
    text = sign_bolt11(replace(TERMS, amount_msat=amount_msat), KEY)
    assert text.startswith(written)
    assert decode_bolt11(text).amount_msat == amount_msat


@pytest.mark.parametrize(
    ("prefix", "amount_msat"),
    [("lnbcrt1000n", 100_000), ("lnbcrt1000000p", 100_000), ("lnbcrt25m", 2_500_000_000)],
)
def test_longer_forms_of_an_amount_are_read(prefix: str, amount_msat: int) -> None:
    """An amount in a smaller unit than need be is still that amount."""
    text = _resigned(sign_bolt11(TERMS, KEY), b"", prefix=prefix)
    assert decode_bolt11(text).amount_msat == amount_msat


@pytest.mark.parametrize(
    "prefix",
    [
        "lnsb10n",
        "lnbcrt0n",
        "lnbcrt010n",
        "lnbcrt10x",
        "lnbcrtn",
        "lnbcrt-1n",
        "lnbcrt1.5u",
        "lnbcrt21000001",
        "lnbcrt99999999999999999999n",
        "bcrt10n",
        "xlnbcrt10n",
    ],
)
def test_malformed_prefixes_are_refused(prefix: str) -> None:
    """Unknown networks, and amounts that are zero, padded, signed, broken or impossible."""
    with pytest.raises(Bolt11Invalid):
        decode_bolt11(_resigned(sign_bolt11(TERMS, KEY), b"", prefix=prefix))


@pytest.mark.parametrize(
    ("prefix", "network"),
    [("bc", "mainnet"), ("tb", "testnet"), ("tbs", "signet"), ("bcrt", "regtest")],
)
def test_networks_are_told_apart(prefix: str, network: str) -> None:
    """The four prefixes, each the beginning of another, read as their own network."""
    for amount_msat in (None, 1_000):
        text = sign_bolt11(replace(TERMS, prefix=prefix, amount_msat=amount_msat), KEY)
        assert decode_bolt11(text).network == network


@pytest.mark.parametrize("name_payee", [False, True])
def test_payee_is_the_key_that_signed(name_payee: bool) -> None:  # noqa: FBT001 - a case
    """The payee is the signing key, whether recovered from the signature or named and verified."""
    invoice = decode_bolt11(sign_bolt11(TERMS, KEY, name_payee=name_payee))
    assert invoice.payee_pubkey == NODE_ID == KEY.public_key.format().hex()


def test_a_named_payee_who_did_not_sign_is_refused() -> None:
    """A stranger's key in the payee field does not make the invoice the stranger's."""
    stranger = coincurve.PrivateKey(b"\x02" * 32).public_key.format()
    field = words_of((19 << 10 | 53) << 265 | int.from_bytes(stranger, "big") << 1, 56)
    with pytest.raises(Bolt11Invalid, match="not signed by the payee"):
        decode_bolt11(_resigned(sign_bolt11(TERMS, KEY), field))


def test_a_named_payee_needs_no_recovery_id_but_a_low_s() -> None:
    """With the payee named the recovery id plays no part, and a high-S signature is refused."""
    prefix, words = decode_bech32(sign_bolt11(TERMS, KEY, name_payee=True))
    data, signature = words[:-SIGNATURE_WORDS], octets_of(words[-SIGNATURE_WORDS:])

    def with_signature(octets: bytes) -> str:
        return encode_bech32(prefix, data + words_of(int.from_bytes(octets), SIGNATURE_WORDS))

    other_id = bytes((signature[64] ^ 1,))
    assert decode_bolt11(with_signature(signature[:64] + other_id)).payee_pubkey == NODE_ID
    high_s = (CURVE_ORDER - int.from_bytes(signature[32:64])).to_bytes(32)
    with pytest.raises(Bolt11Invalid, match="not signed by the payee"):
        decode_bolt11(with_signature(signature[:32] + high_s + other_id))


def test_a_changed_field_changes_the_payee() -> None:
    """Whoever alters an invoice and mends the checksum ends with another payee, or with none."""
    prefix, words = decode_bech32(sign_bolt11(TERMS, KEY))
    for at in (3, 12, 70, 120):
        forged = encode_bech32(prefix, words[:at] + bytes((words[at] ^ 1,)) + words[at + 1 :])
        with contextlib.suppress(Bolt11Invalid):
            assert decode_bolt11(forged).payee_pubkey != NODE_ID


@pytest.mark.parametrize(
    "fields",
    [
        bytes((1,)),
        bytes((1, 1)),
        bytes((1, 0, 5, 0, 0)),
        bytes((6, 0, 13)) + bytes(13),
        bytes((24, 0, 13)) + bytes(13),
        bytes((23, 1, 20)) + bytes(52),
    ],
    ids=[
        "type alone",
        "half a length",
        "cut data",
        "endless expiry",
        "endless delta",
        "both descriptions",
    ],
)
def test_broken_fields_are_refused(fields: bytes) -> None:
    """Fields that run past the end, numbers without measure, and two descriptions are refused."""
    with pytest.raises(Bolt11Invalid):
        decode_bolt11(_resigned(sign_bolt11(TERMS, KEY), fields))


def test_the_first_of_repeated_fields_counts() -> None:
    """A second payment hash does not replace the first."""
    second = bytes((1, 1, 20)) + b"\x1f" * 51 + b"\x10"
    assert decode_bolt11(_resigned(sign_bolt11(TERMS, KEY), second)).payment_hash == PAYMENT_HASH


def test_a_description_must_be_text() -> None:
    """A description that is not UTF-8 is refused, one of 639 octets is kept whole."""
    without = replace(TERMS, description=None, description_hash=CAKE_HASH)
    prefix, words = decode_bech32(sign_bolt11(without, KEY))
    forged = encode_bech32(prefix, words.replace(bytes((23, 1, 20)), bytes((13, 1, 20))))
    with pytest.raises(Bolt11Invalid, match="UTF-8"):
        decode_bolt11(forged)
    long = "é" * 319 + "!"
    assert decode_bolt11(sign_bolt11(replace(TERMS, description=long), KEY)).description == long


@pytest.mark.parametrize(
    "changed",
    [
        {"prefix": "sb"},
        {"amount_msat": 0},
        {"amount_msat": -1},
        {"amount_msat": MAX_AMOUNT_MSAT + 1},
        {"payment_hash": "00"},
        {"payment_secret": "ab" * 33},
        {"description": None},
        {"description_hash": CAKE_HASH},
        {"description": "x" * 640},
        {"expiry_s": -1},
        {"timestamp_s": -1},
        {"timestamp_s": 1 << 35},
    ],
    ids=str,
)
def test_terms_no_invoice_can_carry(changed: dict[str, object]) -> None:
    """What BOLT 11 cannot say is refused before anything is signed."""
    with pytest.raises(Bolt11Invalid):
        sign_bolt11(replace(TERMS, **changed), KEY)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "1", "lnbcrt1", "lnbcrt", "\0", "ł" * 400, "q" * 8000])
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing but Bolt11Invalid comes out of text that is no invoice."""
    with pytest.raises(Bolt11Invalid):
        decode_bolt11(text)
