"""A request that nobody may answer whom this service has, and the sentences that say so."""

from __future__ import annotations

from cobot_meter.domain.errors import CallerFault
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.routing.virtual import PRIVATE


class PrivacyUnroutable(CallerFault):
    """Whoever could answer would break the tier of the request, so that nobody was asked."""

    code = "privacy_unroutable"


class NobodyHere(PrivacyUnroutable):
    """Nothing on this machine answers what must not leave it."""

    def __init__(self, privacy: Privacy, *, why: str) -> None:
        """`why` says what is missing, as half a sentence."""
        advice = f"Send it to a service that lists {PRIVATE}, or take out what makes it private."
        if privacy.demanded:
            advice = f"Send it to a service that lists {PRIVATE}, or ask with another API key."
        elif not privacy.seen:
            advice = (
                f"Send it to a service that lists {PRIVATE}, or with X-Cobot-Privacy: "
                f"{PrivacyTier.PUBLIC} if what cannot be scanned in it may go anywhere."
            )
        super().__init__(
            "Only a model on this service's own machine may answer this request, because "
            f"{privacy.reason}; {why}, and it was sent to nobody else. {advice}"
        )


class NobodyKeepsNothing(PrivacyUnroutable):
    """No provider of a model promises to keep nothing of a request."""

    def __init__(self, model_id: str, privacy: Privacy) -> None:
        """`model_id` as the caller named it."""
        otherwise = (
            "or ask with an API key that lets providers keep it"
            if privacy.demanded
            else f"or send it with X-Cobot-Privacy: {PrivacyTier.PUBLIC} if providers may keep it"
        )
        super().__init__(
            f"There is no provider of {model_id[:80]} that promises to keep nothing of this "
            f"request (tier {PrivacyTier.ZDR}) and takes it on its other terms, and it was sent to "
            f"nobody else. Name another model, {otherwise}."
        )
