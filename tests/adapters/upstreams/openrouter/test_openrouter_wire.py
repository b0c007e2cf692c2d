"""OpenRouter's JSON: what is sent, and what its records say."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.exact_json import exact_loads
from cobot_meter.adapters.upstreams.openrouter.wire import (
    account_from,
    generation_cost_from,
    inline_cost_from,
    key_usage_pusd,
    request_body,
)
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CostNotYetKnown, RequestInvalid, UpstreamUnreachable
from cobot_meter.domain.money import AMOUNT_MAX, TOTAL_MAX, pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import UpstreamCall

CAP = ModelPrice(prompt_pusd=72_660, completion_pusd=145_320, request_pusd=0)
GENERATION = "gen-1771967973-0hZ8J5kY7qLMOKbPx0u3"


def sent(document: dict[str, object], **beside: Any) -> Any:  # noqa: ANN401
    """What goes upstream for a caller's document."""
    request = UpstreamCall(
        body=Body(orjson.dumps(document)),
        model="deepseek/deepseek-v4-flash",
        max_tokens=256,
        caller_tag=beside.pop("caller_tag", "c_1"),
    )
    return orjson.loads(request_body(request, price_cap=CAP, deny_training=False, **beside))


def test_request_is_capped_and_streamed() -> None:
    """Every run is streamed, has max_tokens and max_price, and is not compressed silently."""
    body = sent({"model": "deepseek/deepseek-v4-flash", "messages": [], "temperature": 0.2})
    assert body["stream"] is True
    assert body["max_tokens"] == 256
    assert body["provider"] == {
        "max_price": {"prompt": 0.07266, "completion": 0.14532, "request": 0},
        "require_parameters": True,
    }
    assert body["plugins"] == [{"id": "context-compression", "enabled": False}]
    assert body["user"] == "c_1"
    assert body["temperature"] == 0.2


def test_price_cap_is_exact() -> None:
    """The cap is written with the digits of the price, per million tokens, not as a double."""
    request = UpstreamCall(
        body=Body(b'{"messages":[]}'),
        model="m",
        max_tokens=1,
    )
    cap = ModelPrice(prompt_pusd=1, completion_pusd=257_400, request_pusd=3)
    body = request_body(request, price_cap=cap, deny_training=False)
    assert b'"max_price":{"prompt":0.000001,"completion":0.2574,"request":0.000000000003}' in body


def test_fields_that_would_change_the_bill_are_not_forwarded() -> None:
    """Who answers and what is charged cannot be changed from inside the caller's body."""
    body = sent(
        {
            "model": "other",
            "models": ["a/b"],
            "route": "fallback",
            "preset": "x",
            "plugins": [{"id": "web"}],
            "transforms": ["middle-out"],
            "max_tokens": 99_999,
            "max_completion_tokens": 99_999,
            "stream": False,
            "usage": {"include": False},
            "stream_options": {"include_usage": False},
            "user": "somebody",
        },
        caller_tag="",
    )
    assert body["model"] == "deepseek/deepseek-v4-flash"
    assert body["max_tokens"] == 256
    assert body["stream"] is True
    assert body["plugins"] == [{"id": "context-compression", "enabled": False}]
    for name in ("models", "route", "preset", "transforms", "max_completion_tokens", "usage"):
        assert name not in body
    assert "user" not in body


def test_callers_provider_wishes_are_kept_under_our_cap() -> None:
    """Routing wishes pass; a max_price of the caller's own does where it is lower than ours."""
    wanted = {"prompt": 999, "completion": "0.1", "image": 1e-07}
    body = sent({"provider": {"only": ["mistral"], "max_price": wanted}})
    assert body["provider"]["only"] == ["mistral"]
    assert body["provider"]["max_price"] == {
        "prompt": 0.07266,
        "completion": 0.1,
        "request": 0,
        "image": 1e-07,
    }


def test_training_is_denied_when_asked() -> None:
    """The setting adds `data_collection: deny`, even over the caller's wish."""
    request = UpstreamCall(
        body=Body(b'{"provider":{"data_collection":"allow"}}'),
        model="m",
        max_tokens=1,
    )
    body = orjson.loads(request_body(request, price_cap=CAP, deny_training=True))
    assert body["provider"]["data_collection"] == "deny"


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff"])
def test_body_must_be_an_object(body: bytes) -> None:
    """A body that is no JSON object is the caller's fault, told before anything is sent."""
    request = UpstreamCall(body=Body(body), model="m", max_tokens=1)
    with pytest.raises(RequestInvalid):
        request_body(request, price_cap=CAP, deny_training=False)


