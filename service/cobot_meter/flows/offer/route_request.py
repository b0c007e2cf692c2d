"""Who answers a request that names no model: decided before anything is offered.

Whatever comes after sees a model and a chain as if the caller had named them. Sessions are
remembered by who asks and what it calls them, in this process, and no longer than there is room: a
name of somebody else's is a session of one's own, so that nobody learns anything from trying. Must
not know: HTTP, the books, or what becomes of the request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import (
    PriceTerms,
    ceiling_cost,
    ceiling_of,
    unit_price_pusd,
)
from cobot_meter.domain.routing.decide import OF_BUDGET, OVER_CAP, Candidate, Decision, decide
from cobot_meter.domain.routing.hints import Downgrade, PrivacyTier, Task
from cobot_meter.domain.routing.rules import RequestFacts, task_of
from cobot_meter.domain.routing.stored import stored_text
from cobot_meter.domain.routing.table import SuccessTable, Tier
from cobot_meter.domain.routing.virtual import (
    AUTO_NAMES,
    PRIVATE,
    declared_task,
    is_virtual,
)
from cobot_meter.domain.upstream.completions import (
    CompletionRequest,
    Model,
    price_of,
    refuse_over_context,
    refuse_unsupported,
    tokens_allowed,
)
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.quote_panel import PanelRequest, QuotePanel
from cobot_meter.flows.offer.virtual_rows import virtual_row
from cobot_meter.ports.exchange_rate import ExchangeRates

SESSIONS_MAX = 10_000
# What a prompt takes of a context, for the choice alone: most texts have fewer tokens than that.
BYTES_PER_TOKEN = 4
NOT_OFFERED, NOT_ALLOWED = "not_offered", "not_allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrouted:
    """A request as it came, and whose session its name is of: nobody's where `owner` is empty.

    `most` is the tier above which the budgets of whoever asks allow none.
    """

    request: CompletionRequest
    owner: str = ""
    most: Tier = Tier.PREMIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The request with a model and a chain; `route` is how the decision is stored.

    Of a request that names its model there is no decision, and it is as it was. `asked_as` is the
    model that the caller has named.
    """

    request: CompletionRequest
    decision: Decision | None = None
    route: str | None = None
    asked_as: str = ""


# Each costs a ceiling that is reserved whether it is asked or not.
IN_TURN_MAX = 3


def in_turn(routed: Routed) -> PanelRequest:
    """A request whose answer is checked: the decision's models, each asked where it has to be.

    One that must not leave this machine has a single model, which nobody is asked after.
    """
    chain = routed.request.model_chain[:IN_TURN_MAX]
    return PanelRequest(
        request=routed.request,
        chain=chain,
        decision=routed.route or "",
        asked_as=routed.asked_as,
    )


class KeepSessions:
    """The highest tier that each session has had; the one unused for longest goes first."""

    def __init__(self, *, most: int = SESSIONS_MAX) -> None:
        """Nothing is remembered yet."""
        self._most = most
        self._tiers: OrderedDict[tuple[str, str], Tier] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._tiers)

    def floor(self, owner: str, session: str | None) -> Tier | None:
        """The tier below which it does not fall; None for one that is not known."""
        return self._tiers.get((owner, session)) if session else None

    def had(self, owner: str, session: str | None, tier: Tier) -> None:
        """It has had this tier: from now on it has no lower one."""
        if not session:
            return
        key = (owner, session)
        self._tiers[key] = max(tier, self._tiers.pop(key, tier))
        while len(self._tiers) > self._most:
            self._tiers.popitem(last=False)


