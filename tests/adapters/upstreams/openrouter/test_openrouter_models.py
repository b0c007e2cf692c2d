"""Only models with a certain, finite price are offered, at their worst price."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.openrouter.models import endpoints_from, models_from
from cobot_meter.domain.errors import UpstreamUnreachable
from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import Model


def row(model_id: str = "a/b", **beside: object) -> dict[str, object]:
    """One entry of GET /models."""
    pricing = {"prompt": "0.00000007266", "completion": "0.00000014532"}
    return {
        "id": model_id,
        "context_length": 131_072,
        "pricing": pricing,
        "top_provider": {"max_completion_tokens": 16_384},
        **beside,
    }


def offered(*rows: object) -> tuple[Model, ...]:
    """The models read from these entries."""
    return models_from(orjson.dumps({"data": list(rows)}), upstream="gateway")


def price(**pricing: object) -> ModelPrice | None:
    """The price read from one `pricing` object."""
    models = offered(row(pricing=pricing))
    return models[0].price if models else None


def test_model_is_read_whole() -> None:
    """Id, unit prices in pico-USD, limits, and the upstream's own document."""
    (model,) = offered(row(extra={"kept": True}))
    assert model.model_id == "a/b"
    assert model.price == ModelPrice(prompt_pusd=72_660, completion_pusd=145_320)
    assert model.context_length == 131_072
    assert model.max_completion_tokens == 16_384
    assert orjson.loads(model.document)["extra"] == {"kept": True}


@given(st.decimals(min_value=0, max_value=1, places=15))
def test_prices_round_up_to_the_pico_dollar(value: Decimal) -> None:
    """A price is never read as less than it is, nor a whole pico-dollar more."""
    read = price(prompt=format(value, "f"), completion="0")
    assert read is not None
    assert 0 <= read.prompt_pusd - value * 10**12 < 1


def test_worst_price_over_overrides() -> None:
    """Long-prompt and time-window prices count as if they always held."""
    read = price(
        prompt="0.000001",
        completion="0.000002",
        request="0.01",
        input_cache_read="0.0000001",
        input_cache_write="0.00000125",
        internal_reasoning="0.000003",
        overrides=[
            {"min_prompt_tokens": 200_000, "prompt": "0.000002", "completion": "0.000001"},
            {"utc_start": "0800", "utc_end": "1800", "input_cache_write_1h": "0.000002"},
        ],
    )
    assert read == ModelPrice(
        prompt_pusd=2_000_000,
        completion_pusd=2_000_000,
        request_pusd=10_000_000_000,
        cache_write_pusd=2_000_000,
        reasoning_pusd=3_000_000,
    )


@pytest.mark.parametrize(
    "pricing",
    [
        {},
        {"prompt": "0.1"},
        {"completion": "0.1"},
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "NaN", "completion": "0"},
        {"prompt": "Infinity", "completion": "0"},
        {"prompt": "", "completion": "0"},
        {"prompt": None, "completion": "0"},
        {"prompt": 0.1, "completion": "0"},
        {"prompt": "1e-7", "completion": "0", "request": "-1"},
        {"prompt": "1e-7", "completion": "0", "overrides": [{"prompt": "-1"}]},
        {"prompt": "1" * 41, "completion": "0"},
    ],
)
def test_no_default_price_ever(pricing: dict[str, object]) -> None:
    """A missing, negative or unreadable price leaves the model out instead of guessing."""
    assert price(**pricing) is None


@pytest.mark.parametrize(
    "model_id", ["openrouter/auto", "openrouter/free", "a/b:online", "a/b:nitro", "a/b:batch"]
)
def test_routers_and_surcharged_variants_are_left_out(model_id: str) -> None:
    """What adds fees or chooses its own model cannot be priced beforehand."""
    assert offered(row(model_id)) == ()


@pytest.mark.parametrize(
    ("reads", "pricing", "expected"),
    [
        (["text", "image"], {"image": "0.001"}, ImagePrice(image_pusd=10**9)),
        (["image"], {"image_token": "0.000002"}, ImagePrice(image_pusd=0, token_pusd=2_000_000)),
        (["image"], {"image": "0"}, ImagePrice(image_pusd=0)),
        (
            ["image"],
            {"image": "0.001", "overrides": [{"image": "0.002"}]},
            ImagePrice(image_pusd=2 * 10**9),
        ),
        (["image"], {}, None),
        (["image"], {"image": "-1"}, None),
        (["image"], {"image": "0.001", "image_token": "NaN"}, None),
        (["text"], {"image": "0.001"}, None),
        (None, {"image": "0.001"}, None),
    ],
)
def test_images_have_a_price_or_are_not_offered(
    reads: object, pricing: dict[str, object], expected: ImagePrice | None
) -> None:
    """The model must read them and say what they cost; the model itself is offered for text."""
    whole = {"prompt": "0.000001", "completion": "0", **pricing}
    (model,) = offered(row(pricing=whole, architecture={"input_modalities": reads}))
    assert model.image_price == expected


