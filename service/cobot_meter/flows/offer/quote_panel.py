"""Quote a panel: who is on it, what each member may cost, and what all of them may cost together.

Each member is offered as if the caller had named it alone, so that whatever makes such a request
impossible makes a panel with it impossible. Nobody is put in a member's place: not a fallback, not
a model of this machine, and not a cheaper one. Must not know: who asks, or how answers are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cobot_meter.domain.consensus.panel import (
    CONSENSUS_NAMES,
    Panel,
    PanelKind,
    PanelMember,
)
from cobot_meter.domain.errors import ModelNotOffered, RequestInvalid
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import (
    Ceiling,
    ModelPrice,
    PriceTerms,
    ceiling_for,
    ceiling_of,
)
from cobot_meter.domain.pricing.quotes import (
    CallerTerms,
    QuotedTerms,
    refuse_over_cap,
    refuse_quote_over_cap,
)
from cobot_meter.domain.privacy.faults import NobodyHere
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.upstream.completions import (
    CompletionRequest,
    Model,
    price_of,
    tokens_allowed,
)
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.quote_request import Offer, QuoteRequest, refuse_unbookable
from cobot_meter.flows.offer.virtual_rows import virtual_row

PARAM = "cobot.panel"
_QUOTED_OTHERWISE = (
    "The panel of this quote is no longer what it was; get another quote from POST /v1/quotes."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelOffer:
    """What a panel may come to: the `offer` is for all of its models together."""

    panel: Panel
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelRequest:
    """A request that a whole panel answers: each member reads all of it.

    With a `chain` these are asked in turn, and `decision` is the route that named them, `asked_as`
    the model that the caller named.
    """

    request: CompletionRequest
    chain: tuple[str, ...] = ()
    decision: str = ""
    asked_as: str = ""

    @property
    def name(self) -> str:
        """The model that the caller has named."""
        return self.asked_as or self.request.model

    def alone(self, model: Model, tokens: int) -> CompletionRequest:
        """The request as if it named this model and nobody else.

        A key that may ask for the virtual model may ask for the operator's panel; of a panel that
        the caller names it has to be allowed each member.
        """
        allowed = self.request.terms.models
        if allowed is not None and self.request.model in allowed and not self.request.hints.panel:
            allowed = None
        return replace(
            self.request,
            model=model.model_id,
            fallback_models=(model.model_id,),
            max_tokens=tokens,
            terms=CallerTerms(models=allowed),
        )

    def refuse_elsewhere(self, models: tuple[Model, ...]) -> None:
        """Raises NobodyHere where it must not leave this machine and a member is not on it."""
        if self.request.privacy.tier is not PrivacyTier.LOCAL:
            return
        for model in models:
            if not model.on_this_machine:
                raise NobodyHere(self.request.privacy, why=f"{model.model_id[:80]} is on the panel")

    def members(
        self, models: tuple[Model, ...], tokens: int, rate: ExchangeRate, terms: PriceTerms
    ) -> tuple[PanelMember, ...]:
        """Each model with what an answer of so many tokens may cost there."""
        return tuple(
            PanelMember(
                model=model.model_id,
                upstream=model.upstream,
                prices=model.price,
                most_pusd=ceiling_for(
                    prices=(price_of(self.request, model),),
                    prompt_bytes=self.request.prompt_bytes,
                    message_count=self.request.message_count,
                    max_tokens=tokens,
                    rate=rate,
                    terms=terms,
                ).cost_pusd,
            )
            for model in models
        )

    def together(
        self, models: tuple[Model, ...], tokens: int, rate: ExchangeRate, terms: PriceTerms
    ) -> Ceiling:
        """What all of them may cost: one rounding of the sum."""
        members = self.members(models, tokens, rate, terms)
        return ceiling_of(sum(one.most_pusd for one in members), rate=rate, terms=terms)

    def offered(
        self, models: tuple[Model, ...], tokens: int, rate: ExchangeRate, terms: PriceTerms
    ) -> PanelOffer:
        """The panel of these models, and what it may come to."""

        def costs(offer: Offer, others: tuple[Model, ...], max_tokens: int) -> int | None:
            if others != models:
                return None  # no single model answers for a panel
            return self.together(models, max_tokens, offer.rate, offer.terms).price_msat

        panel = Panel(
            kind=PanelKind.VERIFY if self.chain else CONSENSUS_NAMES[self.request.model],
            members=self.members(models, tokens, rate, terms),
            decision=self.decision,
        )
        offer = Offer(
            models=models,
            max_tokens=tokens,
            ceiling=ceiling_of(panel.most_pusd, rate=rate, terms=terms),
            rate=rate,
            terms=terms,
            costs=costs,
        )
        return PanelOffer(panel=panel, offer=offer)

    def as_quoted(self, quoted: QuotedTerms, models: tuple[Model, ...]) -> PanelOffer:
        """The panel that was quoted, at the prices of then. Raises as `QuotePanel.offer`."""
        refuse_quote_over_cap(quoted, self.request.terms.max_cost)
        prices = dict(quoted.models)
        models = tuple(replace(model, price=prices[model.model_id]) for model in models)
        offered = self.offered(models, quoted.max_tokens, quoted.rate, quoted.terms)
        if offered.offer.ceiling != quoted.ceiling:
            raise ModelNotOffered(_QUOTED_OTHERWISE)
        return offered


class QuotePanel:
    """`default` is the operator's panel, for whoever names none."""

    def __init__(
        self,
        *,
        catalogue: ModelCatalogue,
        quote_request: QuoteRequest,
        default: tuple[str, ...],
    ) -> None:
        """`quote_request` makes the offer of each member."""
        self._catalogue = catalogue
        self._quote_request = quote_request
        self._default = default

    async def offer(self, asked: PanelRequest) -> PanelOffer:
        """The panel with its ceilings, or as the caller was quoted it.

        Raises RequestInvalid for a member that is not on offer, PrivacyUnroutable for one that may
        not read the request, and as `QuoteRequest.offer` for one that cannot take it: nothing was
        sent to anybody.
        """
        names = asked.chain or self._names(asked.request)
        await self._catalogue.freshened(names)
        models = tuple(self._offered(asked.request, name) for name in names)
        asked.refuse_elsewhere(models)
        tokens = min(tokens_allowed(asked.request.max_tokens, model) for model in models)
        alone = [asked.alone(model, tokens) for model in models]
        offers = [await self._quote_request.offer(one) for one in alone]
        priced = tuple(offer.models[0] for offer in offers)
        own, rate, terms = asked.request.terms, offers[-1].rate, offers[-1].terms
        if own.quoted is not None:
            return asked.as_quoted(own.quoted, priced)
        if own.max_cost is not None:
            refuse_over_cap(
                lambda fewer: asked.together(priced, fewer, rate, terms),
                max_tokens=tokens,
                cap=own.max_cost,
                rate=rate,
            )
        offered = asked.offered(priced, tokens, rate, terms)
        refuse_unbookable(offered.offer.ceiling)
        return offered

    def listed(self) -> tuple[Model, ...]:
        """The names of a consensus, at what the operator's panel charges for a token together.

        None where one of that panel is not on offer.
        """
        known = [self._catalogue.known(name) for name in self._default]
        members = tuple(model for model in known if model is not None)
        if not members or len(members) < len(known):
            return ()
        return tuple(_listed(name, kind, members) for name, kind in CONSENSUS_NAMES.items())

    def _names(self, request: CompletionRequest) -> tuple[str, ...]:
        if request.terms.quoted is not None:
            return tuple(name for name, _ in request.terms.quoted.models)
        names = request.hints.panel or self._default
        if not names:
            message = f"This service has no panel of its own: name the models in {PARAM}."
            raise RequestInvalid(message, param=PARAM)
        return names

    def _offered(self, request: CompletionRequest, name: str) -> Model:
        try:
            return self._catalogue.offered(name)
        except ModelNotOffered:
            if request.terms.quoted is not None:
                raise ModelNotOffered(_QUOTED_OTHERWISE) from None
            whose = PARAM if request.hints.panel else "The panel of this service"
            message = (
                f"{whose} names {name[:80]}, which is not offered here; name models of GET "
                f"/v1/models in {PARAM}."
            )
            raise RequestInvalid(message, param=PARAM) from None


def _listed(name: str, kind: PanelKind, members: tuple[Model, ...]) -> Model:
    """As a row of the list: a token costs what all of the operator's panel charge for it."""
    units = zip(*(model.price.units for model in members), strict=True)
    asked = ", ".join(model.model_id for model in members)
    made = "a report of what they find" if kind is PanelKind.REVIEW else "a count of their answers"
    return virtual_row(
        Model(
            model_id=name,
            price=ModelPrice.of_units(sum(unit) for unit in units),
            context_length=min(model.context_length for model in members),
            max_completion_tokens=min(model.max_completion_tokens for model in members),
            document=b"",
            upstream="",
        ),
        means="several models on one question",
        description=(
            f"Asks {asked}, or the panel that the request names, and answers with {made}; the "
            "prices are those of all of them together."
        ),
        takes=("max_tokens", "seed", "stop", "temperature", "top_p"),
    )
