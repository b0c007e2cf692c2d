"""Which challenges are understood, and which are not paid."""

from __future__ import annotations

import httpx
import pytest

from cobot_meter.http_api.http.exchange import PlainAnswer, json_answer
from cobot_pay import ChallengeRefused
from tests.client.seller import invoice_text
from tests.client.shop import URL, Shop, body

HASH = "ab" * 32


def offering(amount_msat: int | None, **announced: object) -> PlainAnswer:
    """A 402 of any seller, with whatever its body announces."""
    line = f'L402 macaroon="AAAA", invoice="{invoice_text(HASH, amount_msat)}"'
    header = (b"www-authenticate", line.encode())
    return json_answer(402, announced, [header])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (offering(7_000, price_sats=8), "asks for 7000 msat, the answer for 8 sats"),
        (offering(7_500, price_sats=7), "asks for 7500 msat"),
        (offering(7_000, price_sats=7, payment_hash="cd" * 32), "another payment hash"),
        (offering(None), "leaves the amount"),
        (json_answer(402, {}, [(b"www-authenticate", b'L402 token="A", invoice="x"')]), "BOLT11"),
    ],
)
def test_a_challenge_that_lies_is_not_paid(shop: Shop, answer: PlainAnswer, why: str) -> None:
    """Invoice, price and payment hash must agree before anything is paid."""
    shop.seller.answers = [answer]
    with pytest.raises(ChallengeRefused, match=why):
        shop.ask()
    assert (shop.wallet.paid, shop.budget.reserved_msat) == ([], 0)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"www-authenticate", b'Payment id="1", invoice="lnbc1"')],
        [(b"www-authenticate", b'L402 macaroon="a b", invoice="lnbc1"')],
        [(b"www-authenticate", b'L402 macaroon="AAAA"')],
        [(b"www-authenticate", b"L402")],
    ],
)
def test_a_402_without_an_offer_is_handed_on(
    shop: Shop, headers: list[tuple[bytes, bytes]]
) -> None:
    """What cannot be paid over Lightning is the caller's own 402."""
    shop.seller.answers = [json_answer(402, {}, headers)]
    assert shop.ask().status_code == 402


def test_a_redirect_elsewhere_is_not_paid(shop: Shop) -> None:
    """A 402 of another origin is handed on: nobody there is paid for what was asked here."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "b.example":
            return httpx.Response(307, headers={"location": "https://evil.example/"})
        status, headers, content, _ = shop.seller.answer([], request.content)
        return httpx.Response(status, headers=headers, content=content)

    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport, auth=shop.auth, follow_redirects=True) as http:
        response = http.post(URL, json=body())
    assert response.status_code == 402
    assert shop.wallet.paid == []


@pytest.mark.parametrize(
    "line",
    [
        'LSAT macaroon="{m}", invoice="{i}"',
        'l402 macaroon="{m}",invoice="{i}"',
        'L402 version="0", token="{m}", invoice="{i}"',
        'L402 invoice="{i}", macaroon="{m}"',
        'Payment id="x", method="lightning", L402 macaroon="{m}", invoice="{i}", version="0"',
    ],
)
def test_every_sellers_challenge_is_understood(shop: Shop, line: str) -> None:
    """Old and new forms, any order, and other schemes in the same line."""
    payment_request = shop.seller.challenges.for_escrow(
        shop.seller.sales.setdefault("x", shop.seller._new_sale("0" * 64)), caller_id="c_1"
    ).body
    offer = httpx.Response(200, content=payment_request).json()
    value = line.format(m=offer["macaroon"], i=offer["invoice"]).encode()
    shop.seller.answers = [
        json_answer(402, {}, [(b"www-authenticate", value)]),
        json_answer(200, {}),
    ]
    assert shop.ask().status_code == 200
    assert shop.seller.authorizations[1][0].startswith(f"L402 {offer['macaroon']}:")
