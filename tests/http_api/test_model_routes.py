"""The model list: OpenRouter's shape, our prices, written once."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.routing.virtual import is_virtual
from tests.fakes.servers.serving import serving
from tests.fakes.upstream_outcomes import FREE_MODEL, PRICED_MODEL, fake_model
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import MODEL, RATE_USD_MICRO, open_face

SURCHARGE = Decimal("1.055") * Decimal("1.1")


def rows(reply: Reply) -> dict[str, dict[str, Any]]:
    """The models by id, numbers exact."""
    document = json.loads(reply.body, parse_float=Decimal)
    return {row["id"]: row for row in document["data"]}


async def test_prices_are_ours_in_usd_and_msat(tmp_path: Path) -> None:
    """Cost with credit fee and markup, per token in USD and per million in msat, rounded up."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get("/v1/models")
        row = rows(reply)[MODEL]
        assert Decimal(row["pricing"]["prompt"]) == Decimal("0.00000015") * SURCHARGE
        assert Decimal(row["pricing"]["completion"]) == Decimal("0.0000006") * SURCHARGE
        exact = Decimal("0.60") * SURCHARGE * 10**17 / RATE_USD_MICRO
        assert 0 <= row["cobot"]["completion_msat_per_million"] - exact < 1
        assert (row["object"], row["context_length"]) == ("model", 131_072)
        assert reply.json()["cobot"]["markup_bps"] == 1_000


async def test_free_and_many_sided_prices(tmp_path: Path) -> None:
    """A free model costs "0"; cache writes, reasoning and requests are listed where they cost."""
    dear = fake_model(
        "dear/one",
        price=ModelPrice(
            prompt_pusd=1_000,
            completion_pusd=2_000,
            request_pusd=3_000,
            cache_write_pusd=4_000,
            reasoning_pusd=5_000,
        ),
    )
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (FREE_MODEL, dear)
        await rig.service.flows.catalogue.refresh()
        listed = rows(await rig.get("/v1/models"))
        free = listed[FREE_MODEL.model_id]
        assert set(free["pricing"].values()) == {"0"}
        assert set(free["cobot"].values()) == {0}
        assert Decimal(listed["dear/one"]["pricing"]["request"]) > Decimal("0.000000003")
        assert "internal_reasoning" in listed["dear/one"]["pricing"]
        assert "input_cache_write_msat_per_million" in listed["dear/one"]["cobot"]


async def test_the_list_is_written_once_for_each_catalogue(tmp_path: Path) -> None:
    """The same bytes until the list is refreshed; then what is gone is gone."""
    async with open_face(tmp_path) as rig:
        first, again = await rig.get("/v1/models"), await rig.get("/v1/models")
        assert first.body is again.body
        assert first.header("cache-control") == "public, max-age=60"
        rig.upstream.offered = (PRICED_MODEL,)
        rig.clock.advance(60)
        await rig.service.flows.catalogue.refresh()
        listed = rows(await rig.get("/v1/models")).keys()
        assert {name for name in listed if not is_virtual(name)} == {MODEL}


async def test_before_the_first_list_it_is_503(tmp_path: Path) -> None:
    """An empty list would say that nothing is offered."""
    async with open_face(tmp_path) as rig:
        rig.service.flows.catalogue.refreshed_at_ms = None
        reply = await rig.get("/v1/models")
        assert (reply.status, reply.header("retry-after")) == (503, "5")


async def test_one_model_where_openai_and_where_openrouter_have_it(tmp_path: Path) -> None:
    """OpenAI's members at the top, OpenRouter's model under `data`; the slash raw or escaped."""
    async with open_face(tmp_path) as rig:
        listed = rows(await rig.get("/v1/models"))[MODEL]
        reply = await rig.get(f"/v1/models/{MODEL}")
        document = json.loads(reply.body, parse_float=Decimal)
        assert {**document, "data": None} == {
            "id": MODEL,
            "object": "model",
            "created": listed.get("created", 0),
            "owned_by": MODEL.split("/")[0],
            "data": None,
        }
        assert document["data"] == listed
        for unknown in ("/v1/models/nobody/nothing", "/v1/models/nothing"):
            missing = await rig.get(unknown)
            assert (missing.status, missing.error["code"]) == (404, "model_not_found")


async def test_the_sdk_retrieves_a_model_with_its_slash_escaped(tmp_path: Path) -> None:
    """`%2F` is a slash in a path, as OpenAI's SDK writes it."""
    async with (
        open_face(tmp_path) as rig,
        serving(rig.app) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client,
    ):
        assert (await client.models.retrieve(MODEL)).id == MODEL


async def test_how_many_models_there_are(tmp_path: Path) -> None:
    """As OpenRouter counts them."""
    async with open_face(tmp_path) as rig:
        count = len(rows(await rig.get("/v1/models")))
        assert (await rig.get("/v1/models/count")).json() == {"data": {"count": count}}
        rig.service.flows.catalogue.refreshed_at_ms = None
        assert (await rig.get("/v1/models/count")).status == 503
