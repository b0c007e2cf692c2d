"""A payer reads amount and payment hash exactly as they were signed, or does not pay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.lightning.bech32 import encode_bech32
from cobot_meter.adapters.lightning.bolt11 import MAX_AMOUNT_MSAT
from cobot_pay import ChallengeRefused
from cobot_pay.invoice_terms import INVOICE_CHARACTERS_MAX, InvoiceTerms, read_invoice
from tests.client.seller import invoice_text

HASH = "0123456789abcdef" * 4
TEXT = invoice_text(HASH, 7_000)
# The first example of the BOLT11 specification that names an amount.
SPECIFIED = (
    "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqc"
    "yq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne"
    "0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh"
)


@given(st.integers(1, MAX_AMOUNT_MSAT), st.binary(min_size=32, max_size=32))
def test_amount_and_hash_are_those_that_were_signed(amount_msat: int, payment_hash: bytes) -> None:
    """Every amount in every unit is read back, in lower and in upper case."""
    text = invoice_text(payment_hash.hex(), amount_msat)
    terms = InvoiceTerms(amount_msat=amount_msat, payment_hash=payment_hash.hex())
    assert read_invoice(text) == read_invoice(text.upper()) == terms


def test_an_invoice_of_the_specification() -> None:
    """The specification's own example is 2,500 micro-BTC for the hash it prints."""
    assert read_invoice(SPECIFIED) == InvoiceTerms(
        amount_msat=250_000_000,
        payment_hash="0001020304050607080900010203040506070809000102030405060708090102",
    )


@given(st.integers(0, len(TEXT) - 1), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_a_changed_letter_is_noticed(at: int, letter: str) -> None:
    """The checksum finds any changed letter, so no other amount can be read into an invoice."""
    changed = TEXT[:at] + letter + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(ChallengeRefused):
            read_invoice(changed)


@given(st.text(max_size=300))
def test_no_text_raises_anything_else(text: str) -> None:
    """Garbage is refused, with our error and no other."""
    for candidate in (text, "lnbc1" + text, "lnbc10n1" + text):
        with pytest.raises(ChallengeRefused):
            read_invoice(candidate)


def damaged_prefix(prefix: str) -> str:
    """The sample's data under another prefix, with a good checksum."""
    words = bytes(
        "qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(letter) for letter in TEXT.rpartition("1")[2][:-6]
    )
    return encode_bech32(prefix, words)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not written as BOLT11"),
        (TEXT.capitalize(), "not written as BOLT11"),
        ("lnbc1" + "q" * INVOICE_CHARACTERS_MAX, "not written as BOLT11"),
        (TEXT[:-1], "checksum"),
        (TEXT + "b", "characters"),
        (invoice_text(HASH, None), "leaves the amount"),
        (damaged_prefix("lnbc15p"), "part of a millisatoshi"),
        (damaged_prefix("lnbc0n"), "malformed amount"),
        (damaged_prefix("lnbc7x"), "malformed amount"),
        (damaged_prefix("bc7n"), "malformed amount"),
        (encode_bech32("lnbc70n", bytes(7 + 104)), "no payment hash"),
        (encode_bech32("lnbc70n", bytes(7) + b"\x01\x01\x14" + bytes(104)), "no payment hash"),
    ],
)
def test_what_is_not_payable_is_named(text: str, why: str) -> None:
    """Each kind of unpayable invoice has its own sentence."""
    with pytest.raises(ChallengeRefused, match=why):
        read_invoice(text)
