"""The privacy of one chat request: declared, detected, and what is said of it.

Whatever is not for everybody goes out with the flags that forbid to keep it, even where it is not
meant to go out at all. Must not know: models, or who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from cobot_meter.domain.privacy.faults import NobodyHere, NobodyKeepsNothing
from cobot_meter.domain.privacy.tiers import NO_PRIVACY, Privacy, reaches, tier_named
from cobot_meter.domain.routing.hints import PrivacyTier

_FLAGS = {"zdr": True, "data_collection": "deny"}
_NOT_FOUND = 404
_OF_THE_MODEL = (UpstreamFailed, UpstreamRefused, UpstreamUnreachable)


@dataclass(frozen=True, slots=True)
class AskedPrivacy:
    """A request that is being read: `said` is its messages, and `fields` all else to forward.

    It names `models` and bears a `hint`; `look` says what in it is private.
    """

    fields: dict[str, Any]
    said: object
    models: list[str]
    hint: PrivacyTier | None
    look: Look

    def settled(self) -> Privacy:
        """Its privacy, once the flags that its tier demands stand in its fields.

        Raises RequestInvalid for what contradicts itself.
        """
        declared = self._declared()
        scanned = () if declared is PrivacyTier.LOCAL else self.look([self.said, self.fields])
        privacy = Privacy(declared=declared, signals=scanned)
        if privacy.tier is not PrivacyTier.PUBLIC:
            self._add_flags(privacy)
        return privacy

    def _declared(self) -> PrivacyTier | None:
        named = tier_named(self.models)
        if self.hint is not None and named is not None and not reaches(self.hint, named):
            message = (
                f"X-Cobot-Privacy says {self.hint}, and one of the models that are named is for "
                f"{named}; send only one of them."
            )
            raise RequestInvalid(message, param="X-Cobot-Privacy")
        return self.hint or named

    def _add_flags(self, privacy: Privacy) -> None:
        provider = self.fields.get("provider") or {}
        for name, flag in _FLAGS.items():
            if privacy.declared is not None and provider.get(name) not in {None, flag}:
                message = (
                    f"provider.{name} contradicts the privacy tier {privacy.tier}; leave it out, "
                    f"or send the request as {PrivacyTier.PUBLIC}."
                )
                raise RequestInvalid(message, param=f"provider.{name}")
        self.fields["provider"] = {**provider, **_FLAGS}


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of one request. `runs_here` says whether a model is on this machine."""

    privacy: Privacy
    model: str
    runs_here: Callable[[str], bool]

    def told(self, escrow: Escrow) -> dict[str, Any]:
        """What an answer says of it, beside what it cost, and what is kept.

        Nothing where nothing was declared or seen: nothing was promised then. `local` is said of
        what ran here alone: a sale from before a detector was switched on may not have.
        """
        if self.privacy == NO_PRIVACY:
            return {}
        tier = self.privacy.tier
        if tier is PrivacyTier.LOCAL and not self.runs_here(escrow.model):
            zdr = self.privacy.declared is PrivacyTier.ZDR
            tier = PrivacyTier.ZDR if zdr else PrivacyTier.PUBLIC
        return {
            "privacy": {
                "tier": tier,
                "declared": self.privacy.declared is not None,
                "signals": self.privacy.signals,
                "retention": retention_document(escrow),
            }
        }

    def refuse(self, fault: CobotMeterError) -> None:
        """Raises PrivacyUnroutable for a fault of those who alone may answer: nobody else will."""
        tier = self.privacy.tier
        if tier is PrivacyTier.LOCAL and isinstance(fault, _OF_THE_MODEL):
            why = f"that one failed ({fault.message.rstrip('.')})"
            raise NobodyHere(self.privacy, why=why) from fault
        if tier is PrivacyTier.ZDR and _fits_nobody(fault):
            raise NobodyKeepsNothing(self.model) from fault


def retention_document(escrow: Escrow) -> dict[str, Any]:
    """Where what was asked and answered is, until when, and what stays of it for ever."""
    sealed = escrow.mode in {Mode.ESCROW, Mode.PANEL} or escrow.keep_until_ms is not None
    return {
        "kept": "sealed" if sealed else "memory",
        "until_ms": escrow.keep_until_ms,
        "then": "sha256",
    }


def _fits_nobody(fault: CobotMeterError) -> bool:
    return isinstance(fault, UpstreamRefused) and fault.status == _NOT_FOUND
