"""What a completion may cost, before it is asked for: quotes, and the caller's own cap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import RATE_MAX, ExchangeRate
from cobot_meter.domain.pricing.prices import Ceiling, ModelPrice, PriceTerms
from cobot_meter.domain.pricing.quotes import QuotedTerms
from cobot_meter.http_api.quote_routes import LIVES_MS
from cobot_meter.http_api.quote_tokens import QuoteTokens
from tests.fakes.upstream_outcomes import PRICED_MODEL, fake_model
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, MODEL, FaceRig, ask_of, open_face

QUOTES = "/v1/quotes"
TOKENS = QuoteTokens(secret=b"s" * 32)
AMOUNTS = st.integers(min_value=0, max_value=2**63 - 1)
PRICES = st.builds(
    ModelPrice,
    prompt_pusd=AMOUNTS,
    completion_pusd=AMOUNTS,
    request_pusd=AMOUNTS,
    cache_write_pusd=AMOUNTS,
    reasoning_pusd=AMOUNTS,
)
TERMS = st.builds(
    QuotedTerms,
    models=st.lists(st.tuples(st.text(max_size=20), PRICES), min_size=1, max_size=3).map(tuple),
    max_tokens=AMOUNTS,
    ceiling=st.builds(Ceiling, cost_pusd=AMOUNTS, price_msat=AMOUNTS),
    rate=st.builds(
        ExchangeRate,
        usd_micro_per_btc=st.integers(min_value=1, max_value=RATE_MAX),
        source=st.text(max_size=20),
        fetched_at_ms=AMOUNTS,
    ),
    terms=st.builds(PriceTerms, credit_fee_bps=AMOUNTS, markup_bps=AMOUNTS, safety_bps=AMOUNTS),
    expires_at_ms=st.integers(min_value=1, max_value=2**63 - 1),
)


async def quoted(rig: FaceRig, document: Mapping[str, Any] = ASK, **headers: str) -> Reply:
    """Ask for a quote."""
    return await rig.caller.send("POST", QUOTES, body=orjson.dumps(document), headers=headers)


@given(terms=TERMS, body=st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_a_quote_is_read_as_it_was_signed(terms: QuotedTerms, body: str) -> None:
    """Whatever the terms; and by nobody with another key, for no other body, and not too late."""
    token = TOKENS.sign(terms, request_sha256=body)
    assert TOKENS.read(token, request_sha256=body, now_ms=terms.expires_at_ms - 1) == terms
    for reader, about, now_ms, why in (
        (QuoteTokens(secret=b"t" * 32), body, 0, "not a quote"),
        (TOKENS, "f" * 63, 0, "another request"),
        (TOKENS, body, terms.expires_at_ms, "expired"),
    ):
        with pytest.raises(RequestInvalid, match=why):
            reader.read(token, request_sha256=about, now_ms=now_ms)


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "ä.ö", "a" * 5_000, "e30.e30", "=.="])
def test_what_is_no_quote_is_refused(token: str) -> None:
    """Any text at all: one sentence that says where to get another."""
    with pytest.raises(RequestInvalid, match="POST /v1/quotes"):
        TOKENS.read(token, request_sha256="0" * 64, now_ms=0)


async def test_a_quote_is_what_the_ask_can_cost(tmp_path: Path) -> None:
    """The ceiling of the 402 is the quoted one, and nothing was reserved or run for the quote."""
    async with open_face(tmp_path) as rig:
        document = (await quoted(rig)).json()
        assert rig.upstream.posts == len(rig.escrows) == 0
        await rig.ask(ASK)
        assert document["ceiling"]["msat"] == rig.last.quote.ceiling_msat
        assert document["max_tokens"] == rig.last.quote.max_tokens
        assert [row["model"] for row in document["models"]] == [MODEL]


async def test_a_quote_binds_us_when_prices_rise(tmp_path: Path) -> None:
    """Asked with the quote, the old unit prices, ceiling and rate hold; without it the new ones."""
    async with open_face(tmp_path) as rig:
        quote = (await quoted(rig)).json()
        dearer = fake_model(MODEL, price=ModelPrice(prompt_pusd=600_000, completion_pusd=2_400_000))
        rig.upstream.offered = (dearer,)
        await rig.service.flows.catalogue.refresh()
        rig.upstream.offered = (PRICED_MODEL,)
        await rig.ask(ASK, headers={"X-Cobot-Quote": quote["quote"]})
        pinned = rig.last
        assert pinned.quote.ceiling_msat == quote["ceiling"]["msat"]
        assert rig.upstream.runs[-1].price_cap == PRICED_MODEL.price
        assert pinned.price_msat <= pinned.quote.ceiling_msat
        await rig.ask({**ASK, "seed": 7})
        assert rig.last.quote.ceiling_msat > pinned.quote.ceiling_msat


@pytest.mark.parametrize("spoiled", ["late", "another body", "damaged"])
async def test_a_quote_that_does_not_hold_is_refused(tmp_path: Path, spoiled: str) -> None:
    """Expired, for another body, or not ours: 400 before anything is reserved."""
    async with open_face(tmp_path) as rig:
        token = (await quoted(rig)).json()["quote"]
        if spoiled == "late":
            await rig.later(LIVES_MS)
        elif spoiled == "damaged":
            token = f"A{token[1:]}"
        asked = ask_of("something else") if spoiled == "another body" else ASK
        reply = await rig.ask(asked, headers={"X-Cobot-Quote": token})
        assert (reply.status, reply.error["param"]) == (400, "X-Cobot-Quote")
        assert rig.upstream.posts == len(rig.escrows) == 0


@pytest.mark.parametrize(
    ("cap", "status"),
    [
        ("1000sat", 402),
        ("1000000 msat", 402),
        ("1USD", 402),
        ("500msat", 400),
        ("1msat", 400),
        ("0.000001usd", 400),
    ],
)
async def test_the_callers_cap_is_kept_before_spending(
    tmp_path: Path, cap: str, status: int
) -> None:
    """What could cost more is refused with the numbers, and nothing runs."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask(ASK, headers={"X-Cobot-Max-Cost": cap})
        assert reply.status == status, reply.body
        quote = await quoted(rig, ASK, **{"X-Cobot-Max-Cost": cap})
        assert quote.status == (200 if status == 402 else 400)
        if status == 400:
            assert reply.error["code"] == "ceiling_over_cap"
            assert rig.upstream.posts == 0


