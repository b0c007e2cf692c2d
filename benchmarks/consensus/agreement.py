"""What a panel's report is worth: who agrees, who is right then, and that nothing is lost.

The data are other people's and stay where they are: `--data DIR`, or `COBOT_BENCH_DATA`.
"""

from __future__ import annotations

import time
import timeit
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from random import Random

from benchmarks.consensus.matching import Pairs, auc, best_f1, matched
from benchmarks.consensus.recorded import JUDGES, Judged, Review, Solved, reviews, solved
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, table
from cobot_meter.domain.consensus.alike import Likeness
from cobot_meter.domain.consensus.findings import MemberAnswer, PanelFinding
from cobot_meter.domain.consensus.report import review
from cobot_meter.domain.consensus.verdicts import count_votes, verdict_of

NAME = "consensus"
PANEL = 3
SEED = 20_261_129
AUC_MIN, PRECISION_MIN, FLAGGED_MIN = 0.93, 0.70, 0.88
PAIR_SET_MS_MAX, REPORT_MS_MAX = 1, 20
REPEATS = 7
# Measured on 2026-11-22 over the same data, on two shared cores: the clusters of the first are put
# together by MiniLM where the cosine is 0.65 or more, and how its true ones were counted is not
# written down.
PEER_PRECISION = ("MiniLM clusters (2026-11-22)", "0.22", "0.53", "0.735")
# Of the recorded labels, which take `$20.00` for another answer than 20.
PEER_VERDICTS = ("the last number of the text (2026-11-22)", "58", "97.5", "69.7", "90")


def measure(size: Size, data: Path) -> str:
    """The tables and the bars; a smaller size looks at fewer pull requests and tasks."""
    every = 1 if size.thorough else 10
    judged = {judge: reviews(data, judge)[::every] for judge in JUDGES}
    first = judged[JUDGES[0]]
    pairs = matched(first, Random(SEED))
    scores = {judge: replay(found) for judge, found in judged.items()}
    verdicts = Verdicts.of(solved(data)[::every])
    found = next(iter(scores.values()))
    precision = min(score.precision(PANEL) for score in scores.values())
    return "\n\n".join(
        (
            bars(
                [
                    _share("findings that are in the report", found.kept, 1),
                    _share("3 of 3 agree: true, by the strictest judge", precision, PRECISION_MIN),
                    _share("the same finding or another one, AUC", auc(pairs.ours), AUC_MIN, 3),
                    _ms("a pair set of 100, CPU", pair_set_ms(first), PAIR_SET_MS_MAX),
                    _ms("a report on 3 × 50 findings, CPU", report_ms(first), REPORT_MS_MAX),
                    _share("wrong answers that are flagged", verdicts.flagged, FLAGGED_MIN),
                ]
            ),
            _matching(pairs),
            _precision(scores, judged),
            _recall(scores),
            verdicts.table(),
        )
    )


@dataclass(slots=True)
class Score:
    """What became of the findings of every panel of three programs."""

    said: int = 0
    reported: int = 0
    points: Counter[int] = field(default_factory=Counter)
    true: Counter[int] = field(default_factory=Counter)
    golden: int = 0
    golden_found: Counter[int] = field(default_factory=Counter)

    @property
    def kept(self) -> float:
        """The share of all findings that stand in a report, each counted once."""
        return self.reported / self.said

    def precision(self, voices: int) -> float:
        """Of the points that so many have: the share that is true."""
        return self.true[voices] / max(self.points[voices], 1)

    def recall(self, voices: int) -> float:
        """The share of golden findings that so many or more have said."""
        return self.golden_found[voices] / self.golden


def replay(judged: Sequence[Review]) -> Score:
    """Every panel of three reports on every pull request.

    A point is true where the judge took more than half of its findings for golden ones.
    """
    score = Score()
    for one in judged:
        for panel in combinations(one.by_tool, PANEL):
            score.golden += one.golden
            _count(score, [(tool, one.by_tool[tool]) for tool in panel])
    return score


