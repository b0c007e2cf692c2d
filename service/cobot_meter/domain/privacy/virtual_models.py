"""Names of tiers where a model is named: each stands for one model of the operator's choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.privacy.tiers import highest
from cobot_meter.domain.routing.hints import PrivacyTier

PRIVATE, ZDR = "cobot/private", "cobot/zdr"
TIERS: Mapping[str, PrivacyTier] = {PRIVATE: PrivacyTier.LOCAL, ZDR: PrivacyTier.ZDR}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateModels:
    """Which model each name stands for; empty where the operator has named none."""

    local: str = ""
    zdr: str = ""

    def named(self, name: str) -> str:
        """The model that is meant; a name that stands for none stays as it is."""
        return {PRIVATE: self.local, ZDR: self.zdr}.get(name) or name

    @property
    def names(self) -> tuple[str, ...]:
        """The names that stand for a model."""
        return tuple(name for name in TIERS if self.named(name) != name)


def tier_named(models: Iterable[str]) -> PrivacyTier | None:
    """The highest tier among the names that are one's; None without any."""
    tiers = [TIERS[name] for name in models if name in TIERS]
    return highest(*tiers) if tiers else None
