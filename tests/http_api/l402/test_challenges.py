"""The 402 and 409 as the libraries in the field read them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest

from cobot_meter.domain.errors import Broken
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.run.record import CostStanding
from cobot_meter.http_api.http.exchange import PlainAnswer
from cobot_meter.http_api.l402.challenges import TOKEN_LIFETIME_S, Challenges
from cobot_meter.http_api.l402.credentials import parse_credentials
from cobot_meter.http_api.l402.tokens import Tokens
from cobot_meter.http_api.views import cobot_document
from tests.http_api.samples import (
    CALLER,
    ESCROW,
    EXPIRES_AT_S,
    PAYMENT_HASH,
    PAYMENT_REQUEST,
    PREIMAGE,
    PUBLIC_URL,
    REQUEST_SHA256,
    SECRET,
    TOPUP,
    invoiced_escrow,
    invoiced_topup,
)

TOKENS = Tokens(secret=SECRET)
CHALLENGES = Challenges(tokens=TOKENS, public_url=PUBLIC_URL)
COST = {
    "standing": "confirmed",
    "source": "the upstream's record",
    "generation_id": invoiced_escrow().run.generation_id,
    "served_model": "mistralai/mistral-small-2603",
    "provider": "Mistral",
    "record_sha256": "5e" * 32,
    "upstream_usd": "0.0002658",
    "fee_usd": "0.000043461645",
    "price_usd": "0.000309261645",
    "upstream_msat": 283,
    "credit_fee_msat": 16,
    "markup_msat": 30,
    "price_msat": 329,
    "credit_used_msat": 0,
    "amount_msat": 1000,
    "rounding_msat": 671,
    "credit_fee_bps": 550,
    "markup_bps": 1000,
    "rate": {
        "btc_usd": "94000.5",
        "source": "fixed",
        "fetched_at_ms": 1763836000000,
    },
}
# What l402-requests, lnget and Aperture's interceptor look for.
STRICT = re.compile(r'^L402 macaroon="([^"]+)", invoice="([^"]+)"')


def header(answer: PlainAnswer, name: bytes) -> str:
    """The one header of that name."""
    (value,) = [value for found, value in answer.headers if found == name]
    return value.decode()


def read(answer: PlainAnswer) -> dict[str, Any]:
    """The body."""
    document: dict[str, Any] = orjson.loads(answer.body)
    return document


def proved(macaroon: str) -> tuple[str, str | None, str | None]:
    """Caller, escrow and top-up of the macaroon, once it is paid for."""
    credentials = parse_credentials([f"L402 {macaroon}:{PREIMAGE.hex()}".encode()])
    proof = TOKENS.prove(credentials, now_s=EXPIRES_AT_S + TOKEN_LIFETIME_S - 1)
    assert proof is not None
    return proof.caller_id, proof.escrow_id, proof.topup_id


def test_the_challenge_header_is_in_the_order_libraries_need() -> None:
    """402 with L402 in the first WWW-Authenticate: macaroon, invoice, then version and token."""
    answer = CHALLENGES.for_escrow(invoiced_escrow(), caller_id=CALLER)
    first = header(answer, b"www-authenticate")
    match = STRICT.match(first)
    assert answer.status == 402
    assert match is not None
    assert match[2] == PAYMENT_REQUEST
    assert first == (
        f'L402 macaroon="{match[1]}", invoice="{PAYMENT_REQUEST}", version="0", token="{match[1]}"'
    )
    assert proved(match[1]) == (CALLER, ESCROW, None)


def test_the_other_headers() -> None:
    """JSON, not stored, not retried, and saying where the escrow is."""
    answer = CHALLENGES.for_escrow(invoiced_escrow(), caller_id=CALLER)
    assert header(answer, b"content-type") == "application/json"
    assert header(answer, b"content-length") == str(len(answer.body))
    assert header(answer, b"cache-control") == "no-store"
    assert header(answer, b"x-should-retry") == "false"
    assert header(answer, b"location") == f"/v1/escrows/{ESCROW}"
    assert header(answer, b"x-escrow-id") == ESCROW


def test_the_body_of_an_escrow() -> None:
    """OpenAI's error, flat members for simple libraries, and the escrow with its cost in parts."""
    document = read(CHALLENGES.for_escrow(invoiced_escrow(), caller_id=CALLER))
    macaroon = document["macaroon"]
    assert document == {
        "error": {
            "message": "Payment required: 1 sat for this completion. Pay the invoice, then repeat "
            "the same request with Authorization: L402 <macaroon>:<preimage>. Keep that "
            "Authorization and send it with every later request, whatever you ask: 671 msat of "
            "the invoice are more than the price and stay its credit, which is spent before "
            "anything is invoiced.",
            "type": "payment_required",
            "param": None,
            "code": "payment_required",
            "metadata": {
                "escrow_id": ESCROW,
                "price_sats": 1,
                "credit_msat": 671,
                "invoice": PAYMENT_REQUEST,
                "expires_at": EXPIRES_AT_S,
            },
        },
        "type": "https://paymentauth.org/problems/payment-required",
        "title": "Payment Required",
        "status": 402,
        "detail": "Completion is ready and held in escrow.",
        "invoice": PAYMENT_REQUEST,
        "macaroon": macaroon,
        "price_sats": 1,
        "payment_hash": PAYMENT_HASH,
        "escrow": {
            "id": ESCROW,
            "mode": "escrow",
            "state": "invoiced",
            "request_sha256": REQUEST_SHA256,
            "model": "openai/gpt-4o-mini",
            "max_tokens": 1024,
            "fallback": None,
            "usage": {"prompt_tokens": 812, "completion_tokens": 240, "total_tokens": 1052},
            "cost": COST,
            "expires_at": EXPIRES_AT_S,
            "status_url": f"{PUBLIC_URL}/v1/escrows/{ESCROW}",
        },
        "cobot": cobot_document(invoiced_escrow()),
        "payment_methods": [
            {
                "scheme": "L402",
                "challenge_header": "WWW-Authenticate",
                "credential": "Authorization: L402 <macaroon>:<preimage_hex>",
            }
        ],
    }