def _count(score: Score, panel: Sequence[tuple[str, Sequence[Judged]]]) -> None:
    golden = {one.finding: one.golden for _, findings in panel for one in findings}
    answers = [
        MemberAnswer(model=tool, findings=tuple(one.finding for one in findings))
        for tool, findings in panel
    ]
    report = review(answers, "")
    score.said += sum(len(answer.findings) for answer in answers)
    score.reported += len(
        {one.finding for point in report.points() for one in point.stated} & golden.keys()
    )
    voices_of: dict[str, int] = {}
    for point in report.points():
        voices = len(point.stated)
        named = [of for one in point.stated if (of := golden[one.finding]) is not None]
        score.points[voices] += 1
        score.true[voices] += 2 * len(named) > voices
        for of in named:
            voices_of[of] = max(voices, voices_of.get(of, 0))
    for most in voices_of.values():
        for voices in range(1, most + 1):
            score.golden_found[voices] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """How often two models agree on a task, and what that says of the better one."""

    tasks: int
    agreed: int
    right_agreed: int
    right_differing: int

    @classmethod
    def of(cls, answered: Iterable[Solved]) -> Verdicts:
        """Counted as `:verdict` counts them."""
        told = [
            (
                count_votes([("weak", one.weak), ("strong", one.strong)]),
                verdict_of(one.strong) == verdict_of(one.golden),
            )
            for one in answered
        ]
        return cls(
            tasks=len(told),
            agreed=sum(not votes.disagreement for votes, _ in told),
            right_agreed=sum(right and not votes.disagreement for votes, right in told),
            right_differing=sum(right and votes.disagreement for votes, right in told),
        )

    @property
    def flagged(self) -> float:
        """The share of the better model's errors on which the other one differs."""
        wrong = self.tasks - self.right_agreed - self.right_differing
        return (self.tasks - self.agreed - self.right_differing) / max(wrong, 1)

    def table(self) -> str:
        """Beside what a flag at random would catch, and what it was before."""
        right = (self.right_agreed + self.right_differing) / self.tasks
        differing = self.tasks - self.agreed
        ours = (
            self.agreed / self.tasks,
            self.right_agreed / max(self.agreed, 1),
            self.right_differing / max(differing, 1),
            self.flagged,
        )
        random = (ours[0], right, right, 1 - ours[0])
        return table(
            (f"{self.tasks} tasks, %", "agree", "right then", "right else", "errors flagged"),
            [
                ("`:verdict`", *(f"{100 * one:.1f}" for one in ours)),
                PEER_VERDICTS,
                ("the same flags, at random", *(f"{100 * one:.1f}" for one in random)),
                ("an oracle", f"{100 * right:.1f}", "100.0", "0.0", "100.0"),
            ],
        )


def pair_set_ms(judged: Sequence[Review]) -> float:
    """CPU to weigh two members' ten findings and compare each with each."""
    findings = list(_findings(judged))
    one, other = findings[:10], findings[10:20]

    def compare() -> None:
        likeness = Likeness([*one, *other])
        weighed = likeness.weighed
        for left in weighed[: len(one)]:
            for right in weighed[len(one) :]:
                likeness.of(left, right)

    return _cpu_ms(compare)


def report_ms(judged: Sequence[Review]) -> float:
    """CPU of a whole report on three members with fifty findings each."""
    findings = list(_findings(judged))
    answers = [
        MemberAnswer(
            model=model,
            findings=tuple(replace(one, model=model) for one in findings[at * 50 : at * 50 + 50]),
        )
        for at, model in enumerate(("a", "b", "c"))
    ]
    return _cpu_ms(lambda: review(answers, "x" * 8_192))


def _findings(judged: Sequence[Review]) -> Iterator[PanelFinding]:
    for one in judged:
        for found in one.by_tool.values():
            yield from (each.finding for each in found)


def _cpu_ms(work: Callable[[], object]) -> float:
    """The best of a few, in CPU: others work on the same cores."""
    timer = timeit.Timer(work, timer=time.process_time)
    return min(timer.repeat(number=5, repeat=REPEATS)) / 5 * 1e3


def _matching(pairs: Pairs) -> str:
    measured = (
        ("rare words, weighed within the panel (ours)", pairs.ours),
        ("plain Jaccard", pairs.plain),
    )
    return table(
        (f"{pairs.same} pairs the same, {pairs.different} not", "AUC", "F1"),
        [
            *((name, f"{auc(told):.3f}", f"{best_f1(told):.3f}") for name, told in measured),
            ("idf-Jaccard, weighed over all findings (2026-11-22)", "0.933", "0.847"),
            ("MiniLM cosine (2026-11-22)", "0.915", "0.808"),
            ("rapidfuzz token_set (2026-11-22)", "0.885", "0.786"),
            ("at random", "0.500", f"{pairs.random_f1:.3f}"),
            ("an oracle", "1.000", "1.000"),
        ],
    )


def _precision(scores: Mapping[str, Score], judged: Mapping[str, Sequence[Review]]) -> str:
    """How many points are true by how many say so, and how many points there are."""
    rows = [
        (
            f"judge {judge}",
            *(f"{score.precision(n):.3f} of {score.points[n]:,}" for n in range(1, PANEL + 1)),
        )
        for judge, score in scores.items()
    ]
    findings = [each for one in judged[JUDGES[0]] for told in one.by_tool.values() for each in told]
    true = f"{sum(each.golden is not None for each in findings) / len(findings):.2f}"
    return table(
        ("true, by how many of three say so", "1", "2", "3"),
        [*rows, PEER_PRECISION, ("at random", true, true, true)],
    )


def _recall(scores: Mapping[str, Score]) -> str:
    """Which of the golden findings would be left if less than everything were reported."""
    rows = [
        (f"judge {judge}", *(f"{score.recall(n):.3f}" for n in range(1, PANEL + 1)))
        for judge, score in scores.items()
    ]
    return table(
        ("golden findings kept", "all (ours)", "agreed by 2", "agreed by 3"),
        [*rows, ("MiniLM clusters (2026-11-22)", "0.645", "0.353", "0.12")],
    )


def _share(what: str, value: float, limit: float, digits: int = 2) -> Bar:
    return Bar(what=what, value=value, limit=limit, at_most=False, unit="", digits=digits)


def _ms(what: str, value: float, limit: float) -> Bar:
    return Bar(what=what, value=value, limit=limit, unit="ms")
