"""What is asked and what comes back, as plain values. Must not know: JSON, HTTP or any provider."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.errors import RequestInvalid
from service.domain.pricing import ModelPrice
from service.domain.quotes import MaxCost, QuotedTerms

DEFAULT_MAX_TOKENS = 1_024


@dataclass(slots=True, kw_only=True)
class CompletionRequest:
    """One ask, already checked; whoever needs its body last takes it, so that none waits in memory.

    `body` is the JSON object to run (the caller's, known fields only); `model` its model id;
    `max_tokens` is what the caller asked for, 0 when it did not say, and what is sent upstream
    once the escrow is open. `prompt_bytes` and `message_count` bound the prompt tokens for the
    ceiling, and `stream` is how the caller wants to read the answer: both are settled when the
    escrow opens. `caller_tag` is a stable hash that names the caller upstream. `fallback_models`
    are asked one after the other when `model` fails. `max_cost` is the caller's own cap, `quoted`
    what it was told before.
    """

    body: bytes
    model: str
    max_tokens: int
    prompt_bytes: int = 0
    message_count: int = 0
    stream: bool = False
    caller_tag: str = ""
    fallback_models: tuple[str, ...] = ()
    max_cost: MaxCost | None = None
    quoted: QuotedTerms | None = None

    @property
    def model_chain(self) -> tuple[str, ...]:
        """Every model that may answer, each once, in the order in which they are asked."""
        return tuple(dict.fromkeys((self.model, *self.fallback_models)))

    def take_body(self) -> bytes:
        """The body, once; empty afterwards."""
        body, self.body = self.body, b""
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCompletion:
    """A finished run. `body` is one `chat.completion` JSON object, assembled from the stream.

    `inline_cost` is the raw JSON number text of `usage.cost` (USD), None when it was not said.
    """

    generation_id: str
    body: bytes
    inline_cost: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationCost:
    """What the upstream's own record says one generation cost.

    `total_cost` is the raw JSON number text in USD, `cost_pusd` the same in pico-USD. `provider`
    and `model` served it, `record_sha256` is the digest of the record as it came.
    """

    generation_id: str
    total_cost: str
    cost_pusd: int
    provider: str
    model: str = ""
    record_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model on offer; `document` is the upstream's own JSON object for it.

    Models of one `upstream` share an account: what is wrong with it is wrong for all of them.
    """

    model_id: str
    price: ModelPrice
    context_length: int
    max_completion_tokens: int
    document: bytes
    upstream: str = "openrouter"


def tokens_allowed(asked: int, model: Model) -> int:
    """The `max_tokens` of a run; `asked` 0 takes the default, or the model's own limit if lower.

    Raises RequestInvalid for more than the model can answer with.
    """
    if not asked:
        return min(DEFAULT_MAX_TOKENS, model.max_completion_tokens)
    if asked > model.max_completion_tokens:
        message = (
            f"max_tokens is {asked}, and {model.model_id} answers with at most "
            f"{model.max_completion_tokens}; lower it."
        )
        raise RequestInvalid(message, param="max_tokens")
    return asked
