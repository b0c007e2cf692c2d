"""What other gateways priced wrongly, and must never happen here: one named test each."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from cobot_meter.adapters.upstreams.openrouter.models import models_from
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.pricing.prices import ModelPrice
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, fake_model
from tests.http_api.face_rig import ASK, MODEL, open_face

ALIAS = fake_model("mistralai/mistral-small-latest", price=PRICED_MODEL.price)


async def test_alias_never_changes_bill(tmp_path: Path) -> None:
    """Asked for under another name of the same model, the same run costs the same."""
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, ALIAS)
        rig.upstream.usually = Completes()
        await rig.service.flows.catalogue.refresh()
        prices = []
        for name in (MODEL, ALIAS.model_id):
            await rig.buy({**ASK, "model": name})
            prices.append((rig.last.price_msat, rig.last.cost_pusd))
        assert prices[0] == prices[1]
        assert prices[0][0] > 0


@pytest.mark.parametrize(
    "pricing",
    [
        None,
        {},
        {"prompt": "0.00000015"},
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "0.00000015", "completion": "NaN"},
        {"prompt": "0.00000015", "completion": "1e400"},
        {"prompt": "0.00000015", "completion": None},
        {"prompt": 0.00000015, "completion": "0.0000006"},
        {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_write": "-1"},
        {"prompt": "0", "completion": "0", "overrides": [{"prompt": "free"}]},
    ],
)
def test_no_default_price_ever(pricing: object) -> None:
    """A model whose price is not wholly known is not offered, whatever else is said of it."""
    row = {"id": "a/b", "context_length": 8_192, "pricing": pricing}
    assert models_from(orjson.dumps({"data": [row]}), upstream="gateway") == ()


async def test_every_paid_route_is_metered(tmp_path: Path) -> None:
    """One route runs models, and no other path or method reaches the upstream."""
    async with open_face(tmp_path) as rig:
        described = (await rig.get("/openapi.json")).json()["paths"]
        paths = {*described, "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"}
        body = orjson.dumps({**ASK, "input": "x", "prompt": "x"})
        for path in sorted(paths - {"/v1/chat/completions"}):
            await rig.caller.send("POST", path.replace("{", "").replace("}", ""), body=body)
        assert rig.upstream.posts == 0
        await rig.ask(ASK)
        assert rig.upstream.posts == 1
        assert [one.progress for one in rig.escrows] == [Progress.INVOICED]


async def test_a_dear_model_is_never_billed_at_a_cheap_ones_price(tmp_path: Path) -> None:
    """Each model has its own unit prices, in the row and in what the upstream is told."""
    dear = fake_model("a/dear", price=ModelPrice(prompt_pusd=5_000_000, completion_pusd=25_000_000))
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, dear)
        await rig.service.flows.catalogue.refresh()
        await rig.ask({**ASK, "model": "a/dear", "max_tokens": 20})
        assert rig.last.quote.prices == dear.price
        assert rig.upstream.runs[-1].price_cap == dear.price
