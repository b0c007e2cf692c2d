"""What pricing costs on the path of a request, and what it takes to read a list of prices."""

from __future__ import annotations

import timeit

import orjson

from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars
from cobot_meter.adapters.upstreams.openrouter.models import models_from
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import PriceTerms, ceiling_for

NAME = "pricing"
CEILING_BAR_US, BOOK_BAR_MS = 100, 50
MODELS, MESSAGES, MESSAGE_BYTES, CHAIN = 450, 20, 235, 3
REPEATS = 5


def measure(size: Size) -> str:
    """The bars of this benchmark; each figure is the best of a few."""
    body = price_list()
    prices = tuple(model.price for model in models_from(body, upstream="gateway")[:CHAIN])
    rate = ExchangeRate(usd_micro_per_btc=94_000_500_000, source="static", fetched_at_ms=0)
    terms = PriceTerms()

    def ceiling() -> None:
        ceiling_for(
            prices=prices,
            prompt_bytes=MESSAGES * MESSAGE_BYTES,
            message_count=MESSAGES,
            max_tokens=1_024,
            rate=rate,
            terms=terms,
        )

    count = size.service_cycles
    ceiling_us = min(timeit.repeat(ceiling, number=count, repeat=REPEATS)) / count * 1e6
    book_ms = (
        min(timeit.repeat(lambda: models_from(body, upstream="gateway"), number=1, repeat=REPEATS))
        * 1e3
    )
    return bars(
        [
            Bar(
                what=f"a ceiling: {MESSAGES} messages, {CHAIN} models",
                value=ceiling_us,
                limit=CEILING_BAR_US,
                unit="µs",
            ),
            Bar(
                what=f"reading a list of {MODELS} models ({len(body) // 1_024} KiB)",
                value=book_ms,
                limit=BOOK_BAR_MS,
                unit="ms",
            ),
        ]
    )


def price_list() -> bytes:
    """OpenRouter's list in shape and size: about 1.5 KiB a model, some with overrides."""
    override = {"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225"}
    rows = [
        {
            "id": f"author/model-{number}",
            "canonical_slug": f"author/model-{number}-20260101",
            "name": f"Author: Model {number}",
            "created": 1_788_220_800,
            "description": "A model that is described at some length. " * 20,
            "context_length": 131_072,
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "pricing": {
                "prompt": "0.00000015",
                "completion": "0.0000006",
                "request": "0",
                "input_cache_read": "0.000000015",
                **({"overrides": [override]} if number % 10 == 0 else {}),
            },
            "top_provider": {"context_length": 131_072, "max_completion_tokens": 16_384},
            "supported_parameters": ["max_tokens", "temperature", "tools", "seed", "stop"],
        }
        for number in range(MODELS)
    ]
    return orjson.dumps({"data": rows})