def record(**fields: object) -> bytes:
    """A generation record of recorded shape."""
    data = {
        "id": GENERATION,
        "total_cost": 0.00003452,
        "usage": 0.00003452,
        "is_byok": False,
        "upstream_inference_cost": 0,
        "cache_discount": None,
        "provider_name": "DeepInfra",
        "native_tokens_prompt": 64,
        "native_tokens_completion": 98,
        **fields,
    }
    return orjson.dumps({"data": data})


def test_recorded_cost_is_exact() -> None:
    """total_cost is the bill: its digits, and the same in pico-USD."""
    cost = generation_cost_from(record(), GENERATION)
    assert Decimal(cost.total_cost) == Decimal("0.00003452")
    assert cost.cost_pusd == 34_520_000
    assert cost.provider == "DeepInfra"


@given(st.decimals(min_value=0, max_value=1_000, places=12))
def test_any_recorded_cost_is_exact(total: Decimal) -> None:
    """Twelve decimals go through without a loss, as text and as integer."""
    body = f'{{"data":{{"id":"{GENERATION}","total_cost":{total:f}}}}}'.encode()
    cost = generation_cost_from(body, GENERATION)
    assert cost.total_cost == format(total, "f")
    assert cost.cost_pusd == int(total * 10**12)


def test_cached_prompt_bill_from_upstream() -> None:
    """A cache discount is already inside total_cost; nothing is computed from tokens."""
    cost = generation_cost_from(
        record(total_cost=0.0001, cache_discount=0.0009, native_tokens_cached=60), GENERATION
    )
    assert cost.cost_pusd == 100_000_000


def test_upstream_part_is_not_added_twice() -> None:
    """Without a provider key of our own, total_cost is all there is."""
    cost = generation_cost_from(record(upstream_inference_cost=0.00003452), GENERATION)
    assert cost.cost_pusd == 34_520_000


def test_own_provider_key_costs_both_parts() -> None:
    """With BYOK the true cost is OpenRouter's fee and what the provider charged."""
    cost = generation_cost_from(
        record(is_byok=True, total_cost=0.00001, upstream_inference_cost=0.0003253), GENERATION
    )
    assert cost.cost_pusd == 335_300_000
    assert pusd_from_text(cost.total_cost) == cost.cost_pusd


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"data":null}',
        record(id="gen-1-other"),
        record(total_cost=None),
        record(total_cost=-1),
        record(total_cost="0.1"),
        record(is_byok=True, upstream_inference_cost=None),
    ],
)
def test_record_without_a_cost_is_not_yet_known(body: bytes) -> None:
    """Another's record, a missing, negative or textual cost: never billed, looked up again."""
    with pytest.raises(CostNotYetKnown):
        generation_cost_from(body, GENERATION)


def usage(text: str) -> dict[str, object]:
    """A usage object as it stands on the wire."""
    document = exact_loads(text)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ('{"cost":0.0076509169000000005}', "0.0076509169000000005"),
        ('{"cost":4.1400000000000003e-05,"is_byok":false}', "4.1400000000000003e-05"),
        ('{"cost":0}', "0"),
        ('{"prompt_tokens":3}', None),
        ('{"cost":null}', None),
        ('{"cost":-0.1}', None),
        ('{"cost":0.1,"cost_details":{"upstream_inference_cost":0.1}}', "0.1"),
        ('{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.25}}', "0.25"),
        ('{"cost":0,"is_byok":true}', None),
    ],
)
def test_inline_cost(text: str, cost: str | None) -> None:
    """The digits of usage.cost; both parts for BYOK; None when it is not said."""
    assert inline_cost_from(usage(text)) == cost


def test_key_usage_is_exact() -> None:
    """What the key has spent, BYOK included, in pico-USD."""
    assert key_usage_pusd(b'{"data":{"usage":12.345678901234,"byok_usage":0.5}}') == (
        12_845_678_901_234
    )
    assert key_usage_pusd(b'{"data":{"usage":0}}') == 0


@pytest.mark.parametrize("body", [b"", b'{"data":{}}', b'{"data":{"usage":"1"}}'])
def test_key_that_says_nothing(body: bytes) -> None:
    """A key without a usage figure is no zero."""
    with pytest.raises(UpstreamUnreachable):
        key_usage_pusd(body)


def test_the_body_is_let_go_once_it_is_written() -> None:
    """While the upstream thinks one copy of what was asked is enough."""
    request = UpstreamCall(body=Body(b'{"messages":[]}'), model="a/b", max_tokens=1)
    assert request_body(request, price_cap=CAP, deny_training=False)
    assert request.body.content == b""
    assert request.body.take() == b""


def account(credit: bytes | None = None, **said: object) -> UpstreamAccount:
    """What a key that says so is read as."""
    return account_from(orjson.dumps({"data": {"usage": 0.5, **said}}), credit)