def test_the_same_challenge_is_repeated_byte_for_byte() -> None:
    """An identical ask gets the identical 402, whatever else happened to the row."""
    first = CHALLENGES.for_escrow(invoiced_escrow(), caller_id=CALLER)
    escrow = invoiced_escrow()
    later = replace(escrow, version=9, changed_at_ms=1, run=replace(escrow.run, lookups=3))
    again = Challenges(tokens=Tokens(secret=SECRET), public_url=PUBLIC_URL)
    assert again.for_escrow(later, caller_id=CALLER) == first


def test_a_nameless_ask_is_challenged_as_somebody_new() -> None:
    """Same escrow and invoice, but a token that names the fresh caller and not the first one."""
    answer = CHALLENGES.for_escrow(invoiced_escrow(), caller_id="c_fresh")
    document = read(answer)
    assert proved(document["macaroon"]) == ("c_fresh", ESCROW, None)
    assert CALLER not in answer.body.decode()
    assert document["error"]["metadata"]["credit_msat"] == 0
    assert document["error"]["message"].endswith("whatever you ask: it says who you are.")


@pytest.mark.parametrize("hints", [0, 300])
def test_all_headers_stay_under_4_kb(hints: int) -> None:
    """Even with a long invoice full of route hints, the headers fit a proxy's small buffer."""
    escrow = invoiced_escrow()
    assert escrow.invoice is not None
    long = replace(escrow.invoice, payment_request="lnbc420n1" + "q" * (300 + hints))
    answer = CHALLENGES.for_escrow(replace(escrow, invoice=long), caller_id=CALLER)
    size = sum(len(name) + len(value) + 4 for name, value in answer.headers)
    assert size < 3_000, size


def with_credit(escrow: Escrow) -> Escrow:
    """The same price, 100 msat of it paid from credit."""
    return replace(escrow, credit_used_msat=100)


