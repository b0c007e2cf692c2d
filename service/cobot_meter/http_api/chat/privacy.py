"""The privacy of one chat request: declared, detected, and what is said of it.

Whatever is not for everybody goes out with the flags that forbid to keep it, even where it is not
meant to go out at all. Must not know: models, or who asks.
"""

from __future__ import annotations

from typing import Any

from cobot_meter.domain.errors import (
    CobotMeterError,
    RequestInvalid,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.privacy.detector import Look
from cobot_meter.domain.privacy.faults import nobody_here, nobody_keeps_nothing
from cobot_meter.domain.privacy.tiers import Privacy, reaches
from cobot_meter.domain.privacy.virtual_models import tier_named
from cobot_meter.domain.routing.hints import PrivacyTier

_FLAGS = {"zdr": True, "data_collection": "deny"}
_NOT_FOUND = 404


def privacy_of(said: object, *, hint: PrivacyTier | None, models: list[str], look: Look) -> Privacy:
    """The privacy of a request that says `said` and names these models. Raises RequestInvalid."""
    declared = tier_named(models)
    if hint is not None and declared is not None and not reaches(hint, declared):
        message = (
            f"X-Cobot-Privacy says {hint}, and one of the models that are named is for {declared}; "
            "send only one of them."
        )
        raise RequestInvalid(message, param="X-Cobot-Privacy")
    declared = hint or declared
    if declared is PrivacyTier.LOCAL:
        return Privacy(declared=declared)
    return Privacy(declared=declared, signals=look(said))


def keep_private(fields: dict[str, Any], privacy: Privacy) -> None:
    """Add the flags that its tier demands to what is forwarded. Raises RequestInvalid."""
    if privacy.tier is PrivacyTier.PUBLIC:
        return
    provider = fields.get("provider") or {}
    for name, flag in _FLAGS.items():
        said = provider.get(name)
        if privacy.declared is not None and said not in {None, flag}:
            message = (
                f"provider.{name} contradicts the privacy tier {privacy.tier}; leave it out, or "
                f"send the request as {PrivacyTier.PUBLIC}."
            )
            raise RequestInvalid(message, param=f"provider.{name}")
    fields["provider"] = {**provider, **_FLAGS}


def privacy_document(privacy: Privacy, escrow: Escrow, *, here: bool) -> dict[str, Any]:
    """What is promised of a request, and what is kept of it; `here` says that it ran here.

    Of a sale from before a detector was switched on only what was declared is promised.
    """
    tier = privacy.tier
    if tier is PrivacyTier.LOCAL and not here:
        tier = privacy.declared or PrivacyTier.PUBLIC
    return {
        "tier": tier,
        "declared": privacy.declared is not None,
        "signals": privacy.signals,
        "retention": retention_document(escrow),
    }


def retention_document(escrow: Escrow) -> dict[str, Any]:
    """Where what was asked and answered is, until when, and what stays of it for ever."""
    sealed = escrow.mode is Mode.ESCROW or escrow.keep_until_ms is not None
    return {
        "kept": "sealed" if sealed else "memory",
        "until_ms": escrow.keep_until_ms,
        "then": "sha256",
    }


def unroutable(fault: CobotMeterError, privacy: Privacy, *, model: str) -> CobotMeterError:
    """The fault as it is told of a private request: nobody else was asked, and nobody will be."""
    if privacy.tier is PrivacyTier.LOCAL:
        if isinstance(fault, UpstreamUnreachable | UpstreamFailed | UpstreamRefused):
            return nobody_here(privacy, why=f"that one failed ({fault.message.rstrip('.')})")
    elif privacy.tier is PrivacyTier.ZDR and _fits_nobody(fault):
        return nobody_keeps_nothing(model)
    return fault


def _fits_nobody(fault: CobotMeterError) -> bool:
    return isinstance(fault, UpstreamRefused) and fault.status == _NOT_FOUND