class RouteRequest:
    """Decides from the table, at the prices and the rate of this moment."""

    def __init__(
        self,
        *,
        catalogue: ModelCatalogue,
        rates: ExchangeRates,
        price_terms: PriceTerms,
        table: SuccessTable,
        keep_sessions: KeepSessions,
        quote_panel: QuotePanel,
    ) -> None:
        """Terms and table are settings; `quote_panel` is for requests that several answer."""
        self.quote_panel = quote_panel
        self._catalogue = catalogue
        self._rates = rates
        self._price_terms = price_terms
        self._table = table
        self._keep_sessions = keep_sessions

    async def routed(self, unrouted: Unrouted) -> Routed:
        """The request with whom it asks.

        Raises ModelNotOffered for a virtual model that there is not, RequestInvalid and
        CeilingOverCap where nobody can answer within the request's bounds, RateStale, and
        DependencyFault without prices.
        """
        request = unrouted.request
        refuse_virtual_others(request)
        if request.asks_panel:
            message = (
                "A consensus is a sale of its own: send it to POST /v1/chat/completions with a "
                "credential of your own, not with the key of a task."
            )
            raise RequestInvalid(message, param="model")
        if not is_virtual(request.model):
            return Routed(request=request)
        if request.privacy.tier is PrivacyTier.LOCAL:
            # There is nothing to choose from.
            return Routed(request=asking(request, (PRIVATE,)), asked_as=request.model)
        declared = declared_task(request.model, request.hints)
        await self._catalogue.freshened(self._table.tiers)
        known = self._known()
        if not known:
            await self._catalogue.ping()
        rate = await self._rates.current()
        decision = decide(
            facts_of(request),
            request.hints,
            self._table,
            within(
                unrouted.most,
                candidates(request, self._table, known, rate=rate, terms=self._price_terms),
                self._table,
            ),
            declared=declared,
            floor=self._floor(unrouted),
        )
        best = known.get(decision.baseline)
        return Routed(
            request=asking(request, decision.choice.chain),
            decision=decision,
            route=stored_text(decision, best.price if best else None),
            asked_as=request.model,
        )

    def _floor(self, unrouted: Unrouted) -> Tier | None:
        """The tier of the session, as far as budgets allow it: they come before it."""
        hints = unrouted.request.hints
        floor = self._keep_sessions.floor(unrouted.owner, hints.session)
        if floor is None or hints.downgrade is Downgrade.NEVER:
            return floor
        return min(floor, unrouted.most)

    def begun(self, routed: Routed, *, owner: str) -> None:
        """What was decided is being asked: the session has had its tier."""
        if routed.decision is not None:
            tier = routed.decision.choice.tier
            self._keep_sessions.had(owner, routed.request.hints.session, tier)

    def virtual_models(self) -> tuple[Model, ...]:
        """The names under which this service chooses, at the dearest price of those it may ask.

        None where none of those is on offer; and those of a consensus.
        """
        known = tuple(self._known().values())
        auto = tuple(_virtual(name, known) for name in AUTO_NAMES) if known else ()
        return (*auto, *self.quote_panel.listed())

    def _known(self) -> Mapping[str, Model]:
        models = ((name, self._catalogue.known(name)) for name in self._table.tiers)
        return {name: model for name, model in models if model is not None}


def refuse_virtual_others(request: CompletionRequest) -> None:
    """Raises RequestInvalid for a virtual model where only models can stand: in a chain."""
    for name in request.fallback_models:
        if is_virtual(name):
            message = (
                f"models: {name[:80]!r} is chosen by name alone, as model; beside it models names "
                "those that may be chosen from."
            )
            raise RequestInvalid(message, param="models")


def facts_of(request: CompletionRequest) -> RequestFacts:
    """What a decision looks at of the request itself."""
    return RequestFacts(
        turn=request.turn,
        has_tools="tools" in request.demands,
        has_schema="response_format" in request.demands,
        has_images=request.image_count > 0,
    )


def task_asked(request: CompletionRequest) -> Task | None:
    """What it counts as in budgets of tasks: what a choice of ours would take it for.

    Of a request that names its model what its caller says; None where nobody says anything. Raises
    RequestInvalid for what contradicts itself.
    """
    if request.model not in AUTO_NAMES:
        return request.hints.task
    declared = declared_task(request.model, request.hints)
    return declared or task_of(facts_of(request))[0] or Task.GENERAL


def asking(request: CompletionRequest, chain: tuple[str, ...]) -> CompletionRequest:
    """The request as if its caller had named these, and nobody else.

    A key that may ask for the virtual model may ask for whomever that stands for.
    """
    first, *others = chain
    allowed = request.terms.models
    if allowed is not None and request.model in allowed:
        allowed = None
    return replace(
        request,
        model=first,
        fallback_models=tuple(others) or (first,),
        terms=replace(request.terms, models=allowed),
    )


def candidates(
    request: CompletionRequest,
    table: SuccessTable,
    known: Mapping[str, Model],
    *,
    rate: ExchangeRate,
    terms: PriceTerms,
) -> tuple[Candidate, ...]:
    """Every model of the table with what the request can cost from it, or why it cannot serve.

    Raises RequestInvalid where the caller's own list names a model that the table does not.
    """
    for name in request.fallback_models:
        if name not in table.tiers:
            message = (
                f"models: {name[:80]!r} is not in the table that {request.model} chooses from; "
                f"that has {', '.join(table.tiers)}."
            )
            raise RequestInvalid(message, param="models")
    return tuple(_candidate(request, name, known.get(name), rate, terms) for name in table.tiers)


