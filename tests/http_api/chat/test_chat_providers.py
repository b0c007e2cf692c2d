"""Preferences among providers: what narrows the choice is passed on, what leaves nobody is not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cobot_meter.domain.upstream.endpoints import ProviderChoice
from cobot_meter.http_api.chat.providers import provider_choice
from cobot_meter.http_api.chat.request import parse_chat_request
from tests.http_api.chat.test_chat_requests import forwarded, refused_field
from tests.http_api.face_rig import ASK


@pytest.mark.parametrize(
    ("provider", "param"),
    [
        ({"only": ["Mistral"], "ignore": ["mistral"]}, "provider.ignore"),
        ({"only": ["a", "b"], "ignore": ["b", "c", "a"]}, "provider.ignore"),
        ({"allow_fallbacks": False, "order": []}, "provider.order"),
        ({"allow_fallbacks": False, "order": ["a"], "only": ["b"]}, "provider.order"),
        ({"allow_fallbacks": False, "order": ["a"], "ignore": ["A"]}, "provider.order"),
    ],
)
def test_preferences_that_leave_nobody_are_refused(provider: dict[str, Any], param: str) -> None:
    """With the field to change, before anything is reserved."""
    error = refused_field(provider=provider)
    assert error.param == param
    assert error.message.startswith("Nobody could serve this: ")


@pytest.mark.parametrize(
    "provider",
    [
        {},
        {"only": [], "ignore": ["a"]},
        {"only": ["a", "b"], "ignore": ["a"]},
        {"order": ["a"], "only": ["b"]},
        {"order": [], "allow_fallbacks": True},
        {"order": [], "only": ["a"], "allow_fallbacks": False},
        {"order": ["a", "b"], "only": ["B"], "allow_fallbacks": False},
        {"allow_fallbacks": False},
    ],
)
def test_preferences_that_leave_somebody_are_passed_on(provider: dict[str, Any]) -> None:
    """As they were written."""
    assert forwarded(provider=provider)["provider"] == provider


@pytest.mark.parametrize(
    "provider",
    [
        {"sort": "exacto"},
        {"sort": {"by": "price", "partition": "none"}},
        {"preferred_max_latency": 2.5},
        {"preferred_min_throughput": {"p50": 40, "p99": 10}},
        {"max_price": {"prompt": 0.5, "completion": "2", "image": "0.001"}},
        {"max_price": {}},
    ],
)
def test_what_narrows_the_choice_is_passed_on(provider: dict[str, Any]) -> None:
    """Every preference of OpenRouter's that cannot make a run dearer."""
    assert forwarded(provider=provider)["provider"] == provider


@pytest.mark.parametrize(
    ("provider", "param"),
    [
        ({"sort": {"by": ["price"]}}, "provider.sort"),
        ({"sort": {"by": "price", "partition": []}}, "provider.sort"),
        ({"preferred_max_latency": 0}, "provider.preferred_max_latency"),
        ({"preferred_max_latency": {"p42": 1}}, "provider.preferred_max_latency"),
        ({"max_price": 1}, "provider.max_price"),
        ({"max_price": {"prompt": -1}}, "provider.max_price"),
        ({"max_price": {"prompt": "NaN"}}, "provider.max_price"),
        ({"max_price": {"prompt": "01"}}, "provider.max_price"),
        ({"max_price": {"prompt": "1e-99"}}, "provider.max_price"),
        ({"max_price": {"prompt": "1" * 41}}, "provider.max_price"),
        ({"max_price": {"prompt": True}}, "provider.max_price"),
        ({"max_price": {"tokens": 1}}, "provider.max_price"),
    ],
)
def test_what_makes_no_sense_is_refused(provider: dict[str, Any], param: str) -> None:
    """With the field to change, before anything is reserved."""
    assert refused_field(provider=provider).param == param


@pytest.mark.parametrize(
    ("provider", "choice"),
    [
        ({}, None),
        ({"ignore": ["a"], "sort": "price"}, None),
        ({"only": ["A"]}, ProviderChoice(only=("a",))),
        (
            {"order": ["A", "b"], "ignore": ["C"]},
            ProviderChoice(preferred=("a", "b"), ignored=("c",)),
        ),
        (
            {"order": ["a", "b"], "only": ["B"]},
            ProviderChoice(only=("b",), preferred=("a", "b")),
        ),
        (
            {"order": ["a", "b"], "allow_fallbacks": False},
            ProviderChoice(only=("a", "b"), preferred=("a", "b")),
        ),
        (
            {"order": ["a", "b"], "only": ["B"], "allow_fallbacks": False},
            ProviderChoice(only=("b",), preferred=("a", "b")),
        ),
    ],
)
def test_whom_preferences_name(provider: dict[str, Any], choice: ProviderChoice | None) -> None:
    """Those who alone may serve, and those who are asked first; nobody named is no choice."""
    assert provider_choice(provider) == choice


@pytest.mark.parametrize(
    ("provider", "own_terms"),
    [
        (None, False),
        ({}, False),
        ({"max_price": {"prompt": 0}}, True),
        ({"only": ["acme"]}, True),
        ({"order": ["acme"]}, True),
        ({"data_collection": "deny"}, True),
        ({"zdr": True}, True),
        ({"quantizations": ["fp8"]}, True),
    ],
)
def test_any_choice_among_providers_is_a_term_of_the_callers_own(
    provider: dict[str, object] | None, own_terms: object
) -> None:
    """By name, price or policy: what fails under it tells nothing of the model (K4.7)."""
    asked = {**ASK, "provider": provider}
    assert parse_chat_request(orjson.dumps(asked)).completion.own_terms is own_terms