async def test_what_would_fit_does_fit(tmp_path: Path) -> None:
    """The max_tokens that the refusal names is admitted under the same cap, and one more is not."""
    async with open_face(tmp_path) as rig:
        headers = {"X-Cobot-Max-Cost": "700msat"}
        refused = await rig.ask(ASK, headers=headers)
        words = refused.error["message"].split()
        fits = int(words[words.index("would") - 1])
        assert 0 < fits < ASK["max_tokens"]
        assert (await rig.ask({**ASK, "max_tokens": fits}, headers=headers)).status == 402
        more = await rig.ask({**ASK, "max_tokens": fits + 1}, headers=headers)
        assert more.error["code"] == "ceiling_over_cap"


@pytest.mark.parametrize(
    "cap", ["", "0", "0sat", "-1sat", "1.5sat", "1e3sat", "1 btc", "nan usd", "9" * 16 + "sat", "1"]
)
async def test_a_cap_that_is_none_is_refused(tmp_path: Path, cap: str) -> None:
    """Never read as no cap at all."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask(ASK, headers={"X-Cobot-Max-Cost": cap})
        assert (reply.status, reply.error["param"]) == (400, "X-Cobot-Max-Cost")


@pytest.mark.parametrize("body", [b"", b"{}", b" "])
async def test_nothing_cannot_be_quoted(tmp_path: Path, body: bytes) -> None:
    """An empty body is 400 here, and no top-up."""
    async with open_face(tmp_path) as rig:
        reply = await rig.caller.send("POST", QUOTES, body=body)
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


async def test_no_worst_case_hold(tmp_path: Path) -> None:
    """What is held is for the tokens asked for, not for all that the model could write."""
    async with open_face(tmp_path) as rig:
        small = (await quoted(rig, {**ASK, "max_tokens": 10})).json()["ceiling"]["msat"]
        default = (await quoted(rig, ask_of("x"))).json()["max_tokens"]
        whole = PRICED_MODEL.max_completion_tokens
        large = (await quoted(rig, {**ASK, "max_tokens": whole})).json()["ceiling"]["msat"]
        assert small < large // 10
        assert default < whole