def test_free_variant_is_free() -> None:
    """A free variant has its own price of zero, not that of its namesake."""
    free = row("a/b:free", canonical_slug="a/b", pricing={"prompt": "0", "completion": "0"})
    paid = row("a/b", canonical_slug="a/b")
    models = {model.model_id: model for model in offered(paid, free)}
    assert models["a/b:free"].price.free
    assert not models["a/b"].price.free


@pytest.mark.parametrize(
    ("beside", "context_length", "max_out"),
    [
        ({"top_provider": None}, 131_072, 131_072),
        ({"top_provider": {"max_completion_tokens": None}}, 131_072, 131_072),
        ({"context_length": None, "top_provider": {"context_length": 8_192}}, 8_192, 8_192),
    ],
)
def test_limits_that_are_not_said(
    beside: dict[str, object], context_length: int, max_out: int
) -> None:
    """The context comes from the top provider when missing, and bounds the answer."""
    (model,) = offered({**row(), **beside})
    assert (model.context_length, model.max_completion_tokens) == (context_length, max_out)


@pytest.mark.parametrize("odd", [{"id": 3}, {"id": "a/b"}, "text", None, row(context_length=0)])
def test_odd_entries_are_passed_over(odd: object) -> None:
    """One entry that cannot be read does not take the others away."""
    assert [model.model_id for model in offered(odd, row("c/d"))] == ["c/d"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"data":{}}'])
def test_unreadable_list_is_unreachable(body: bytes) -> None:
    """A list that cannot be read is no empty list."""
    with pytest.raises(UpstreamUnreachable):
        models_from(body, upstream="gateway")


def endpoint(**beside: object) -> dict[str, object]:
    """One entry of `data.endpoints`."""
    pricing = {"prompt": "0.00000007266", "completion": "0.00000014532", "image": "0.001"}
    return {"tag": "nebius/fp8", "provider_name": "Nebius", "pricing": pricing, **beside}


def served(*rows: object) -> bytes:
    """The body of GET /models/{author}/{slug}/endpoints."""
    return orjson.dumps({"data": {"id": "a/b", "endpoints": list(rows)}})


def test_an_endpoint_is_read_whole() -> None:
    """Tag, provider, unit prices, the price of an image, and the upstream's own document."""
    (read,) = endpoints_from(served(endpoint(status=-2)))
    assert (read.tag, read.provider) == ("nebius/fp8", "Nebius")
    assert read.price == ModelPrice(prompt_pusd=72_660, completion_pusd=145_320)
    assert read.image_price == ImagePrice(image_pusd=1_000_000_000)
    assert orjson.loads(read.document)["status"] == -2


@pytest.mark.parametrize(
    "odd",
    [
        endpoint(pricing={"prompt": "-1", "completion": "-1"}),
        endpoint(pricing={"prompt": "0.1"}),
        endpoint(pricing={"prompt": "NaN", "completion": "0.1"}),
        endpoint(pricing={"prompt": "1e400", "completion": "0.1"}),
        endpoint(pricing=None),
        endpoint(pricing={"prompt": "1000.01", "completion": "0.1"}),
        endpoint(provider_name=7),
        endpoint(nested=orjson.Fragment("[" * 600 + "]" * 600)),
        "no object",
    ],
)
def test_endpoints_without_a_certain_price_are_passed_over(odd: object) -> None:
    """Negative, missing and non-finite prices; the rest of the list counts."""
    assert len(endpoints_from(served(odd, endpoint()))) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":{"endpoints":7}}'])
def test_an_unreadable_list_of_endpoints_is_unreachable(body: bytes) -> None:
    """Nothing is known of who serves, which is not that nobody does."""
    with pytest.raises(UpstreamUnreachable):
        endpoints_from(body)


def test_an_endless_list_of_endpoints_is_cut() -> None:
    """No upstream makes us keep more than there can be."""
    assert len(endpoints_from(served(*[endpoint()] * 1_000))) == 200


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (["temperature", "tools", 7], frozenset({"temperature", "tools"})),
        ([], None),
        (None, None),
        ("temperature", None),
    ],
)
def test_the_parameters_that_a_model_lists(said: object, taken: frozenset[str] | None) -> None:
    """Texts of a list; where nothing is said nothing is known to be missing."""
    listed = orjson.dumps({"data": [row(supported_parameters=said)]})
    (model,) = models_from(listed, upstream="gateway")
    assert model.parameters == taken
    assert isinstance(orjson.loads(model.document)["supported_parameters"], list)
    assert model.takes("min_p") is (taken is None)
