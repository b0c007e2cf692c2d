"""What a caller sees of a stored completion: its price, exactly, and nothing of our charge."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from cobot_meter.domain.errors import Broken
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.http_api.views import cobot_document, completion_document
from tests.http_api.samples import ESCROW, invoiced_escrow

BODY: dict[str, Any] = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1_763_836_450,
    "model": "openai/gpt-4o-mini-2024-07-18",
    "provider": "OpenAI",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": 'Zeile\n"1" – ⚡ \u2028'},
        }
    ],
    "usage": {
        "prompt_tokens": 812,
        "completion_tokens": 240,
        "total_tokens": 1_052,
        "completion_tokens_details": {"reasoning_tokens": 0},
        "cost": 0.0002658,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": 0.0002658},
    },
}


def settled(paid_msat: int | None = None) -> Escrow:
    """The sample escrow, paid."""
    escrow = invoiced_escrow()
    assert escrow.invoice is not None
    paid = escrow.invoice.amount_msat if paid_msat is None else paid_msat
    return replace(escrow, state=EscrowState.SETTLED, paid_msat=paid, settle_index=1)


def view(body: bytes, escrow: Escrow | None = None) -> dict[str, Any]:
    """The view as it is sent, its numbers exact."""
    sent = orjson.dumps(completion_document(escrow or settled(), body))
    document: dict[str, Any] = json.loads(sent, parse_float=Decimal)
    return document


def test_cost_is_the_price_charged_to_the_digit() -> None:
    """`usage.cost` is the price in USD as `cobot` has it, and no float touched it."""
    document = view(orjson.dumps(BODY))
    assert isinstance(document["usage"]["cost"], Decimal)
    assert str(document["usage"]["cost"]) == document["cobot"]["cost"]["price_usd"]
    assert document["usage"]["cost"] > Decimal("0.0002658")


def test_what_the_upstream_charged_us_is_in_cobot_alone() -> None:
    """No cost_details and no is_byok: a reader that adds them up would be charged twice."""
    usage = view(orjson.dumps(BODY))["usage"]
    assert usage.keys() == {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "completion_tokens_details",
        "cost",
    }


def test_the_answer_itself_is_untouched() -> None:
    """Everything but usage is as it was stored, control characters and emoji too."""
    document = view(orjson.dumps(BODY))
    for name in ("id", "object", "created", "model", "provider", "choices"):
        assert document[name] == BODY[name]


def test_the_parts_add_up() -> None:
    """Cost, credit fee and markup are the price; paid is price, rounding and what came on top."""
    escrow = settled(paid_msat=9_000)
    cobot = cobot_document(escrow)
    cost = cobot["cost"]
    parts = cost["upstream_msat"] + cost["credit_fee_msat"] + cost["markup_msat"]
    assert parts == cost["price_msat"]
    assert cobot["credited_msat"] == 9_000 - cost["price_msat"]
    assert (cobot["escrow_id"], cobot["max_tokens"]) == (ESCROW, 1_024)
    assert cobot["overrun_msat"] == 0
    assert cost["rate"]["source"] == "fixed"


def test_credit_that_was_used_is_not_credited_again() -> None:
    """What is credited is what was paid beyond what credit had left to pay."""
    escrow = replace(settled(paid_msat=1_000), credit_used_msat=100)
    assert cobot_document(escrow)["credited_msat"] == 1_000 - (escrow.price_msat - 100)
    assert cobot_document(replace(escrow, paid_msat=0))["credited_msat"] == 0


def test_what_the_ceiling_kept_from_the_caller_is_shown() -> None:
    """An overrun is ours, and said."""
    escrow = settled()
    tight = replace(escrow, quote=replace(escrow.quote, ceiling_msat=100), price_msat=100)
    assert cobot_document(tight)["overrun_msat"] == escrow.price_msat - 100


def test_usage_that_the_upstream_did_not_tell() -> None:
    """Token counts come from the run when the body has none."""
    body = orjson.dumps({**BODY, "usage": None})
    usage = view(body)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (812, 240)
    assert "cost" in usage


def test_half_an_emoji_is_mended_and_not_a_lost_sale() -> None:
    """Lone surrogates, which some upstreams write, become a sign for an unreadable character."""
    body = json.dumps(BODY).replace("\\u26a1", "\\ud83d").encode()
    assert view(body)["choices"][0]["message"]["content"] == 'Zeile\n"1" – � \u2028'


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"7"])
def test_a_body_that_is_no_completion_is_our_fault(body: bytes) -> None:
    """Broken, and so a 500 that says nothing."""
    with pytest.raises(Broken):
        completion_document(settled(), body)
