"""Our BOLT 11 codec judged by somebody else's: the `bolt11` package, in both directions."""

from __future__ import annotations

from typing import Any

import bolt11 as judge
import coincurve
from bolt11.models.tags import TagChar
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.lightning.bolt11 import (
    MAX_AMOUNT_MSAT,
    MAX_MEMO_OCTETS,
    Bolt11Invalid,
    Bolt11Terms,
    decode_bolt11,
    sign_bolt11,
)

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.integers(1, 2**255).map(lambda number: coincurve.PrivateKey(number.to_bytes(32)))
# The judge writes multiples of 1,000 bitcoin as a thousandth of themselves.
amounts = st.none() | st.integers(1, 10**14 - 1)
memos = st.text(max_size=200).filter(lambda memo: len(memo.encode()) <= MAX_MEMO_OCTETS)
# The judge knows each feature as required or as supported, not as both.
feature_sets = st.tuples(
    *(st.sampled_from(pair) for pair in ((8, 9), (14, 15), (16, 17), (24, 25), (37, 99), (48, 49)))
).flatmap(lambda bits: st.sets(st.sampled_from(bits)).map(frozenset))


@st.composite
def all_terms(draw: st.DrawFn) -> Bolt11Terms:
    """Terms that an invoice can carry, of every shape."""
    description = draw(st.none() | memos)
    return Bolt11Terms(
        prefix=draw(st.sampled_from(["bcrt", "bc", "tb", "tbs"])),
        amount_msat=draw(amounts),
        payment_hash=draw(hashes),
        payment_secret=draw(hashes),
        timestamp_s=draw(st.integers(0, 2**35 - 1)),
        description=description,
        description_hash=draw(hashes) if description is None else None,
        expiry_s=draw(st.integers(0, 2**40)),
        min_final_cltv=draw(st.integers(0, 2**16)),
        features=draw(feature_sets),
        metadata=draw(st.none() | st.binary(min_size=1, max_size=60).map(bytes.hex)),
    )


def _judged_features(invoice: judge.Bolt11) -> frozenset[int]:
    if invoice.features is None:
        return frozenset()
    return frozenset(
        2 * feature.value + state.value for feature, state in invoice.features.feature_list.items()
    )


@given(all_terms(), keys, st.booleans())
def test_the_judge_reads_what_we_write(
    terms: Bolt11Terms,
    key: coincurve.PrivateKey,
    name_payee: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every field of an invoice of ours means the same to the judge, and its signature holds."""
    invoice = judge.decode(sign_bolt11(terms, key, name_payee=name_payee))
    assert invoice.currency == terms.prefix
    assert invoice.amount_msat == terms.amount_msat
    assert invoice.date == terms.timestamp_s
    assert invoice.payment_hash == terms.payment_hash
    assert invoice.payment_secret == terms.payment_secret
    assert invoice.description == terms.description
    assert invoice.description_hash == terms.description_hash
    assert invoice.expiry == terms.expiry_s
    assert invoice.min_final_cltv_expiry == terms.min_final_cltv
    assert invoice.metadata == terms.metadata
    assert invoice.payee == key.public_key.format().hex()
    assert _judged_features(invoice) == terms.features


@given(all_terms(), keys, st.booleans())
def test_we_read_what_the_judge_writes(
    terms: Bolt11Terms,
    key: coincurve.PrivateKey,
    name_payee: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every field of an invoice of the judge's means the same to us."""
    tags = judge.Tags()
    _add(tags, TagChar.payment_hash, terms.payment_hash)
    _add(tags, TagChar.payment_secret, terms.payment_secret)
    _add(tags, TagChar.description, terms.description)
    _add(tags, TagChar.description_hash, terms.description_hash)
    _add(tags, TagChar.metadata, terms.metadata)
    _add(tags, TagChar.payee, key.public_key.format().hex() if name_payee else None)
    _add(tags, TagChar.expire_time, terms.expiry_s)
    _add(tags, TagChar.min_final_cltv_expiry, terms.min_final_cltv)
    text = judge.encode(
        judge.Bolt11(
            currency=terms.prefix,
            amount_msat=None
            if terms.amount_msat is None
            else judge.MilliSatoshi(terms.amount_msat),
            date=terms.timestamp_s,
            tags=tags,
        ),
        key.to_hex(),
        keep_payee=True,
    )
    invoice = decode_bolt11(text)
    for name in (name for name in Bolt11Terms.__slots__ if name != "features"):
        assert getattr(invoice, name) == getattr(terms, name)
    assert invoice.features == frozenset()
    assert invoice.payee_pubkey == key.public_key.format().hex()


def _add(tags: judge.Tags, char: TagChar, value: Any) -> None:  # noqa: ANN401 - as the judge takes it
    if value is not None:
        tags.add(char, value)


@given(all_terms(), keys, st.integers(1, MAX_AMOUNT_MSAT))
def test_we_read_what_we_write(
    terms: Bolt11Terms, key: coincurve.PrivateKey, amount_msat: int
) -> None:
    """Amounts up to all the bitcoin there is survive our own writing and reading exactly."""
    full = Bolt11Terms(
        **{name: getattr(terms, name) for name in Bolt11Terms.__slots__ if name != "amount_msat"},
        amount_msat=amount_msat,
    )
    invoice = decode_bolt11(sign_bolt11(full, key).upper())
    assert {name: getattr(invoice, name) for name in Bolt11Terms.__slots__} == {
        name: getattr(full, name) for name in Bolt11Terms.__slots__
    }


@given(st.text(max_size=300) | st.text("lnbcrt1qpzry9x8gf2tvdw0s3jn54khce6mua7", max_size=300))
def test_text_that_is_no_invoice_only_raises_our_error(text: str) -> None:
    """Whatever comes from outside, reading it ends in an invoice or in Bolt11Invalid."""
    try:
        decode_bolt11(text)
    except Bolt11Invalid:
        return
    raise AssertionError(text)
