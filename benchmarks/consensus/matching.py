"""Whether two findings are the same one: pairs of which a judge has said so, as we order them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from benchmarks.consensus.recorded import Judged, Review
from cobot_meter.domain.consensus.alike import Likeness

_WORD = re.compile(r"[a-z0-9_]+")
Scores = list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """How alike the pairs are that the judge takes for one finding, and all others."""

    ours: tuple[Scores, Scores]
    plain: tuple[Scores, Scores]

    @property
    def same(self) -> int:
        """How many pairs are of one golden finding."""
        return len(self.ours[0])

    @property
    def different(self) -> int:
        """How many are of two."""
        return len(self.ours[1])

    @property
    def random_f1(self) -> float:
        """What whoever says "the same" of every pair gets."""
        return 2 * self.same / (2 * self.same + self.different)


def matched(judged: Sequence[Review], random: Random) -> Pairs:
    """Every two true findings of two programs, as a panel of both and a third one compares them.

    The third is drawn: its findings weigh words too, false ones as well as true ones.
    """
    ours: tuple[Scores, Scores] = ([], [])
    plain: tuple[Scores, Scores] = ([], [])
    for one in judged:
        for pair in combinations(one.by_tool, 2):
            third = random.choice(sorted(one.by_tool.keys() - set(pair)))
            panel = [each for tool in (*pair, third) for each in one.by_tool[tool]]
            likeness = Likeness([each.finding for each in panel])
            weighed = dict(zip((each.finding for each in panel), likeness.weighed, strict=True))
            for left, right in _true_pairs(one, pair):
                kind = left.golden != right.golden
                alike = likeness.of(weighed[left.finding], weighed[right.finding])
                ours[kind].append(alike / 1_000)
                plain[kind].append(_jaccard(left.finding.claim, right.finding.claim))
    return Pairs(ours=ours, plain=plain)


def _true_pairs(one: Review, pair: tuple[str, str]) -> list[tuple[Judged, Judged]]:
    left, right = ([each for each in one.by_tool[tool] if each.golden] for tool in pair)
    return [(a, b) for a in left for b in right]


def _jaccard(one: str, other: str) -> float:
    left, right = set(_WORD.findall(one.lower())), set(_WORD.findall(other.lower()))
    return len(left & right) / max(len(left | right), 1)


def auc(scores: tuple[Scores, Scores]) -> float:
    """How often a pair that is the same is more alike than one that is not; a tie counts half."""
    same, others = scores[0], sorted(scores[1])
    above = sum(bisect_left(others, one) + bisect_right(others, one) for one in same)
    return above / (2 * len(same) * len(others))


def best_f1(scores: tuple[Scores, Scores]) -> float:
    """F1 at the threshold that is best for it."""
    same, others = sorted(scores[0]), sorted(scores[1])
    best = 0.0
    for limit in set(same):
        true = len(same) - bisect_left(same, limit)
        false = len(others) - bisect_left(others, limit)
        best = max(best, 2 * true / (true + false + len(same)))
    return best
