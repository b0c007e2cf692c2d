"""What is asked and what comes back, as plain values. Must not know: JSON, HTTP or any provider."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.pricing.quotes import NO_TERMS, CallerTerms
from cobot_meter.domain.pricing.token_bounds import tokens_bound
from cobot_meter.domain.privacy.tiers import NO_PRIVACY, Privacy
from cobot_meter.domain.routing.hints import NO_HINTS, Hints, PrivacyTier
from cobot_meter.domain.routing.virtual import VERIFY, is_consensus
from cobot_meter.domain.upstream.endpoints import Endpoint, ProviderChoice

DEFAULT_MAX_TOKENS = 1_024
_ALSO_LISTED_AS = {"response_format": {"response_format", "structured_outputs"}}
# No tokenizer in use has a longer token; what this refuses could not have run.
BYTES_PER_TOKEN_MAX = 256
# What a model's own template may add to a prompt, beyond what JSON has around each message.
TEMPLATE_TOKENS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """What a caller asks for, checked and complete, the terms in its headers included.

    `body` is the JSON object to run (the caller's, known fields only); `model` its model id;
    `max_tokens` is what the caller asked for, 0 when it did not say. `prompt_bytes` and
    `message_count` bound the prompt tokens for the ceiling, and `stream` is how the caller wants to
    read the answer: both are settled when the escrow opens. `fallback_models` are asked one after
    the other when `model` fails; `terms` are the caller's, of the headers. `image_count` images are
    in the messages. `providers` is None unless the caller names some; `own_terms` says that it
    chose among them in any way, by price or policy. `demands` are the parameters without which the
    answer would not be what was asked for; all others are wishes. `asks_reasoning` says that the
    model is to think first. `hints` are the caller's, of headers or body; no upstream is told.
    `privacy` says who may read it.
    `turn` is what the user said last, where a model is still to be chosen by it.
    """

    body: Body
    model: str
    max_tokens: int
    prompt_bytes: int = 0
    message_count: int = 0
    stream: bool = False
    fallback_models: tuple[str, ...] = ()
    terms: CallerTerms = NO_TERMS
    image_count: int = 0
    providers: ProviderChoice | None = None
    demands: frozenset[str] = frozenset()
    own_terms: bool = False
    asks_reasoning: bool = False
    hints: Hints = NO_HINTS
    privacy: Privacy = NO_PRIVACY
    turn: str = ""

    @property
    def model_chain(self) -> tuple[str, ...]:
        """Every model that may answer, each once, in the order in which they are asked."""
        return tuple(dict.fromkeys((self.model, *self.fallback_models)))

    @property
    def asks_panel(self) -> bool:
        """Whether several models are asked at once, and their answers put together."""
        return is_consensus(self.model)

    @property
    def verifies(self) -> bool:
        """Whether an answer is checked, and the next model asked where it does not pass."""
        return bool(self.hints.verify) or self.model == VERIFY

    @property
    def prompt_tokens_most(self) -> int:
        """The most tokens that its prompt is, as far as was ever measured."""
        return tokens_bound(self.body.content)

    @property
    def adds_unseen(self) -> bool:
        """Whether the upstream makes more of the prompt than its bytes tell: `price_of` has it."""
        return self.image_count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """What is sent upstream for one attempt, on the terms of its quote.

    `body` is taken by whoever writes what goes over the wire; `model` answers with at most
    `max_tokens`. `caller_tag` is a stable hash that names the caller upstream. What is `stoppable`
    is served by nobody who goes on charging when the answer is closed before its end.
    """

    body: Body
    model: str
    max_tokens: int
    caller_tag: str = ""
    stoppable: bool = False


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
    and `model` served it, `record_sha256` is the digest of the record as it came. `final` says
    that whoever keeps the record knows that nothing will be added to it.
    """

    generation_id: str
    total_cost: str
    cost_pusd: int
    provider: str
    model: str = ""
    record_sha256: str = ""
    final: bool = False


class Reasoning(enum.Enum):
    """Whether a model may think tokens that are charged and that nobody reads."""

    NEVER = "never"
    ASKED = "asked"
    UNASKED = "unasked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model on offer; `document` is the upstream's own JSON object for it.

    Models of one `upstream`, which is a name, share an account: what is wrong with it is wrong for
    all of them. `has_providers` says that several serve it, of whom a caller may choose.
    `image_price` is None for a model that reads no images, or not at a price that is known;
    `parameters` None where the list does not say which it takes. `reasoning` is the worst that may
    be true where nobody knows. What runs `on_this_machine` is reached over loopback alone. One that
    `cuts_prompts` reads the end of a prompt that is too long, and says nothing of it.
    """

    model_id: str
    price: ModelPrice
    context_length: int
    max_completion_tokens: int
    document: bytes
    upstream: str
    has_providers: bool = False
    image_price: ImagePrice | None = None
    parameters: frozenset[str] | None = None
    reasoning: Reasoning = Reasoning.UNASKED
    on_this_machine: bool = False
    cuts_prompts: bool = False

    def may_answer(self, request: CompletionRequest) -> bool:
        """Whether the tier of the request lets this model read it.

        A gateway is told to ask only providers that keep nothing; of other machines nobody knows.
        """
        if self.on_this_machine or request.privacy.tier is PrivacyTier.PUBLIC:
            return True
        return request.privacy.tier is PrivacyTier.ZDR and self.has_providers

    def takes(self, parameter: str) -> bool:
        """Whether the model takes this parameter, as far as its list says."""
        return self.parameters is None or not self.parameters.isdisjoint(
            _ALSO_LISTED_AS.get(parameter, {parameter})
        )


def refuse_unsupported(request: CompletionRequest, model: Model) -> None:
    """Raises RequestInvalid that names a demand of the request which the model does not take.

    What is only a wish is passed over, as the upstream does it: the adapter leaves it out.
    """
    for parameter in sorted(request.demands):
        if not model.takes(parameter):
            message = (
                f"{model.model_id} does not take {parameter}; leave it out, or choose a model that "
                "has it among its supported_parameters in GET /v1/models."
            )
            raise RequestInvalid(message, param=parameter)


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


def refuse_over_context(request: CompletionRequest, model: Model, *, max_tokens: int) -> None:
    """Raises RequestInvalid when prompt and answer cannot fit, however few tokens it takes.

    Of a model that cuts prompts without a word: where they might not fit, however many it takes.
    """
    if model.cuts_prompts:
        _refuse_cut(request, model, max_tokens=max_tokens)
    least = max(request.message_count, request.prompt_bytes // BYTES_PER_TOKEN_MAX)
    if least + max_tokens > model.context_length:
        advice = _what_fits(model.context_length - least)
        message = (
            f"The prompt takes at least {least} tokens and max_tokens is {max_tokens}: together "
            f"more than the {model.context_length} that {model.model_id} reads and writes; "
            f"{advice}."
        )
        raise RequestInvalid(message, param="max_tokens")


def _refuse_cut(request: CompletionRequest, model: Model, *, max_tokens: int) -> None:
    most = request.prompt_tokens_most + TEMPLATE_TOKENS
    if most + max_tokens <= model.context_length:
        return
    advice = _what_fits(model.context_length - most)
    message = (
        f"The prompt may take up to {most} tokens and max_tokens is {max_tokens}: together more "
        f"than the {model.context_length} that {model.model_id} reads and writes here, and it "
        f"would cut the prompt without a word; {advice}."
    )
    raise RequestInvalid(message, param="max_tokens")


def _what_fits(tokens: int) -> str:
    return f"max_tokens {tokens} would fit" if tokens > 0 else "send a shorter prompt"


def price_of(request: CompletionRequest, model: Model) -> ModelPrice:
    """The model's price with the most that is added to one run by what the request has in it.

    Raises RequestInvalid for a model without a price for that: nothing would bound its cost.
    """
    if not request.image_count:
        return model.price
    if model.image_price is None:
        message = (
            f"{model.model_id} takes no images here; send text, or choose a model that has a price "
            "for an image in GET /v1/models."
        )
        raise RequestInvalid(message, param="messages")
    images_pusd = model.image_price.ceiling_pusd(
        request.image_count, model.price, context_length=model.context_length
    )
    return replace(model.price, request_pusd=model.price.request_pusd + images_pusd)


def priced_for(model: Model, choice: ProviderChoice, endpoints: Iterable[Endpoint]) -> Model:
    """The model at the dearest price of those who may serve: whom the choice names.

    Unless it names them as the only ones, anybody at the listed price may serve as well. The listed
    price stands when nobody is meant: the upstream knows its providers best, and refuses uncharged.
    """
    meant = choice.meant(endpoints)
    if not meant:
        return model
    prices = [endpoint.price for endpoint in meant]
    images = [endpoint.image_price for endpoint in meant if endpoint.image_price is not None]
    if not choice.only:
        prices.append(model.price)
    image_price = model.image_price
    if image_price is not None:
        image_price = ImagePrice.dearest((image_price, *images))
    return replace(model, price=ModelPrice.dearest(prices), image_price=image_price)