def provisional(escrow: Escrow) -> Escrow:
    """Priced from what the answer itself said."""
    assert escrow.run.cost is not None
    cost = replace(escrow.run.cost, standing=CostStanding.PROVISIONAL)
    return replace(escrow, run=replace(escrow.run, cost=cost))


def corrected(escrow: Escrow) -> Escrow:
    """The upstream's record came after the price was fixed, and differs."""
    assert escrow.run.cost is not None
    cost = replace(escrow.run.cost, cost_pusd=escrow.run.cost.cost_pusd + 1)
    return replace(escrow, run=replace(escrow.run, cost=cost))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (with_credit, {"credit_used_msat": 100, "amount_msat": 1000, "rounding_msat": 771}),
        (provisional, {"standing": "provisional", "upstream_usd": "0.0002658"}),
        (
            corrected,
            {
                "standing": "confirmed",
                "upstream_usd": "0.0002658",
                "confirmed_usd": "0.000265800001",
                "price_msat": 329,
            },
        ),
    ],
)
def test_cost_says_where_it_comes_from(change: Any, expected: dict[str, Any]) -> None:  # noqa: ANN401
    """Credit, a provisional cost and a later correction are told apart, and no price moves."""
    answer = CHALLENGES.for_escrow(change(invoiced_escrow()), caller_id=CALLER)
    cost = read(answer)["escrow"]["cost"]
    assert {name: cost[name] for name in expected} == expected
    assert "confirmed_usd" in expected or "confirmed_usd" not in cost


def test_the_challenge_of_a_topup() -> None:
    """A 1-sat top-up is challenged in the same way and never speaks of a completion."""
    answer = CHALLENGES.for_topup(invoiced_topup())
    document = read(answer)
    match = STRICT.match(header(answer, b"www-authenticate"))
    assert answer.status == 402
    assert header(answer, b"x-should-retry") == "false"
    assert match is not None
    assert match[1] == document["macaroon"]
    assert proved(match[1]) == (CALLER, None, TOPUP)
    assert document["price_sats"] == 1
    assert document["error"]["metadata"]["topup_id"] == TOPUP
    assert document["topup"] == {
        "id": TOPUP,
        "object": "topup",
        "state": "invoiced",
        "amount_sat": 1,
        "amount_msat": 1000,
        "paid_msat": 0,
        "invoice": match[2],
        "payment_hash": document["payment_hash"],
        "expires_at": EXPIRES_AT_S,
        "status_url": f"{PUBLIC_URL}/v1/topups/{TOPUP}",
    }
    assert "escrow" not in document
    assert "1 sat, kept as your credit" in document["error"]["message"]


def test_already_paid_stops_every_library() -> None:
    """409 has no challenge to pay; the macaroon comes again and the claim URL says where to go."""
    settled = replace(invoiced_escrow(), state=EscrowState.SETTLED)
    answer = CHALLENGES.already_paid(settled, message="Paid.", caller_id=CALLER)
    document = read(answer)
    names = [name for name, _ in answer.headers]
    claim_url = f"{PUBLIC_URL}/v1/escrows/{ESCROW}/completion"
    assert answer.status == 409
    assert b"www-authenticate" not in names
    assert header(answer, b"x-should-retry") == "false"
    assert document["error"] == {
        "message": "Paid.",
        "type": "invalid_request_error",
        "param": None,
        "code": "already_paid",
        "metadata": {"escrow_id": ESCROW, "claim_url": claim_url},
    }
    assert document["claim_url"] == claim_url
    assert proved(document["macaroon"]) == (CALLER, ESCROW, None)
    assert "invoice" not in document


def test_nothing_is_challenged_without_an_invoice() -> None:
    """An escrow or top-up without an invoice is our fault and no 402."""
    with pytest.raises(Broken):
        CHALLENGES.for_escrow(replace(invoiced_escrow(), invoice=None), caller_id=CALLER)
    with pytest.raises(Broken):
        CHALLENGES.for_topup(replace(invoiced_topup(), payment_request=""))
