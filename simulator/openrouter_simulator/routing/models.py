"""One model: its names, its limits, its prices now, and how `GET /models` tells of it.

Amounts are Decimal USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from openrouter_simulator.routing.prices import Override, Prices

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
_SEEING = frozenset({"anthropic", "google", "mistralai", "openai"})
_THINKING = frozenset({"anthropic", "deepseek", "google", "openai"})
_MUST_THINK = frozenset({"anthropic/claude-opus-5.5"})
_PARAMETERS = (
    "frequency_penalty",
    "logit_bias",
    "max_tokens",
    "presence_penalty",
    "seed",
    "stop",
    "temperature",
    "top_k",
    "top_p",
)
_TOOLS = ("parallel_tool_calls", "response_format", "structured_outputs", "tool_choice", "tools")
_THOUGHTS = ("include_reasoning", "reasoning", "reasoning_effort")
# Every parameter some model may lack; other fields of a request are none.
KNOWN_PARAMETERS = frozenset(
    {*_PARAMETERS, *_TOOLS, *_THOUGHTS}
    | {"logprobs", "min_p", "repetition_penalty", "top_a", "top_logprobs"}
)
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
    request: Decimal | None = None
    image: Decimal | None = None
    overrides: tuple[Override, ...] = ()

    @property
    def author(self) -> str:
        """The part of the id before the slash."""
        return self.model_id.partition("/")[0]

    @property
    def free(self) -> bool:
        """Whether this is a free variant."""
        return self.model_id.endswith(":free") or self.model_id == "openrouter/free"

    @property
    def sees(self) -> bool:
        """Whether it takes images."""
        return self.author in _SEEING

    @property
    def thinks(self) -> bool:
        """Whether it can reason before it answers."""
        return self.author in _THINKING

    @property
    def must_think(self) -> bool:
        """Whether reasoning cannot be switched off."""
        return self.model_id in _MUST_THINK

    @property
    def parameters(self) -> tuple[str, ...]:
        """What its top provider supports."""
        thoughts = _THOUGHTS if self.thinks else ()
        return (*_PARAMETERS, *_TOOLS, *thoughts)

    def prices_at(self, now_ms: int, *, prompt_tokens: int = 0) -> Prices:
        """The prices in force; later overrides win, key by key."""
        prices = Prices(
            prompt=self.prompt,
            completion=self.completion,
            cache_read=self.cache_read,
            cache_write=self.cache_write,
            request=self.request,
            image=self.image,
        )
        for override in self.overrides:
            if override.holds(prompt_tokens=prompt_tokens, now_ms=now_ms):
                prices = replace(prices, **override.prices)
        return prices

    @property
    def provider(self) -> str:
        """Display name of the host behind the model."""
        return _PROVIDERS.get(self.author, "OpenRouter")

    @property
    def cancellable(self) -> bool:
        """Whether a reader who leaves a stream stops the charge."""
        return self.provider in _CANCELLABLE

    @property
    def router(self) -> bool:
        """Whether this only stands for a choice among others."""
        return self.prompt < 0

    def pricing(self, now_ms: int, *, factor: Decimal = Decimal(1)) -> dict[str, object]:
        """The `pricing` object: texts, USD per single token, and what overrides it."""
        pricing = self.prices_at(now_ms).times(factor).document()
        if self.overrides:
            pricing["overrides"] = [override.document(factor) for override in self.overrides]
        return pricing

    def _reasoning(self) -> dict[str, object]:
        return {
            "mandatory": self.must_think,
            "default_enabled": self.must_think,
            "default_effort": "medium",
            "supported_efforts": ["high", "medium", "low"],
            "supports_max_tokens": True,
        }

    def document(self, now_ms: int) -> dict[str, object]:
        """The entry of `GET /models`."""
        inputs = ["text", "image"] if self.sees else ["text"]
        return {
            "id": self.model_id,
            "canonical_slug": self.slug,
            "name": self.model_id.partition("/")[2],
            "created": _CREATED_S,
            "description": f"{self.model_id}, simulated",
            "context_length": self.context_length,
            "architecture": {
                "modality": f"{'+'.join(inputs)}->text",
                "input_modalities": inputs,
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": self.pricing(now_ms),
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": self.max_out,
                "is_moderated": False,
            },
            **({"reasoning": self._reasoning()} if self.thinks else {}),
            "per_request_limits": None,
            "supported_parameters": sorted(self.parameters),
            "supported_voices": None,
            "default_parameters": None,
            "expiration_date": None,
            "links": {"details": f"/api/v1/models/{self.slug}/endpoints"},
        }


def model_named(models: Mapping[str, SimulatedModel], name: str) -> SimulatedModel | None:
    """The model of this id, or the first of this concrete name."""
    same = (model for model in models.values() if model.slug == name)
    return models.get(name) or next(same, None)


def list_document(models: Iterable[SimulatedModel], now_ms: int) -> Mapping[str, object]:
    """The body of `GET /models`."""
    rows = [model.document(now_ms) for model in models]
    return {"data": rows, "total_count": len(rows), "links": {"next": None}}
