"""OpenRouter's operations for a caller: a model, its endpoints, the key, a whole generation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.retention import DAY_MS
from cobot_meter.flows.credit import caller_usage
from tests.fakes.upstream_outcomes import Completes, fake_endpoint
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import MODEL, RATE_USD_MICRO, FaceRig, ask_of, open_face

# Every member that OpenRouter's own SDK demands of a generation and of a key.
GENERATION = """api_type app_id cache_discount cancelled created_at data_region external_user
    finish_reason generation_time http_referer id is_byok latency model moderation_latency
    native_finish_reason native_tokens_cached native_tokens_completion
    native_tokens_completion_images native_tokens_prompt native_tokens_reasoning num_fetches
    num_input_audio_prompt num_media_completion num_media_prompt num_search_results origin
    preset_id provider_name provider_responses router service_tier streamed tokens_completion
    tokens_prompt total_cost upstream_id upstream_inference_cost usage user_agent
    web_search_engine workspace_id"""
KEY = """byok_usage byok_usage_daily byok_usage_monthly byok_usage_weekly creator_user_id
    include_byok_in_limit is_free_tier is_management_key is_provisioning_key label limit
    limit_remaining limit_reset rate_limit usage usage_daily usage_monthly usage_weekly
    workspace_id expires_at"""


def exact(reply: Reply) -> dict[str, Any]:
    """`data` with its numbers as they were written."""
    assert reply.status == 200, reply.body
    document: dict[str, Any] = json.loads(reply.body, parse_float=Decimal)["data"]
    return document


def near(usd: Decimal, msat: int) -> bool:
    """Whether an amount of USD is that of so many msat, rounded up to a pico-USD."""
    return 0 <= usd - Decimal(msat) * RATE_USD_MICRO / 10**17 < Decimal("1e-12")


async def key_of(rig: FaceRig, token: str) -> dict[str, Any]:
    """What `/v1/key` says."""
    return exact(await rig.get("/v1/key", token=token))


async def test_a_models_endpoint_is_our_offer(tmp_path: Path) -> None:
    """One endpoint with the prices of the list, which are ours and not the upstream's."""
    async with open_face(tmp_path) as rig:
        listed = exact_rows(await rig.get("/v1/models"))[MODEL]
        data = exact(await rig.get(f"/v1/models/{MODEL}/endpoints"))
        (endpoint,) = data["endpoints"]
        assert data["id"] == endpoint["model_id"] == MODEL
        assert endpoint["pricing"] == listed["pricing"]
        assert endpoint["context_length"] == 131_072
        assert (endpoint["provider_name"], endpoint["status"]) == ("cobot-meter", 0)


async def test_who_serves_a_model_is_listed_at_our_prices(tmp_path: Path) -> None:
    """The upstream's words, our prices, and the lists of the models kept apart."""
    async with open_face(tmp_path) as rig:
        dear = fake_endpoint("dear", price=ModelPrice(prompt_pusd=300_000, completion_pusd=1))
        rig.upstream.served_by[MODEL] = (fake_endpoint("mistral"), dear)
        listed = exact_rows(await rig.get("/v1/models"))[MODEL]
        first, second = exact(await rig.get(f"/v1/models/{MODEL}/endpoints"))["endpoints"]
        assert first["pricing"] == listed["pricing"]
        assert Decimal(second["pricing"]["prompt"]) == 2 * Decimal(first["pricing"]["prompt"])
        assert (second["provider_name"], second["tag"], second["quantization"]) == (
            *("Dear", "dear", "fp8"),
        )
        assert first.keys() == second.keys() >= {"context_length", "uptime_last_5m", "cobot"}


async def test_a_provider_that_is_named_is_priced_and_pinned(tmp_path: Path) -> None:
    """The ceiling and what the upstream may charge are those of the provider that was asked for."""
    async with open_face(tmp_path) as rig:
        price = ModelPrice(prompt_pusd=300_000, completion_pusd=1_200_000)
        rig.upstream.served_by[MODEL] = (fake_endpoint("dear", price=price),)
        assert (await rig.ask(ask_of("One"))).status == 402
        listed = rig.last
        assert (await rig.ask(ask_of("One", provider={"only": ["Dear"]}))).status == 402
        assert rig.last.quote.prices == rig.upstream.runs[-1].price_cap == price
        assert rig.last.quote.ceiling_pusd == 2 * listed.quote.ceiling_pusd


