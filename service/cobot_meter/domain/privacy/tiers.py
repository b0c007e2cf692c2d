"""Privacy tiers, and what decides which of them a request has. Must not know: texts or upstreams.

A tier is only ever raised. What a caller declares is a promise to it; what is detected is a guess,
and a guess never takes a promise back.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

UNSCANNABLE = "unscannable"
DETECTOR_FAILED = "detector_failed"
# A caller who says what such a request is has looked at it, which the detector has not.
_UNSEEN = frozenset({UNSCANNABLE, DETECTOR_FAILED})


class Tier(enum.IntEnum):
    """Who may read a request: anybody, who keeps nothing of it, or this machine alone."""

    PUBLIC = 0
    ZDR = 1
    LOCAL = 2

    @property
    def word(self) -> str:
        """As callers write it."""
        return self.name.lower()


WORDS = tuple(tier.word for tier in Tier)


def tier_of(word: object) -> Tier | None:
    """The tier that this word names; None for any other."""
    return next((tier for tier in Tier if tier.word == word), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The tier of one request. `signals` are types of what was detected, never what it was.

    `declared` is what the caller said itself, `policy` the least that its key allows.
    """

    declared: Tier | None = None
    policy: Tier = Tier.PUBLIC
    signals: tuple[str, ...] = ()

    @property
    def tier(self) -> Tier:
        """The highest of what was declared, what the key demands and what was detected."""
        return max(self.declared or Tier.PUBLIC, self.policy, self._detected)

    @property
    def _detected(self) -> Tier:
        counted = self.signals
        if self.declared is not None:
            counted = tuple(signal for signal in counted if signal not in _UNSEEN)
        return Tier.LOCAL if counted else Tier.PUBLIC


NO_PRIVACY = Privacy()
