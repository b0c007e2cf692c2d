"""Who may answer a request that is not for everybody: none of them is below its tier.

What is for this machine alone goes to a model here, whatever model it names: to no model is better
than to one elsewhere. Must not know: how a tier came about, or prices.
"""

from __future__ import annotations

from cobot_meter.domain.privacy.faults import nobody_here, nobody_keeps_nothing
from cobot_meter.domain.privacy.virtual_models import PRIVATE
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.upstream.completions import CompletionRequest, Model
from cobot_meter.flows.offer.catalogue import ModelCatalogue


def keeps(tier: PrivacyTier, model: Model) -> bool:
    """Whether a model may answer requests of this tier.

    A gateway is told to ask only providers that keep nothing. Of another machine nobody knows.
    """
    if tier is PrivacyTier.PUBLIC or model.on_this_machine:
        return True
    return tier is PrivacyTier.ZDR and model.has_providers


def asked_in_private(request: CompletionRequest, catalogue: ModelCatalogue) -> tuple[Model, ...]:
    """The models that answer in the caller's order, in place of those below its tier.

    Raises ModelNotOffered for a name that is none, and PrivacyUnroutable.
    """
    if request.privacy.tier is PrivacyTier.ZDR:
        return _keeping_nothing(request, catalogue)
    names = [name for name in request.model_chain if name != PRIVATE]
    here = [model for model in map(catalogue.offered, names) if model.on_this_machine]
    private = catalogue.known(PRIVATE)
    if (
        private is not None
        and private.on_this_machine
        and (PRIVATE in request.model_chain or not here)
    ):
        here = [private, *here] if request.model == PRIVATE else [*here, private]
    allowed = request.terms.models
    if allowed is not None:
        here = [one for one in here if one.model_id in allowed or PRIVATE in allowed]
    if not here:
        raise nobody_here(request.privacy, why="it has none that may")
    if request.image_count and not any(model.image_price for model in here):
        raise nobody_here(request.privacy, why="the model there reads no images")
    return tuple(dict.fromkeys(here))


def _keeping_nothing(request: CompletionRequest, catalogue: ModelCatalogue) -> tuple[Model, ...]:
    models = tuple(catalogue.offered(name) for name in request.model_chain)
    for model in models:
        if not keeps(PrivacyTier.ZDR, model):
            raise nobody_keeps_nothing(model.model_id)
    return tuple(dict.fromkeys(models))
