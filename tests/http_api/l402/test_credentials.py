"""Every form of the credential that libraries in the field send, and what is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.http_api.l402.credentials import (
    LINE_BYTES_MAX,
    LINES_MAX,
    PAIRS_MAX,
    Credential,
    Credentials,
    parse_credentials,
)

MACAROON = b"\x02\xfb\xff\xfe of tests"  # its base64 has characters of both alphabets
OTHER = b"\x02 another"
STANDARD = base64.b64encode(MACAROON)
URL_SAFE = base64.urlsafe_b64encode(MACAROON)
SECOND = base64.b64encode(OTHER)
PREIMAGE = b"0123456789abcdefABCDEF" + b"0" * 42
PAIR = Credential(macaroon=MACAROON, preimage=bytes.fromhex(PREIMAGE.decode()))
OTHER_PAIR = Credential(macaroon=OTHER, preimage=PAIR.preimage)


def with_preimage(text: bytes) -> bytes:
    """`text`, a colon and the preimage."""
    return text + b":" + PREIMAGE


def test_both_alphabets_are_needed() -> None:
    """The sample macaroon's two encodings really differ, and really need padding."""
    assert STANDARD != URL_SAFE
    assert STANDARD.endswith(b"=")


@pytest.mark.parametrize(
    "line",
    [
        b"L402 " + with_preimage(STANDARD),
        b"LSAT " + with_preimage(STANDARD),
        b"l402 " + with_preimage(STANDARD),
        b"lSaT\t  " + with_preimage(STANDARD),
        b"L402 " + with_preimage(URL_SAFE),
        b"L402 " + with_preimage(STANDARD.rstrip(b"=")),
        b"L402 " + with_preimage(URL_SAFE.rstrip(b"=")),
        b"L402 " + STANDARD + b":" + PREIMAGE.upper(),
        b"L402 " + STANDARD + b":" + PREIMAGE.lower(),
        b"L402 " + STANDARD + b" : " + PREIMAGE,
        with_preimage(STANDARD),
        b"  " + with_preimage(STANDARD) + b"  ",
        b"L402 L402 " + with_preimage(STANDARD),
        b"L402 LSAT " + with_preimage(STANDARD),
        b"Bearer none, L402 " + with_preimage(STANDARD),
        b"L402 " + with_preimage(STANDARD) + b", Bearer none",
        b'Digest username="a", realm="b", L402 ' + with_preimage(STANDARD),
        b"Bearer " + with_preimage(STANDARD),
        b"bearer L402 " + with_preimage(STANDARD),
    ],
)
def test_one_pair_in_every_sloppy_form(line: bytes) -> None:
    """Schemes, alphabets, padding, case and blanks all give the same pair."""
    assert parse_credentials([line]) == Credentials(pairs=(PAIR,))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b":",
        b"L402",
        b"L402 ",
        b"L402 " + STANDARD,
        b"L402 " + STANDARD + b":",
        b":" + PREIMAGE,
        b"L402 " + STANDARD + b":" + PREIMAGE[:-1],
        b"L402 " + STANDARD + b":" + PREIMAGE + b"0",
        b"L402 " + STANDARD + b":" + b"g" * 64,
        b"L402 " + STANDARD + b":" + "\u0660".encode() * 64,
        b"L402 " + STANDARD + b"*:" + PREIMAGE,
        b"L402 A:" + PREIMAGE,
        b"Bearer sk-anything",
        b"Basic " + with_preimage(STANDARD),
        b"Payment eyJjaGFsbGVuZ2UiOnt9fQ",
        b"L402 " + b"A" * LINE_BYTES_MAX + b":" + PREIMAGE,
        b"L402 " + with_preimage(base64.b64encode(b"\x02" * 5_000)),
    ],
)
def test_what_is_no_pair_is_passed_over(line: bytes) -> None:
    """Other schemes, half a pair, wrong digits and oversized lines give nothing and no error."""
    assert parse_credentials([line]) == Credentials()


def test_several_lines_are_all_read() -> None:
    """A library that sends LSAT and L402, beside an SDK's Bearer, is understood."""
    lines = [
        b"Bearer none",
        b"LSAT " + with_preimage(STANDARD),
        b"L402 " + with_preimage(SECOND),
    ]
    assert parse_credentials(lines).pairs == (PAIR, OTHER_PAIR)


def test_lines_joined_by_a_proxy_are_all_read() -> None:
    """Two credentials in one line give the same two pairs."""
    line = b"LSAT " + with_preimage(STANDARD) + b", L402 " + with_preimage(SECOND)
    assert parse_credentials([line]).pairs == (PAIR, OTHER_PAIR)


def test_several_macaroons_share_one_preimage() -> None:
    """`mac,mac:preimage` gives a pair for each macaroon."""
    line = b"L402 " + STANDARD + b"," + with_preimage(SECOND)
    assert parse_credentials([line]).pairs == (PAIR, OTHER_PAIR)


def test_a_preimage_is_not_lent_to_the_next_credential() -> None:
    """A macaroon without a preimage does not borrow that of a later credential."""
    line = b"L402 " + STANDARD + b", L402 " + with_preimage(SECOND)
    assert parse_credentials([line]).pairs == (OTHER_PAIR,)


def test_the_number_of_pairs_is_bounded() -> None:
    """However much is sent, the work stays small."""
    line = b", ".join([with_preimage(SECOND)] * (PAIRS_MAX + 5))
    assert parse_credentials([line]).pairs == (OTHER_PAIR,) * PAIRS_MAX
    assert parse_credentials([b"Bearer x"] * LINES_MAX + [with_preimage(SECOND)]).pairs == ()


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_line_raises(lines: list[bytes]) -> None:
    """Whatever bytes arrive, the worst answer is an empty one."""
    parse_credentials(lines)
    parse_credentials([b"L402 " + line.replace(b"\0", b":") for line in lines])
