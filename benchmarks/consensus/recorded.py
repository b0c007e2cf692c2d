"""Recorded reviews and answers, read from a folder that is handed in: none of them is ours.

`code-review/` is withmartian/code-review-benchmark: 50 pull requests, twelve reviewing programs,
and three models that judge which of their findings are in a golden list. `routellm/` is
lm-sys/RouteLLM: what Mixtral 8x7B and GPT-4 have answered to the tasks of GSM8K.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from cobot_meter.domain.consensus.findings import PanelFinding

# The judge whose labels the pairs are made of; the others judge beside it.
JUDGES = (
    "anthropic_claude-opus-4-5-20251101",
    "anthropic_claude-sonnet-4-5-20250929",
    "openai_gpt-5.2",
)
_WEAK, _STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One finding of a program, and the golden finding that the judge takes it for; None: false."""

    finding: PanelFinding
    golden: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One pull request: what each program found, and how many golden findings there are."""

    by_tool: dict[str, tuple[Judged, ...]]
    golden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """One task: what both models have answered, and GSM8K's own answer."""

    weak: str
    strong: str
    golden: str


def reviews(data: Path, judge: str) -> list[Review]:
    """Every pull request as this judge has judged it."""
    path = data / "code-review" / judge / "evaluations.json"
    return [_review(judged) for judged in json.loads(path.read_text("utf-8")).values()]


def _review(judged: dict[str, dict[str, list[dict[str, str]]]]) -> Review:
    by_tool: dict[str, tuple[Judged, ...]] = {}
    golden: set[str] = set()
    for tool, labels in sorted(judged.items()):
        true = [
            (one["matched_candidate"], one["golden_comment"]) for one in labels["true_positives"]
        ]
        false = [(one["candidate"], None) for one in labels["false_positives"]]
        golden.update(one["golden_comment"] for one in labels["true_positives"])
        golden.update(one["golden_comment"] for one in labels["false_negatives"])
        by_tool[tool] = tuple(
            Judged(finding=PanelFinding(model=tool, number=number, claim=claim), golden=of)
            for number, (claim, of) in enumerate((*true, *false), start=1)
        )
    return Review(by_tool=by_tool, golden=len(golden))


def solved(data: Path) -> list[Solved]:
    """Every task of GSM8K but those that are known to be in what models were trained on.

    Who was right is read off GSM8K itself: the recorded labels take `$20.00` for another answer
    than 20.
    """
    folder = data / "routellm" / "gsm8k"
    golden = {one["question"]: one["answer"] for one in _lines(folder / "test.jsonl")}
    contaminated = {one["eval_prompt"] for one in _lines(folder / "contaminated_prompts.jsonl")}
    with (folder / "gsm8k_responses.csv").open(encoding="utf-8", newline="") as file:
        return [
            Solved(
                weak=row[f"{_WEAK}_response"],
                strong=row[f"{_STRONG}_response"],
                golden=golden[row["prompt"]],
            )
            for row in csv.DictReader(file)
            if row["prompt"] not in contaminated
        ]


def _lines(path: Path) -> list[dict[str, str]]:
    lines = path.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]
