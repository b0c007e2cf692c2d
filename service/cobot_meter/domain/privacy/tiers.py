"""Privacy tiers, and what decides which of them a request has. Must not know: texts or upstreams.

A tier is only ever raised. What a caller declares is a promise to it; what is detected is a guess,
and a guess never takes a promise back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.routing.virtual import PRIVATE, ZDR

TIERS: Mapping[str, PrivacyTier] = {PRIVATE: PrivacyTier.LOCAL, ZDR: PrivacyTier.ZDR}
UNSCANNABLE = "unscannable"
DETECTOR_FAILED = "detector_failed"
# A caller who says what such a request is has looked at it, which the detector has not.
_UNSEEN = frozenset({UNSCANNABLE, DETECTOR_FAILED})
# In a row, what was not declared.
_UNSAID = "-"
# From who may read least to who may read most, as the words are listed.
_RANK = {tier: rank for rank, tier in enumerate(PrivacyTier)}


def highest(*tiers: PrivacyTier) -> PrivacyTier:
    """The one of them that lets the fewest read."""
    return max(tiers, key=_RANK.__getitem__)


def reaches(tier: PrivacyTier, least: PrivacyTier) -> bool:
    """Whether it keeps at least what `least` keeps."""
    return _RANK[tier] >= _RANK[least]


def tier_named(models: Iterable[str]) -> PrivacyTier | None:
    """The highest tier among the names that are one's; None without any."""
    tiers = [TIERS[name] for name in models if name in TIERS]
    return highest(*tiers) if tiers else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateModels:
    """Which model each name of a tier stands for; empty where the operator has named none."""

    local: str = ""
    zdr: str = ""

    def named(self, name: str) -> str:
        """The model that is meant; a name that stands for none stays as it is."""
        return {PRIVATE: self.local, ZDR: self.zdr}.get(name) or name

    @property
    def names(self) -> tuple[str, ...]:
        """The names that stand for a model."""
        return tuple(name for name in TIERS if self.named(name) != name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The tier of one request. `signals` are types of what was detected, never what it was.

    `declared` is what the caller said itself, `policy` the least that its key allows.
    """

    declared: PrivacyTier | None = None
    policy: PrivacyTier = PrivacyTier.PUBLIC
    signals: tuple[str, ...] = ()

    @property
    def tier(self) -> PrivacyTier:
        """The highest of what was declared, what the key demands and what was detected."""
        return highest(self.declared or PrivacyTier.PUBLIC, self.policy, self._detected)

    @property
    def reason(self) -> str:
        """Why it has its tier: half a sentence, with types and no values."""
        tier = self.tier
        if self.declared is not None and reaches(self.declared, tier):
            return f"it was sent as {tier}"
        if reaches(self.policy, tier):
            return f"its API key is for requests of the tier {tier}"
        return f"it seems to hold what should not leave this machine ({', '.join(self.signals)})"

    @property
    def demanded(self) -> bool:
        """Whether it has its tier because its API key allows no lower one, whatever else it is."""
        return self.policy is not PrivacyTier.PUBLIC and reaches(self.policy, self.tier)

    @property
    def seen(self) -> bool:
        """Whether anything makes it private that was seen, declared or demanded."""
        demanded = highest(self.declared or PrivacyTier.PUBLIC, self.policy)
        return demanded is not PrivacyTier.PUBLIC or not _UNSEEN.issuperset(self.signals)

    @property
    def kept(self) -> str:
        """How a sale's row has it: tier, what was declared and what was demanded; no signals.

        Empty where nothing made it anything: a public request like any other.
        """
        if self == NO_PRIVACY:
            return ""
        return f"{self.tier} {self.declared or _UNSAID} {self.policy}"

    @property
    def _detected(self) -> PrivacyTier:
        counted = self.signals
        if self.declared is not None:
            counted = tuple(signal for signal in counted if signal not in _UNSEEN)
        return PrivacyTier.LOCAL if counted else PrivacyTier.PUBLIC


NO_PRIVACY = Privacy()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPrivacy:
    """What the row of a sale says of it: of what was detected no more than that it raised it."""

    tier: PrivacyTier
    declared: PrivacyTier | None
    policy: PrivacyTier

    @property
    def by(self) -> str:
        """At whose word it has its tier: the caller's, its key's owner's, or the detector's."""
        if self.declared is not None and reaches(self.declared, self.tier):
            return "caller"
        return "key" if reaches(self.policy, self.tier) else "detector"


def kept_privacy(kept: str) -> KeptPrivacy | None:
    """What `Privacy.kept` says; None where that is empty. Raises ValueError for anything else."""
    if not kept:
        return None
    tier, declared, policy = kept.split(" ")
    return KeptPrivacy(
        tier=PrivacyTier(tier),
        declared=None if declared == _UNSAID else PrivacyTier(declared),
        policy=PrivacyTier(policy),
    )
