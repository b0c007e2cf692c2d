"""Every spelling of a challenge that sellers use is read as what it means."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_pay.challenge_lines import LINE_CHARACTERS_MAX, Challenge, read_challenges
from cobot_pay.invoice_terms import plain_invoice
from cobot_pay.offers import Offer, read_offer
from tests.client.seller import invoice_text

HASH = "ab" * 32
INVOICE = invoice_text(HASH, 7_000)
MACAROON = "AgEEbHNhdAJC+/ab=="
OTHERS = ("", 'Bearer realm="a, b"', "Basic", "Negotiate abc==", 'Payment id="x", method=lightning')
LINKS = ("", "lightning:", "LIGHTNING:", "Lightning://", " lightning:")
quoted = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=20)
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=8)


def _spelled(value: str, how: str) -> str:
    if how == "bare":
        return value
    return "'" + value + "'" if how == "single" else '"' + value + '"'


@st.composite
def l402(draw: st.DrawFn) -> str:
    """One challenge for MACAROON and INVOICE, as anybody might write it."""
    how = draw(st.sampled_from(("double", "single", "bare")))
    link, upper = draw(st.sampled_from(LINKS)), draw(st.booleans())
    if how == "bare":
        link = link.strip()
    invoice = link + (INVOICE.upper() if upper else INVOICE)
    parameters = [
        (draw(st.sampled_from(("macaroon", "token", "Macaroon", "TOKEN"))), MACAROON),
        (draw(st.sampled_from(("invoice", "Invoice", "INVOICE"))), invoice),
        *draw(st.lists(st.sampled_from((("version", "0"), ("x", "y"))), max_size=2)),
    ]
    parted = draw(st.sampled_from((", ", ",", " , ", ",,", "; ", " ", "\t")))
    equals = draw(st.sampled_from(("=", " = ", "= ")))
    scheme = draw(st.sampled_from(("L402", "LSAT", "l402", "lsat", "Lsat")))
    written = (
        f"{name}{equals}{_spelled(value, how)}" for name, value in draw(st.permutations(parameters))
    )
    return f"{scheme}{draw(st.sampled_from((' ', '  ')))}{parted.join(written)}"


@given(
    before=st.lists(st.one_of(l402(), st.sampled_from(OTHERS)), max_size=4),
    challenge=l402(),
    one_line=st.booleans(),
)
def test_an_offer_is_found_however_it_is_written(
    *, before: list[str], challenge: str, one_line: bool
) -> None:
    """In one line or several, first or last, quoted or bare, in any order and case."""
    written = [*before, challenge]
    lines = [", ".join(one for one in written if one)] if one_line else written
    offer = read_offer(lines, b"")
    assert offer is not None
    assert (offer.macaroon, offer.payment_request) == (MACAROON, INVOICE)
    assert offer.terms.amount_msat == 7_000


@given(
    scheme=names,
    values=st.dictionaries(names.map(str.lower), quoted, max_size=5),
    after_another=st.booleans(),
)
def test_quoted_values_come_back_as_they_were(
    *, scheme: str, values: dict[str, str], after_another: bool
) -> None:
    """Commas, equals signs, quotes and backslashes inside a quoted string are its own."""
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()
    }
    line = f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in escaped.items())
    found = list(read_challenges([f"Basic realm=x, {line}" if after_another else line]))
    assert found[-1] == Challenge(scheme=scheme.lower(), parameters=values)


@given(st.lists(st.text(max_size=80), max_size=4), st.binary(max_size=40))
def test_no_line_is_an_error(lines: list[str], body: bytes) -> None:
    """Whatever a header holds, it is an offer, or none, or refused in words of ours."""
    list(read_challenges(lines))
    assert not isinstance(read_offer([f"L402 {line}" for line in lines], body), Offer)


def test_a_payable_challenge_counts_though_another_is_not() -> None:
    """An unreadable invoice in front does not hide one that can be paid."""
    lines = ['LSAT macaroon="A", invoice="lnbc1"', f"L402 macaroon={MACAROON}, invoice={INVOICE}"]
    offer = read_offer(lines, b"")
    assert offer is not None
    assert offer.macaroon == MACAROON


@pytest.mark.parametrize(
    "line",
    ['L402 macaroon="A', "L402 a=" + "=" * 100_000, "L402 " * 50_000, '"' * 100_000, "\\" * 9],
)
def test_a_line_without_sense_or_end_is_soon_over(line: str) -> None:
    """Only so much of it is read, and once."""
    assert sum(1 for _ in read_challenges([line] * 3)) <= 3 * LINE_CHARACTERS_MAX


@pytest.mark.parametrize("link", LINKS)
def test_an_invoice_is_freed_of_its_link(link: str) -> None:
    """What a wallet's button or a QR code puts around it is not part of it."""
    assert plain_invoice(f"{link}{INVOICE}\n") == plain_invoice(link + INVOICE.upper()) == INVOICE
