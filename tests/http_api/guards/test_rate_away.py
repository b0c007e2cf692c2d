"""Without a rate, or with one that has jumped: new asks wait, and nothing else stops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from tests.fakes.clock import FakeClock
from tests.fakes.rate_sources import USD_MICRO, RateMarket
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, ask_of, open_face

LEVEL, LOWER = 94_000, 80_000
MODELS = "/v1/models"


@pytest.fixture
async def market() -> RateMarket:
    """Three sources that have been asked once."""
    market = RateMarket(FakeClock(leaping=True))
    await market.say(LEVEL)
    return market


@pytest.fixture
async def rig(tmp_path: Path, market: RateMarket) -> AsyncIterator[FaceRig]:
    """A face that prices with them."""
    async with open_face(tmp_path, market=market, INVOICE_EXPIRY_S="3600") as opened:
        yield opened


def code_of(reply: Reply) -> tuple[int, str]:
    """Status, and the error's stable name."""
    return reply.status, str(reply.error["code"])


async def test_a_price_names_the_sources_of_its_rate(rig: FaceRig) -> None:
    """The snapshot that is stored with the escrow says who stood behind it."""
    await rig.ask(ASK)
    rate = rig.last.quote.rate
    assert rate.usd_micro_per_btc == LEVEL * USD_MICRO
    assert rate.source == "median:bitstamp,coinbase,kraken"
    assert rate == await rig.service.parts.rates.current()


async def test_a_stale_rate_refuses_new_asks_and_nothing_else(
    rig: FaceRig, market: RateMarket
) -> None:
    """503 before anything is spent; what was asked, invoiced or paid before goes on as ever."""
    listed = await rig.get(MODELS)
    bought, token = await rig.buy()
    challenged = await rig.ask(ask_of("asked before"))
    await market.say(None, after_s=700)
    posts, escrows = rig.upstream.posts, len(rig.escrows)

    refused = await rig.ask(ask_of("Something new"))
    assert code_of(refused) == (503, "rate_stale")
    assert refused.header("retry-after") == "30"
    assert (rig.upstream.posts, len(rig.escrows)) == (posts, escrows)

    again = await rig.ask(ASK, token=token)
    assert (again.status, again.body) == (200, bought.body)
    proof = await rig.pay(challenged)
    released = await rig.ask(ask_of("asked before"), token=proof)
    assert released.status == 200
    assert rig.last.progress is Progress.RELEASED
    assert (await rig.get(MODELS)).body == listed.body
    assert (await rig.get("/v1/credits", token=token)).status == 200
    assert (await rig.get("/v1/ledger", token=token)).status == 200

    ready = await rig.get("/readyz")
    assert ready.status == 503
    assert ready.json()["parts"]["rate"] == {"ok": False, "code": "rate_stale"}

    await market.say(LEVEL)
    assert (await rig.ask(ask_of("Something new"))).status == 402


async def test_a_rate_that_goes_stale_meanwhile_changes_no_price(
    rig: FaceRig, market: RateMarket
) -> None:
    """What is open is priced at the rate of its quote, however the market moves."""
    challenged = await rig.ask(ASK)
    quoted = rig.last
    await market.say(None, after_s=500)
    proof = await rig.pay(challenged)
    assert (await rig.ask(ASK, token=proof)).status == 200
    assert (rig.last.quote, rig.last.price_msat) == (quoted.quote, quoted.price_msat)


async def test_a_jump_lets_credit_through_and_nobody_else(rig: FaceRig, market: RateMarket) -> None:
    """Whoever has paid before is served at the new rate; post-paid gets 503 `rate_jumped`."""
    token = await rig.top_up(1_000)
    await market.say(LOWER)
    refused = await rig.ask(ask_of("Something new"))
    assert code_of(refused) == (503, "rate_jumped")
    assert refused.header("retry-after") == "120"
    assert rig.upstream.posts == 0
    assert rig.escrows == []

    covered = await rig.ask(ask_of("Something paid"), token=token)
    assert covered.status == 200
    assert rig.last.quote.rate.usd_micro_per_btc == LOWER * USD_MICRO
    assert (await rig.get("/readyz")).status == 200


async def test_credit_that_is_not_enough_is_post_paid(rig: FaceRig, market: RateMarket) -> None:
    """A part that would be paid afterwards is a loan at a rate that nobody has confirmed."""
    token = await rig.top_up(1)
    await market.say(LOWER)
    assert code_of(await rig.ask(ASK, token=token)) == (503, "rate_jumped")


async def test_post_paid_goes_on_once_the_level_has_held(rig: FaceRig, market: RateMarket) -> None:
    """Two minutes later all sources still say so."""
    await market.say(LOWER)
    assert code_of(await rig.ask(ASK)) == (503, "rate_jumped")
    await market.say(LOWER)
    await market.say(LOWER)
    assert (await rig.ask(ASK)).status == 402


async def test_metrics_show_the_rate_its_age_and_its_sources(
    rig: FaceRig, market: RateMarket
) -> None:
    """And whether post-paid is paused; without a rate its figures say that there is none."""
    await market.say(LOWER)
    rig.clock.advance(7)
    text = (await rig.get("/metrics")).body.decode()
    assert "cobot_meter_rate_usd_micro_per_btc 8e+10" in text
    assert "cobot_meter_rate_age_seconds 7.0" in text
    assert "cobot_meter_rate_agreeing_sources 3.0" in text
    assert "cobot_meter_rate_paused 1.0" in text
    rig.clock.advance(700)
    text = (await rig.get("/metrics")).body.decode()
    assert "cobot_meter_rate_usd_micro_per_btc 0.0" in text
    assert "cobot_meter_rate_age_seconds -1.0" in text
    assert "cobot_meter_rate_agreeing_sources 0.0" in text
