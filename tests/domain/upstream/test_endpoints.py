"""Whom a choice of providers means, and what a model costs when it is served by them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import priced_for
from cobot_meter.domain.upstream.endpoints import Endpoint, ProviderChoice
from tests.fakes.upstream_outcomes import PRICED_MODEL, fake_endpoint, fake_model

PRICES = st.builds(
    ModelPrice,
    prompt_pusd=st.integers(0, 9),
    completion_pusd=st.integers(0, 9),
    request_pusd=st.integers(0, 9),
    cache_write_pusd=st.integers(0, 9),
    reasoning_pusd=st.integers(0, 9),
)


@pytest.mark.parametrize(
    ("tag", "names", "meant"),
    [
        ("deepinfra/fp8", ["deepinfra/fp8"], True),
        ("deepinfra/fp8", ["deepinfra"], True),
        ("deepinfra/fp8", ["deepinfra/fp4"], False),
        ("DeepInfra", ["deepinfra"], True),
        ("amazon-bedrock", ["amazon bedrock"], True),
        ("openai/priority", ["openai"], False),
        ("openai/priority", ["openai/priority"], True),
        ("azure", ["azurelike", "az"], False),
        ("azure", [], False),
    ],
)
def test_who_is_meant(tag: str, names: list[str], *, meant: bool) -> None:
    """By tag, slug or name; a tier of service only by its whole tag."""
    provider = {"amazon-bedrock": "Amazon Bedrock"}.get(tag, tag.partition("/")[0])
    assert fake_endpoint(tag, provider=provider).is_meant_by(names) is meant


def test_the_only_ones_set_the_price() -> None:
    """Cheaper or dearer than the list: nobody else may serve."""
    cheap = fake_endpoint("cheap", price=ModelPrice(prompt_pusd=1, completion_pusd=2))
    dear = fake_endpoint("dear", price=ModelPrice(prompt_pusd=900_000, completion_pusd=1))
    both = priced_for(PRICED_MODEL, ProviderChoice(only=("cheap", "dear")), (cheap, dear))
    assert both.price == ModelPrice(prompt_pusd=900_000, completion_pusd=2)
    assert priced_for(PRICED_MODEL, ProviderChoice(only=("cheap",)), (cheap, dear)).price == (
        cheap.price
    )


def test_who_is_only_preferred_widens_the_listed_price() -> None:
    """Others may serve after them, at no more than the list says."""
    dear = fake_endpoint("dear", price=ModelPrice(prompt_pusd=900_000, completion_pusd=1))
    priced = priced_for(PRICED_MODEL, ProviderChoice(preferred=("dear",)), (dear,))
    assert priced.price == ModelPrice(
        prompt_pusd=900_000, completion_pusd=PRICED_MODEL.price.completion_pusd
    )


def test_who_is_ignored_counts_for_nothing() -> None:
    """And when nobody is left, or nobody is known, the listed price stands."""
    dear = fake_endpoint("dear", price=ModelPrice(prompt_pusd=900_000, completion_pusd=1))
    ignoring = ProviderChoice(preferred=("dear",), ignored=("dear",))
    assert priced_for(PRICED_MODEL, ignoring, (dear,)) is PRICED_MODEL
    assert priced_for(PRICED_MODEL, ProviderChoice(only=("nobody",)), (dear,)) is PRICED_MODEL
    assert priced_for(PRICED_MODEL, ProviderChoice(only=("dear",)), ()) is PRICED_MODEL


def test_images_cost_the_dearest_price_that_is_said() -> None:
    """A provider that says none is bounded by the list; a model without one takes no images."""
    seeing = fake_model("acme/sees", price=PRICED_MODEL.price, image_price=ImagePrice(image_pusd=5))
    dear = fake_endpoint("dear", image_price=ImagePrice(image_pusd=3, token_pusd=7))
    silent = fake_endpoint("silent")
    only = ProviderChoice(only=("dear", "silent"))
    assert priced_for(seeing, only, (dear, silent)).image_price == (
        ImagePrice(image_pusd=5, token_pusd=7)
    )
    assert priced_for(PRICED_MODEL, only, (dear,)).image_price is None


@given(st.lists(PRICES, min_size=1, max_size=5), PRICES)
def test_no_endpoint_that_is_meant_is_dearer_than_the_price(
    prices: list[ModelPrice], listed: ModelPrice
) -> None:
    """Unit by unit, whatever they cost: what is pinned upstream lets each of them serve."""
    model = fake_model("acme/one", price=listed)
    endpoints: list[Endpoint] = [
        fake_endpoint(f"p{at}", price=price) for at, price in enumerate(prices)
    ]
    names = tuple(endpoint.tag for endpoint in endpoints)
    only = priced_for(model, ProviderChoice(only=names), endpoints).price
    widened = priced_for(model, ProviderChoice(preferred=names), endpoints).price
    for unit in ModelPrice.__slots__:
        highest = max(getattr(price, unit) for price in prices)
        assert getattr(only, unit) == highest
        assert getattr(widened, unit) == max(highest, getattr(listed, unit))
