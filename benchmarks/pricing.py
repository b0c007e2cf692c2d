"""What pricing takes of a request: reading the price book, and the ceiling of an ask.

One thread, CPU time; each round reads a list of 450 models as OpenRouter writes it, then quotes an
ask of twenty messages by the path that the service takes, from the body's bytes to the ceiling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import orjson

from benchmarks.sizes import Size
from benchmarks.tables import Bar, bars, ratios, spread, table
from service.adapters.exchange_rates import StaticRate
from service.adapters.system_clock import SystemClock
from service.adapters.upstreams.openrouter_models import models_from
from service.domain.completions import CompletionRequest
from service.domain.money import ExchangeRate
from service.domain.pricing import ModelPrice, PriceTerms, ceiling_for
from service.http_api.chat_requests import parse_chat_request

NAME = "pricing"
MODELS = 450
MESSAGES = 20
WORDS = 60
BOOK_BAR_MS = 50.0
CEILING_BAR_US = 100.0
TERMS = PriceTerms()
COLUMNS = ("", "CPU µs each")


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    rate = asyncio.run(_rate())
    book, ask = _book(), _ask()
    prices = tuple(model.price for model in models_from(book)[:4])
    completion = parse_chat_request(ask).completion
    reading = [_cpu_us(lambda: models_from(book), 1) for _ in range(size.rounds)]
    pricing = [
        _cpu_us(lambda: _ceiling(completion, prices, rate), size.sales) for _ in range(size.rounds)
    ]
    parsing = [_cpu_us(lambda: parse_chat_request(ask), size.sales) for _ in range(size.rounds)]
    shares = ratios(pricing, parsing)
    both = [one + other for one, other in zip(pricing, parsing, strict=True)]
    measured = table(
        COLUMNS,
        [
            (f"a price book of {MODELS} models, {len(book) // 1_024:,} KiB", spread(reading)),
            (f"the ceiling of {MESSAGES} messages over 4 models", spread(pricing, 1)),
            (f"the body of {MESSAGES} messages, read and checked", spread(parsing, 1)),
        ],
    )
    found = bars(
        [
            Bar(
                what="price book of 450 models",
                value=max(reading) / 1_000,
                limit=BOOK_BAR_MS,
                unit="ms",
            ),
            Bar(
                what="ceiling for 20 messages, with reading them",
                value=max(both),
                limit=CEILING_BAR_US,
                unit="µs",
            ),
        ]
    )
    by_round = f"Ratios by round, ceiling / reading the body: {spread(shares, 2)}."
    return f"{measured}\n\n{found}\n\n{by_round}"


def _cpu_us(work: Callable[[], object], times: int) -> float:
    began_ns = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - began_ns) / 1_000 / times


def _ceiling(
    completion: CompletionRequest, prices: tuple[ModelPrice, ...], rate: ExchangeRate
) -> object:
    return ceiling_for(
        prices=prices,
        prompt_bytes=completion.prompt_bytes,
        message_count=completion.message_count,
        max_tokens=completion.max_tokens,
        rate=rate,
        terms=TERMS,
    )


async def _rate() -> ExchangeRate:
    return await StaticRate(usd_micro_per_btc=94_000_500_000, clock=SystemClock()).current()


def _ask() -> bytes:
    roles = ("user", "assistant")
    messages = [
        {"role": roles[at % 2], "content": f"message {at}: " + "some words " * WORDS}
        for at in range(MESSAGES)
    ]
    return orjson.dumps({"model": "acme/0", "messages": messages, "max_tokens": 500})


def _book() -> bytes:
    return orjson.dumps({"data": [_row(number) for number in range(MODELS)]})


def _row(number: int) -> dict[str, object]:
    """A row of about the length that OpenRouter's have."""
    return {
        "id": f"acme/{number}",
        "canonical_slug": f"acme/{number}-2026",
        "name": f"Acme: {number}",
        "created": 1_790_000_000 + number,
        "description": "A model for words, and for words about words. " * 20,
        "context_length": 131_072,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "pricing": {
            "prompt": f"0.00000{number + 1:03d}",
            "completion": f"0.0000{number + 1:03d}",
            "request": "0",
            "image": "0.001",
            "input_cache_read": "0.0000001",
            "input_cache_write": "0.00000125",
            "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.0000025"}],
        },
        "top_provider": {"context_length": 131_072, "max_completion_tokens": 16_384},
        "supported_parameters": ["max_tokens", "temperature", "tools", "response_format"],
    }
