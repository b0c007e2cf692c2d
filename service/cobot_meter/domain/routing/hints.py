"""What a caller hints about its request, read once at the gate and the same from then on.

A hint narrows who may answer, or bounds what that may cost; it never widens what was asked. Must
not know: headers, bodies, models or prices.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cobot_meter.domain.pricing.quotes import MaxCost


class Task(enum.StrEnum):
    """What a request is about. A closed list: a word that nobody here knows is refused.

    The last two are no tasks but the ends of the scale, for who knows which one it wants.
    """

    FACTUAL = "factual"
    EXTRACTION = "extraction"
    CLASSIFICATION = "classification"
    TRANSLATION = "translation"
    REWRITING = "rewriting"
    SUMMARY = "summary"
    MATHS = "maths"
    CODE = "code"
    REASONING = "reasoning"
    GENERAL = "general"
    CHEAP = "cheap"
    PREMIUM = "premium"


class Downgrade(enum.StrEnum):
    """Whether a model below the target may answer where none at it fits the caller's bounds."""

    ALLOW = "allow"
    NEVER = "never"


class PrivacyTier(enum.StrEnum):
    """Where a request may go: anywhere, to who keeps nothing, or to a machine of the operator's."""

    PUBLIC = "public"
    ZDR = "zdr"
    LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """None for what was not hinted at. `session` is a name of the caller's own choice.

    `panel` are the models that a consensus asks, in the caller's order. With `verify` the next
    model of a chain is asked where an answer does not pass its checks.
    """

    task: Task | None = None
    session: str | None = None
    max_cost: MaxCost | None = None
    downgrade: Downgrade | None = None
    privacy: PrivacyTier | None = None
    panel: tuple[str, ...] | None = None
    verify: bool | None = None

    @property
    def identity(self) -> str:
        """What of them makes two requests two; empty without any.

        The most it may cost is left out: it bounds the answer and does not change the question.
        Programs lower it as their budgets empty, and one that then repeats what it has asked would
        else be sold, and would pay for, the same thing twice.
        """
        said = (
            ("task", self.task),
            ("session", self.session),
            ("downgrade", self.downgrade),
            ("privacy", self.privacy),
            ("panel", self.panel and " ".join(self.panel)),
            ("verify", self.verify),
        )
        return "\n".join(f"{name}={value}" for name, value in said if value is not None)


NO_HINTS = Hints()
