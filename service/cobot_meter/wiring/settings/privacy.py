"""Settings of privacy: whom the tiers' names stand for, and whether requests are scanned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.privacy.tiers import PrivateModels
from cobot_meter.wiring.settings.local import LocalSettings
from cobot_meter.wiring.settings.values import Values

_PRIVATE = "PRIVATE_MODEL"
_ZDR = "ZDR_MODEL"
_DETECTOR = "PRIVACY_DETECTOR"
_AUTO, _ON, _OFF = "auto", "on", "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """`scans` says whether undeclared requests are looked at."""

    models: PrivateModels = field(default_factory=PrivateModels)
    scans: bool = False


def read_privacy(values: Values, local: LocalSettings) -> PrivacySettings:
    """What is set. Raises SettingInvalid for a private model that is not on this machine.

    Requests are scanned where there is somebody to send the private ones to; otherwise everything
    that looks private would be refused, unless the operator wants just that.
    """
    private, zdr = values.optional(_PRIVATE), values.optional(_ZDR)
    if private:
        _refuse_elsewhere(values, private, local)
    _refuse_unoffered(values, {_PRIVATE: private, _ZDR: zdr})
    if zdr.startswith("cobot/"):
        values.refuse(_ZDR, zdr, "a model of the upstream, such as openai/gpt-4o-mini")
    detector = values.choice(_DETECTOR, _AUTO, (_AUTO, _ON, _OFF))
    return PrivacySettings(
        models=PrivateModels(local=private, zdr=zdr),
        scans=detector == _ON or (detector == _AUTO and bool(private)),
    )


def _refuse_unoffered(values: Values, chosen: Mapping[str, str]) -> None:
    offered = values.words("MODELS")
    for name, model in chosen.items():
        if model and offered and model not in offered:
            values.refuse(name, model, f"one of the models of {values.full('MODELS')}")


def _refuse_elsewhere(values: Values, private: str, local: LocalSettings) -> None:
    named = {model.model_id: model for model in local.models}
    model = named.get(private)
    if model is None:
        wanted = (
            f"one of {', '.join(named)}" if named else f"a model of {values.full('OLLAMA_MODELS')}"
        )
        values.refuse(_PRIVATE, private, wanted)
    if not model.on_this_machine:
        message = (
            f"{values.full(_PRIVATE)} promises that a request does not leave this machine, and "
            f"{values.full('OLLAMA_URL')} is not an address of it: use http://127.0.0.1:11434, or "
            f"leave {values.full(_PRIVATE)} out"
        )
        raise SettingInvalid(message)
