"""Who is on the panel of one sale, what each may cost at most, and what they are asked for.

It is stored with the sale in the place of a route: which models answer, whoever has named them.
Must not know: databases, sales, or how an answer is read.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cobot_meter.domain.pricing.prices import ModelPrice

VERSION = 1
LEAST_MEMBERS, MOST_MEMBERS = 2, 8
CONSENSUS = "cobot/consensus"
# What its runs give as the reason that they ask another model than the one that was asked for.
OF_A_PANEL = "panel"


class PanelKind(enum.StrEnum):
    """What the members are asked for, and how their answers are put together."""

    REVIEW = "review"
    VERDICT = "verdict"
    VERIFY = "verify"  # not at once but in turn, until an answer passes its checks


CONSENSUS_NAMES = {
    CONSENSUS: PanelKind.REVIEW,
    **{f"{CONSENSUS}:{kind}": kind for kind in (PanelKind.REVIEW, PanelKind.VERDICT)},
}
INSTRUCTIONS = {
    PanelKind.REVIEW: (
        "You are one of several reviewers who do not see each other's answers. Answer with a JSON "
        "list and nothing else. Each item of it is one finding: an object with the members file, "
        "line_start, line_end, category, severity (critical, high, medium or low), claim (one "
        "sentence) and evidence_quote (copied from what you were given). Leave out what does not "
        "apply. Answer [] if you find nothing."
    ),
    PanelKind.VERDICT: (
        "You are one of several who answer the same question and do not see each other's answers. "
        "Reason as briefly as it allows. End with a line of its own that says: The answer is "
        "followed by your answer, as a number, a letter, yes, no, or a few words."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelMember:
    """One model of a panel: at no more than `prices` for a unit, and `most_pusd` in all."""

    model: str
    upstream: str
    prices: ModelPrice
    most_pusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The members in the order in which they are named.

    `decision` is the route that named them, as it is stored; empty where somebody has named them.
    """

    kind: PanelKind
    members: tuple[PanelMember, ...]
    decision: str = ""

    @property
    def in_turn(self) -> bool:
        """Whether each is asked only where those before it have not answered well enough."""
        return self.kind is PanelKind.VERIFY

    @property
    def quorum(self) -> int:
        """How many answers can be sold."""
        return 1 if self.in_turn else LEAST_MEMBERS

    def opened(self, held: Callable[[int], int]) -> list[tuple[PanelMember, int, bool]]:
        """Each with what `held` reserves for it, and whether it is asked as the sale opens."""
        return [
            (one, held(one.most_pusd), at == 0 or not self.in_turn)
            for at, one in enumerate(self.members)
        ]

    @property
    def most_pusd(self) -> int:
        """What all of them may cost together."""
        return sum(one.most_pusd for one in self.members)


def panel_text(panel: Panel) -> str:
    """One line of JSON in ASCII."""
    members = [[one.model, one.upstream, one.most_pusd, *one.prices.units] for one in panel.members]
    document = {"v": VERSION, "panel": panel.kind, "members": members}
    if panel.decision:
        document["decision"] = panel.decision
    return json.dumps(document, separators=(",", ":"))


def read_panel(said: str | None) -> Panel:
    """The panel in a row. Raises ValueError, KeyError or TypeError for what is none."""
    document: dict[str, Any] = json.loads(said or "")
    members = tuple(
        PanelMember(
            model=model, upstream=upstream, most_pusd=most, prices=ModelPrice.of_units(units)
        )
        for model, upstream, most, *units in document["members"]
    )
    panel = Panel(
        kind=PanelKind(document["panel"]),
        members=members,
        decision=document.get("decision", ""),
    )
    if not panel.quorum <= len(members) <= MOST_MEMBERS:
        message = f"a panel has {panel.quorum} to {MOST_MEMBERS} members, not {len(members)}"
        raise ValueError(message)
    return panel


def panel_fault(said: str, *, asked_model: str, ceiling_pusd: int) -> str:
    """What is wrong with a stored panel in words; empty where nothing is."""
    try:
        panel = read_panel(said)
    except (ValueError, KeyError, TypeError) as fault:
        return f"the panel that is stored cannot be read: {fault!r}"
    if not panel.in_turn and CONSENSUS_NAMES.get(asked_model) is not panel.kind:
        return f"the panel is for a {panel.kind}, and the sale asked {asked_model}"
    if panel.most_pusd != ceiling_pusd:
        return (
            f"its members may cost {panel.most_pusd} pico-USD together, and the ceiling of the "
            f"sale is {ceiling_pusd}"
        )
    return ""


def named_twice(models: Iterable[str]) -> str | None:
    """The first model that is named a second time; None where each is named once."""
    seen: set[str] = set()
    for one in models:
        if one in seen:
            return one
        seen.add(one)
    return None