async def test_one_model_is_its_row_of_the_list(tmp_path: Path) -> None:
    """The same document in both places, variants by their whole id."""
    async with open_face(tmp_path) as rig:
        listed = exact_rows(await rig.get("/v1/models"))
        for model_id, row in listed.items():
            assert exact(await rig.get(f"/v1/model/{model_id}")) == row
        assert listed[MODEL]["links"] == {"details": f"/v1/models/{MODEL}/endpoints"}


def exact_rows(reply: Reply) -> dict[str, dict[str, Any]]:
    """The models by id."""
    return {row["id"]: row for row in json.loads(reply.body, parse_float=Decimal)["data"]}


@pytest.mark.parametrize("path", ["/v1/model/acme/none", "/v1/models/acme/none/endpoints"])
async def test_a_model_that_is_not_offered(tmp_path: Path, path: str) -> None:
    """404 with the list's address, in the shape of every error."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get(path)
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")


async def test_a_generation_has_every_member_of_openrouters(tmp_path: Path) -> None:
    """All members its SDK demands are there; the money is the price charged to the caller."""
    async with open_face(tmp_path) as rig:
        bought, token = await rig.buy()
        data = exact(await rig.get(f"/v1/generation?id={bought.json()['id']}", token=token))
        assert [name for name in GENERATION.split() if name not in data] == []
        cost = data["cobot"]["cost"]
        assert data["total_cost"] == data["usage"] == Decimal(cost["price_usd"])
        assert cost["rate"]["btc_usd"] == "94000.5"
        assert (
            cost["upstream_msat"] + cost["credit_fee_msat"] + cost["markup_msat"]
            == (cost["price_msat"])
        )


async def test_the_key_of_a_caller(tmp_path: Path) -> None:
    """The limit is the exposure cap, what is open comes off it, usage is what was charged."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        paid = rig.last
        rig.upstream.then(Completes(cost="0.0007"))
        assert (await rig.ask(ask_of("Two"), token=token)).status == 402
        data = await key_of(rig, token)
        assert [name for name in KEY.split() if name not in data] == []
        cobot = data["cobot"]
        standing = await rig.books.standing(paid.caller_id)
        assert cobot["usage_msat"] == standing.settled_msat + standing.spent_credit_msat > 0
        assert cobot["usage_daily_msat"] == cobot["usage_msat"]
        assert near(data["limit"], cobot["cap_msat"])
        assert near(data["limit_remaining"], cobot["cap_msat"] - rig.last.due_msat)
        assert near(data["usage_monthly"], cobot["usage_msat"])
        assert (data["limit_reset"], data["is_free_tier"]) == (None, False)
        assert data["rate_limit"]["requests"] == -1


async def test_usage_by_day_week_and_month(tmp_path: Path) -> None:
    """Days, weeks from Monday and months are UTC's; asked again only what is new is added."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(1_000)
        sunday_ms = 1_798_934_400_000  # 2027-01-03T00:00Z
        rig.clock.set_ms(sunday_ms - 5 * DAY_MS)
        spent = []
        for day in range(7):  # Tuesday of the old year to Monday of the new one
            await rig.later(DAY_MS if day else 1)
            assert (await rig.ask(ask_of(f"Ask {day}"), token=token)).status == 200
            spent.append(rig.last.price_msat)
            if day == 5:
                cobot = (await key_of(rig, token))["cobot"]
                assert cobot["usage_weekly_msat"] == sum(spent)
                assert cobot["usage_monthly_msat"] == sum(spent[3:])
        for _ in range(2):
            cobot = (await key_of(rig, token))["cobot"]
            assert cobot["usage_msat"] == sum(spent)
            assert cobot["usage_monthly_msat"] == sum(spent[3:])
            assert cobot["usage_weekly_msat"] == cobot["usage_daily_msat"] == spent[6]


async def test_a_long_statement_is_added_up_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ask reads a bounded number of rows; the next goes on, and nothing is counted twice."""
    monkeypatch.setattr(caller_usage, "PAGE_ROWS", 3)
    monkeypatch.setattr(caller_usage, "PAGES_MAX", 2)
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(100)
        for number in range(4):
            assert (await rig.ask(ask_of(f"Ask {number}"), token=token)).status == 200
        busy = 0
        while (reply := await rig.get("/v1/key", token=token)).status == 503:
            busy += 1
        assert busy > 1
        cobot = exact(reply)["cobot"]
        assert cobot["usage_daily_msat"] == cobot["usage_msat"] > 0
