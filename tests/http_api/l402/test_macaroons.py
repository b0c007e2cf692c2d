"""Our macaroon codec against the library that callers and other servers use."""

from __future__ import annotations

import base64
from dataclasses import replace

import pymacaroons
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cobot_meter.http_api.l402.macaroons import (
    MACAROON_BYTES_MAX,
    Identifier,
    Macaroon,
    MacaroonInvalid,
    encode,
    encode_identifier,
    mint,
    parse,
    parse_identifier,
    verify,
)

ROOT_KEY = b"a root key of tests"
HALVES = st.binary(min_size=32, max_size=32)
# pymacaroons takes caveats as text of Latin letters and fails on others.
CAVEATS = st.lists(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=300),
    max_size=8,
)


def theirs(root_key: bytes, identifier: bytes, caveats: list[str]) -> pymacaroons.Macaroon:
    """The same macaroon, made by pymacaroons."""
    macaroon = pymacaroons.Macaroon(
        location="lsat",
        identifier=identifier,
        key=root_key,
        version=pymacaroons.MACAROON_V2,
    )
    for caveat in caveats:
        macaroon.add_first_party_caveat(caveat)
    return macaroon


def ours(root_key: bytes, identifier: bytes, caveats: list[str]) -> Macaroon:
    """The same macaroon, made by us."""
    encoded = tuple(caveat.encode() for caveat in caveats)
    return mint(root_key=root_key, identifier=identifier, caveats=encoded)


def raw(macaroon: pymacaroons.Macaroon) -> bytes:
    """Its binary form: pymacaroons adds an alphabet and leaves out the padding."""
    text = macaroon.serialize()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(st.binary(min_size=1, max_size=80), HALVES, HALVES, CAVEATS)
@example(b"k", b"\0" * 32, b"\0" * 32, ["x" * 127, "x" * 128, "x" * 300])
def test_our_bytes_are_theirs(root: bytes, hash_: bytes, token: bytes, caveats: list[str]) -> None:
    """What we write is byte for byte what pymacaroons writes for the same key and caveats."""
    identifier = encode_identifier(Identifier(payment_hash=hash_, token_id=token))
    assert encode(ours(root, identifier, caveats)) == raw(theirs(root, identifier, caveats))


@given(HALVES, HALVES, CAVEATS)
def test_we_read_and_verify_what_they_wrote(hash_: bytes, token: bytes, caveats: list[str]) -> None:
    """A macaroon of pymacaroons is parsed to the same parts and verified with the same key."""
    identifier = encode_identifier(Identifier(payment_hash=hash_, token_id=token))
    read = parse(raw(theirs(ROOT_KEY, identifier, caveats)))
    assert read == ours(ROOT_KEY, identifier, caveats)
    assert verify(read, root_key=ROOT_KEY)


@given(CAVEATS)
def test_they_verify_what_we_wrote(caveats: list[str]) -> None:
    """Their library reads ours and finds its signature and every caveat good."""
    text = base64.urlsafe_b64encode(encode(ours(ROOT_KEY, b"\x01" * 66, caveats))).decode()
    verifier = pymacaroons.Verifier()
    for caveat in caveats:
        verifier.satisfy_exact(caveat)
    assert verifier.verify(pymacaroons.Macaroon.deserialize(text), ROOT_KEY)


@given(CAVEATS, st.text(st.sampled_from("abc=:"), min_size=1))
def test_a_holder_can_narrow_and_not_widen(caveats: list[str], added: str) -> None:
    """A caveat that a holder appends keeps the chain whole; taking one away breaks it."""
    minted = ours(ROOT_KEY, b"\x01" * 66, caveats)
    narrowed = pymacaroons.Macaroon.deserialize(base64.b64encode(encode(minted)).decode())
    narrowed.add_first_party_caveat(added)
    assert verify(parse(raw(narrowed)), root_key=ROOT_KEY)
    without_it = replace(parse(raw(narrowed)), caveats=minted.caveats)
    assert not verify(without_it, root_key=ROOT_KEY)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_our_error(data: bytes) -> None:
    """Garbage is refused with MacaroonInvalid, or is a macaroon that no key of ours signed."""
    for candidate in (data, b"\x02" + data, b"\x02\x02\x01a\x00" + data):
        try:
            macaroon = parse(candidate)
        except MacaroonInvalid:
            continue
        assert not verify(macaroon, root_key=ROOT_KEY)


@given(st.data())
def test_no_damaged_macaroon_verifies(data: st.DataObject) -> None:
    """Cutting, flipping or adding bytes gives MacaroonInvalid or a signature that is not ours."""
    whole = encode(ours(ROOT_KEY, b"\x01" * 66, ["services=chat:0", "caller=c_1"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    flipped = whole[:at] + bytes((whole[at] ^ flip,)) + whole[at + 1 :]
    in_location = 3 <= at < 7  # the one part that a signature does not cover
    for damaged in (whole[:at], whole + whole[at:], flipped):
        try:
            macaroon = parse(damaged)
        except MacaroonInvalid:
            continue
        assert in_location or not verify(macaroon, root_key=ROOT_KEY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "version 2"),
        (b"0021location lsat", "version 2"),
        (b"\x02", "cut short"),
        (b"\x02\x06\x00", "out of order"),
        (b"\x02\x02\x05abc", "ends after"),
        (b"\x02\x02\xff\xff\xff\x01a", "longer than any"),
        (b"\x02\x02\x01a\x00\x02\x01c\x04\x01v\x00\x00", "does not end"),
        (b"\x02\x02\x01a\x00\x00\x06\x02ab", "signature of 32"),
        (b"\x02" * (MACAROON_BYTES_MAX + 1), "longer than any"),
    ],
)
def test_what_is_refused_is_named(data: bytes, why: str) -> None:
    """Each kind of damage has its own sentence; third-party caveats are among them."""
    with pytest.raises(MacaroonInvalid, match=why):
        parse(data)


@given(HALVES, HALVES)
def test_an_identifier_survives(hash_: bytes, token: bytes) -> None:
    """66 bytes, big-endian version 0 first, and the same halves again."""
    identifier = Identifier(payment_hash=hash_, token_id=token)
    encoded = encode_identifier(identifier)
    assert encoded == b"\0\0" + hash_ + token
    assert parse_identifier(encoded) == identifier


@pytest.mark.parametrize("data", [b"", b"\0" * 65, b"\0" * 67, b"\0\1" + b"\0" * 64])
def test_other_identifiers_are_refused(data: bytes) -> None:
    """Another length or version is not an L402 identifier."""
    with pytest.raises(MacaroonInvalid):
        parse_identifier(data)


def test_short_halves_are_not_written() -> None:
    """An identifier is never written with a hash of another length."""
    with pytest.raises(MacaroonInvalid):
        encode_identifier(Identifier(payment_hash=b"short", token_id=b"\0" * 32))
