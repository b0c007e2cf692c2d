"""The models the simulator offers, with prices as they stood on OpenRouter in autumn 2026.

Amounts are Decimal USD. The list holds what trips clients up as well: router models priced at -1,
a free variant, and concrete names (`canonical_slug`) that differ from the name asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

_CREATED_S = 1_788_220_800
_PROVIDERS = {
    "anthropic": "Anthropic",
    "deepseek": "DeepSeek",
    "google": "Google",
    "meta-llama": "DeepInfra",
    "mistralai": "Mistral",
    "openai": "OpenAI",
    "qwen": "Alibaba",
}
# Providers that stop, and stop charging, when the reader of a stream leaves.
_CANCELLABLE = frozenset({"Anthropic", "DeepSeek", "DeepInfra", "OpenAI"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """One model; prices are USD per token. A router model has none and is never run."""

    model_id: str
    slug: str
    prompt: Decimal
    completion: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    context_length: int
    max_out: int

    @property
    def provider(self) -> str:
        """Display name of the host behind the model."""
        return _PROVIDERS.get(self.model_id.partition("/")[0], "OpenRouter")

    @property
    def cancellable(self) -> bool:
        """Whether a reader who leaves a stream stops the charge."""
        return self.provider in _CANCELLABLE

    @property
    def router(self) -> bool:
        """Whether this only stands for a choice among others."""
        return self.prompt < 0

    def document(self) -> dict[str, object]:
        """The entry of `GET /models`: prices are texts, USD per single token."""
        pricing: dict[str, object] = {
            "prompt": price_text(self.prompt),
            "completion": price_text(self.completion),
        }
        if self.cache_read is not None:
            pricing["input_cache_read"] = price_text(self.cache_read)
        if self.cache_write is not None:
            pricing["input_cache_write"] = price_text(self.cache_write)
        return {
            "id": self.model_id,
            "canonical_slug": self.slug,
            "name": self.model_id.partition("/")[2],
            "created": _CREATED_S,
            "description": f"{self.model_id}, simulated",
            "context_length": self.context_length,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": pricing,
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": self.max_out,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": ["max_tokens", "seed", "stop", "temperature", "top_p"],
            "default_parameters": None,
            "expiration_date": None,
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


def price_text(per_token: Decimal) -> str:
    """A price as OpenRouter writes it: plain digits, `0.00000015`; routers say `-1`."""
    return format(per_token.normalize(), "f")


def list_document(models: Iterable[SimulatedModel]) -> Mapping[str, object]:
    """The body of `GET /models`."""
    rows = [model.document() for model in models]
    return {"data": rows, "total_count": len(rows), "links": {"next": None}}


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
    )


def _per_token(per_million: str) -> Decimal:
    price = Decimal(per_million)
    return price if price < 0 else price.scaleb(-6)