def within(
    most: Tier, candidates: Sequence[Candidate], table: SuccessTable
) -> tuple[Candidate, ...]:
    """The candidates, of which those of a dearer tier than `most` are barred."""
    return tuple(
        replace(one, barred=OF_BUDGET)
        if not one.barred and table.tiers[one.model_id] > most
        else one
        for one in candidates
    )


def _candidate(
    request: CompletionRequest,
    name: str,
    model: Model | None,
    rate: ExchangeRate,
    terms: PriceTerms,
) -> Candidate:
    if model is None:
        return Candidate(model_id=name, barred=NOT_OFFERED)
    if not _is_allowed(request, name):
        return Candidate(model_id=name, barred=NOT_ALLOWED)
    barred = _barred(request, model)
    if barred:
        return Candidate(model_id=name, barred=barred)
    cost_pusd = ceiling_cost(
        prices=(price_of(request, model),),
        prompt_bytes=request.prompt_bytes,
        message_count=request.message_count,
        max_tokens=tokens_allowed(request.max_tokens, model),
        terms=terms,
    )
    cap = request.hints.max_cost
    over = cap is not None and not cap.admits(ceiling_of(cost_pusd, rate=rate, terms=terms), rate)
    return Candidate(
        model_id=name,
        ceiling_pusd=unit_price_pusd(cost_pusd, terms),
        barred=OVER_CAP if over else "",
    )


def _is_allowed(request: CompletionRequest, name: str) -> bool:
    """By its API key, by the caller's own list, and by the quote that it brings."""
    key, quoted = request.terms.models, request.terms.quoted
    return (
        (key is None or name in key or request.model in key)
        and (not request.fallback_models or name in request.fallback_models)
        and (quoted is None or any(name == one for one, _ in quoted.models))
    )


_Check = Callable[[CompletionRequest, Model], object]


def _fits_context(request: CompletionRequest, model: Model) -> None:
    """Not only certainly too long, but likely: a route that cannot serve is no route."""
    max_tokens = tokens_allowed(request.max_tokens, model)
    refuse_over_context(request, model, max_tokens=max_tokens)
    if request.prompt_bytes // BYTES_PER_TOKEN + max_tokens > model.context_length:
        message = f"The prompt is likely too long for {model.model_id}."
        raise RequestInvalid(message, param="messages")


def _keeps_its_tier(request: CompletionRequest, model: Model) -> None:
    if not model.may_answer(request):
        message = f"{model.model_id} may not read a request of the tier {request.privacy.tier}."
        raise RequestInvalid(message, param="X-Cobot-Privacy")


def _has_provider(request: CompletionRequest, model: Model) -> None:
    if request.providers is not None and request.providers.only and not model.has_providers:
        message = f"None of the providers that are wanted serves {model.model_id}."
        raise RequestInvalid(message, param="provider.only")


# In the order in which they are told; the price comes last, since it can be raised.
_CHECKS: tuple[tuple[str, _Check], ...] = (
    ("privacy", _keeps_its_tier),
    ("parameters", refuse_unsupported),
    ("max_tokens", lambda request, model: tokens_allowed(request.max_tokens, model)),
    ("context", _fits_context),
    ("images", price_of),
    ("providers", _has_provider),
)


def _barred(request: CompletionRequest, model: Model) -> str:
    """The first check that it fails, in a word; one frame for all, since a dozen models ask it."""
    passed = 0
    try:
        for _, check in _CHECKS:
            check(request, model)
            passed += 1
    except RequestInvalid:
        return _CHECKS[passed][0]
    return ""


def _virtual(name: str, known: tuple[Model, ...]) -> Model:
    """As a row of the list: no request under this name costs more a token than that."""
    parameters = frozenset[str]().union(*(model.parameters or () for model in known))
    return virtual_row(
        Model(
            model_id=name,
            price=type(known[0].price).dearest(model.price for model in known),
            context_length=max(model.context_length for model in known),
            max_completion_tokens=max(model.max_completion_tokens for model in known),
            document=b"",
            upstream="",
            parameters=parameters,
        ),
        means="chosen for each request",
        description=(
            "This service chooses the model for each request and says which and why; the prices "
            "are the highest of those it chooses from, and what answers is charged at its own."
        ),
        takes=sorted(parameters),
    )
