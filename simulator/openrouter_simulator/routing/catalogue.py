"""The models the simulator offers, with prices as they stood on OpenRouter in autumn 2026.

Amounts are Decimal USD. The list holds what trips clients up as well: router models priced at -1,
a free variant, and concrete names (`canonical_slug`) that differ from the name asked for.
"""

from __future__ import annotations

from decimal import Decimal

from openrouter_simulator.routing.models import SimulatedModel
from openrouter_simulator.routing.prices import Override

_IMAGE_PRICES = {"google/gemini-2.5-flash": Decimal("0.0012")}
# Above this many prompt tokens some models cost more.
_LONG_PROMPT = 200_000
_LONG_PRICES = {
    "anthropic/claude-sonnet-5": {
        "prompt": Decimal("0.000004"),
        "completion": Decimal("0.000015"),
    }
}

# id, concrete name, USD per million: prompt, completion, cache read, cache write; context, max out
_Row = tuple[str, str, str, str, str | None, str | None, int, int]
_ROWS: tuple[_Row, ...] = (
    ("mistralai/mistral-small-2603", "", "0.15", "0.60", "0.015", None, 262_144, 262_144),
    ("mistralai/mistral-small-3.2-24b-instruct", "", "0.075", "0.20", None, None, 128_000, 16_384),
    ("mistralai/codestral-2508", "", "0.30", "0.90", "0.03", None, 256_000, 256_000),
    (
        "anthropic/claude-opus-5",
        "anthropic/claude-5-opus-20260714",
        "5",
        "25",
        "0.5",
        "6.25",
        1_000_000,
        128_000,
    ),
    (
        "anthropic/claude-opus-5.5",
        "anthropic/claude-5.5-opus-20260915",
        "4",
        "20",
        None,
        None,
        1_000_000,
        128_000,
    ),
    (
        "anthropic/claude-sonnet-5",
        "anthropic/claude-5-sonnet-20260611",
        "2",
        "10",
        "0.2",
        "2.5",
        1_000_000,
        128_000,
    ),
    (
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-4.5-haiku-20251001",
        "1",
        "5",
        "0.1",
        "1.25",
        200_000,
        64_000,
    ),
    ("google/gemini-2.5-flash", "", "0.30", "2.50", "0.03", "0.0833", 1_048_576, 65_535),
    ("google/gemini-3.6-flash", "", "0.75", "3.75", None, None, 1_048_576, 65_535),
    ("meta-llama/llama-3.3-70b-instruct", "", "0.10", "0.32", None, None, 131_072, 16_384),
    ("meta-llama/llama-3.1-8b-instruct", "", "0.05", "0.08", None, None, 131_072, 16_384),
    (
        "deepseek/deepseek-chat",
        "deepseek/deepseek-chat-v3",
        "0.2574",
        "1.0287",
        None,
        None,
        128_000,
        16_000,
    ),
    (
        "deepseek/deepseek-v4-flash",
        "deepseek/deepseek-v4-flash-20260423",
        "0.07266",
        "0.14532",
        None,
        None,
        1_048_576,
        65_536,
    ),
    ("qwen/qwen3-coder", "qwen/qwen3-coder-480b-a35b", "0.30", "1.00", None, None, 262_144, 65_536),
    (
        "openai/gpt-5-mini",
        "openai/gpt-5-mini-2025-08-07",
        "0.25",
        "2",
        "0.025",
        None,
        400_000,
        128_000,
    ),
    (
        "openai/gpt-5-nano",
        "openai/gpt-5-nano-2025-08-07",
        "0.05",
        "0.40",
        None,
        None,
        400_000,
        128_000,
    ),
    ("openai/gpt-oss-120b", "", "0.03", "0.17", None, None, 131_072, 131_072),
    ("openrouter/auto", "", "-1", "-1", None, None, 2_000_000, 2_000_000),
    (
        "meta-llama/llama-3.3-70b-instruct:free",
        "meta-llama/llama-3.3-70b-instruct",
        "0",
        "0",
        None,
        None,
        131_072,
        16_384,
    ),
    ("openrouter/free", "", "0", "0", None, None, 200_000, 16_384),
)


def catalogue() -> dict[str, SimulatedModel]:
    """Every model by its id."""
    return {model.model_id: model for model in map(_model, _ROWS)}


def _model(row: _Row) -> SimulatedModel:
    model_id, slug, prompt, completion, cache_read, cache_write, context_length, max_out = row
    return SimulatedModel(
        model_id=model_id,
        slug=slug or model_id,
        prompt=_per_token(prompt),
        completion=_per_token(completion),
        cache_read=None if cache_read is None else _per_token(cache_read),
        cache_write=None if cache_write is None else _per_token(cache_write),
        context_length=context_length,
        max_out=max_out,
        image=_IMAGE_PRICES.get(model_id),
        overrides=_overrides(model_id),
    )


def _overrides(model_id: str) -> tuple[Override, ...]:
    prices = _LONG_PRICES.get(model_id)
    return (Override(min_prompt_tokens=_LONG_PROMPT, prices=prices),) if prices else ()


def _per_token(per_million: str) -> Decimal:
    price = Decimal(per_million)
    return price if price < 0 else price.scaleb(-6)
