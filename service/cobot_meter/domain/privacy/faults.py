"""A request that nobody may answer whom this service has, and the sentences that say so."""

from __future__ import annotations

from cobot_meter.domain.errors import CallerFault
from cobot_meter.domain.privacy.tiers import Privacy, reaches
from cobot_meter.domain.routing.hints import PrivacyTier


class PrivacyUnroutable(CallerFault):
    """Whoever could answer would break the tier of the request, so that nobody was asked."""

    code = "privacy_unroutable"


def reason(privacy: Privacy) -> str:
    """Why the request has its tier: half a sentence, with types and no values."""
    tier = privacy.tier
    if privacy.declared is not None and reaches(privacy.declared, tier):
        return f"it was sent as {tier}"
    if reaches(privacy.policy, tier):
        return f"its API key is for requests of the tier {tier}"
    return f"it seems to hold what should not leave this machine ({', '.join(privacy.signals)})"


def nobody_here(privacy: Privacy, *, why: str) -> PrivacyUnroutable:
    """Nothing on this machine answers it. `why` says what is missing, as half a sentence."""
    message = (
        f"Only a model on this service's own machine may answer this request, because "
        f"{reason(privacy)}; {why}, and it was sent to nobody else. {_advice(privacy)}"
    )
    return PrivacyUnroutable(message)


def nobody_keeps_nothing(model_id: str) -> PrivacyUnroutable:
    """No provider of a model promises to keep nothing of a request."""
    message = (
        f"There is no provider of {model_id[:80]} that promises to keep nothing of this request "
        f"(tier {PrivacyTier.ZDR}) and takes it on its other terms, and it was sent to nobody "
        f"else. Name another model, or send it with X-Cobot-Privacy: {PrivacyTier.PUBLIC} if "
        "providers may keep it."
    )
    return PrivacyUnroutable(message)


def _advice(privacy: Privacy) -> str:
    if not privacy.seen:
        return (
            f"Send it to a service that lists {_PRIVATE}, or with X-Cobot-Privacy: "
            f"{PrivacyTier.PUBLIC} if what cannot be scanned in it may go anywhere."
        )
    return f"Send it to a service that lists {_PRIVATE}, or take out what makes it private."


_PRIVATE = "cobot/private"