def test_the_account_of_a_limited_key() -> None:
    """Limit, what is left of it, its reset and today's usage; credit where it may be read."""
    told = account(limit=2, limit_remaining=1.25, limit_reset="daily", usage_daily=0.75)
    assert (told.limit_pusd, told.limit_remaining_pusd) == (2 * 10**12, 125 * 10**10)
    assert (told.limit_reset, told.usage_daily_pusd) == ("daily", 75 * 10**10)
    assert (told.credit_left_pusd, told.left_pusd) == (None, 125 * 10**10)
    owed = account(b'{"data":{"total_credits":1,"total_usage":1.5}}', limit=None)
    assert owed.credit_left_pusd == owed.left_pusd == -5 * 10**11


@pytest.mark.parametrize("value", [None, "much", "1e400", True, []])
def test_a_limit_that_is_no_amount_bounds_nothing(value: object) -> None:
    """What cannot be read is not known; below zero nothing is left."""
    assert account(limit_remaining=value).left_pusd is None
    assert account(limit_remaining=-0.25).left_pusd == 0


LISTED = frozenset({"max_completion_tokens", "temperature", "tools"})


def body_for(parameters: frozenset[str] | None, **fields: object) -> Any:  # noqa: ANN401
    """What goes upstream for a model that lists these parameters."""
    request = UpstreamCall(body=Body(orjson.dumps(fields)), model="a/b", max_tokens=256)
    return orjson.loads(
        request_body(request, price_cap=CAP, deny_training=False, parameters=parameters)
    )


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (LISTED, "max_completion_tokens"),
        (LISTED | {"max_tokens"}, "max_tokens"),
        (frozenset({"max_tokens"}), "max_tokens"),
        (frozenset({"temperature"}), "max_tokens"),
        (None, "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_model_lists(
    parameters: frozenset[str] | None, name: str
) -> None:
    """One name, and always one: it is what bounds the cost."""
    body = body_for(parameters, messages=[], max_tokens=9, max_completion_tokens=9)
    names = {"max_tokens", "max_completion_tokens"} & body.keys()
    assert names == {name}
    assert body[name] == 256


def test_wishes_that_the_model_does_not_take_are_left_out() -> None:
    """As OpenRouter passes over them; what is required of the provider is what is left."""
    fields = {"temperature": 0.5, "min_p": 0.1, "logit_bias": {"1": 2}, "reasoning": {}}
    body = body_for(LISTED, messages=[], session_id="s", **fields)
    assert body["temperature"] == 0.5
    assert body["session_id"] == "s"
    assert not {"min_p", "logit_bias", "reasoning"} & body.keys()
    assert body["provider"]["require_parameters"] is True
    assert fields.keys() <= body_for(None, messages=[], **fields).keys()


def test_no_tool_choice_where_none_is_taken() -> None:
    """`none` means no tools; `auto` is what happens anyway."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert "tools" not in body_for(LISTED, tools=tools, tool_choice="none")
    body = body_for(LISTED, tools=tools, tool_choice="auto")
    assert body["tools"] == tools
    assert "tool_choice" not in body


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())))
def test_any_name_in_a_record_can_be_kept(said: str) -> None:
    """Provider and model of any Unicode encode, hold no NUL, and are bounded."""
    data = {"id": GENERATION, "total_cost": 0.1, "provider_name": said, "model": said * 3}
    cost = generation_cost_from(json.dumps({"data": data}).encode(), GENERATION)
    for name in (cost.provider, cost.model):
        name.encode()
        assert "\0" not in name
        assert len(name) <= 200


@given(st.text("0123456789+-.eE", max_size=80) | st.floats().map(str) | st.integers().map(str))
def test_any_number_in_a_record_is_an_amount_or_unknown(number: str) -> None:
    """Nothing but the taxonomy leaves, and what is read is within the bound."""
    for byok in (b"false", b"true"):
        body = (
            b'{"data":{"id":"'
            + GENERATION.encode()
            + b'","total_cost":'
            + number.encode()
            + b',"upstream_inference_cost":'
            + number.encode()
            + b',"is_byok":'
            + byok
            + b"}}"
        )
        with contextlib.suppress(CostNotYetKnown):
            assert 0 <= generation_cost_from(body, GENERATION).cost_pusd <= AMOUNT_MAX
        with contextlib.suppress(UpstreamUnreachable):
            told = b'{"data":{"usage":' + number.encode() + b"}}"
            assert 0 <= key_usage_pusd(told) <= TOTAL_MAX


def test_two_halves_of_a_bill_are_bounded_together() -> None:
    """Each at the bound, the sum is over it: no cost, and no fault of ours."""
    with pytest.raises(CostNotYetKnown):
        generation_cost_from(
            record(is_byok=True, total_cost=9_999, upstream_inference_cost=9_999), GENERATION
        )
