"""The benchmark of consensus on a few made reviews: what it counts, and that it runs."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.consensus import agreement
from benchmarks.consensus.matching import auc, best_f1, matched
from benchmarks.consensus.recorded import JUDGES, reviews, solved
from benchmarks.rig.sizes import SMOKE
from tests.benchmarks.test_smoke import run

RACE = "Two concurrent requests both pass the device limit check, a race condition"
RACE_TOO = "The device limit check has a race: concurrent requests can pass it together"
TYPO = "The method name santizeAnchors is misspelled"


def labels(true: dict[str, str], false: list[str], missed: list[str]) -> dict[str, Any]:
    """What a judge says of one program: golden findings by what it said, and what was wrong."""
    return {
        "true_positives": [
            {"golden_comment": golden, "matched_candidate": said} for said, golden in true.items()
        ],
        "false_positives": [{"candidate": said} for said in false],
        "false_negatives": [{"golden_comment": golden} for golden in missed],
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One pull request with three programs, and two tasks, in the shape of the recorded data."""
    judged = {
        "https://example.org/1": {
            "x": labels({RACE: "race", TYPO: "typo"}, [], ["gone"]),
            "y": labels({RACE_TOO: "race"}, ["Prefer shorter lines"], ["typo", "gone"]),
            "z": labels({RACE: "race"}, [], ["typo", "gone"]),
        }
    }
    for judge in JUDGES:
        folder = tmp_path / "code-review" / judge
        folder.mkdir(parents=True)
        (folder / "evaluations.json").write_text(json.dumps(judged))
    folder = tmp_path / "routellm" / "gsm8k"
    folder.mkdir(parents=True)
    tasks = [{"question": "2+2?", "answer": "#### 4"}, {"question": "3*3?", "answer": "#### 9"}]
    seen = {"question": "1+1?", "answer": "#### 2"}
    (folder / "test.jsonl").write_text("\n".join(json.dumps(one) for one in (*tasks, seen)))
    (folder / "contaminated_prompts.jsonl").write_text(json.dumps({"eval_prompt": "1+1?"}) + "\n")
    weak, strong = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
    with (folder / "gsm8k_responses.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", weak, strong, f"{weak}_response", f"{strong}_response"])
        writer.writerow(["2+2?", "True", "False", "#### 4", "Two and two.\nThat makes $4.00."])
        writer.writerow(["3*3?", "True", "False", "#### 9", "#### 10"])
        writer.writerow(["1+1?", "True", "True", "#### 2", "#### 2"])
    return tmp_path


def test_every_panel_is_replayed(data: Path) -> None:
    """What all three say is true here, and of what one says alone one half; nothing is lost."""
    score = agreement.replay(reviews(data, JUDGES[0]))
    assert (score.said, score.reported, score.kept) == (5, 5, 1.0)
    assert [score.precision(voices) for voices in (1, 2, 3)] == [0.5, 0.0, 1.0]
    assert [score.recall(voices) for voices in (1, 2, 3)] == [2 / 3, 1 / 3, 1 / 3]


def test_pairs_are_of_true_findings(data: Path) -> None:
    """The same golden finding by two programs is a pair the same, two golden ones are another."""
    pairs = matched(reviews(data, JUDGES[0]), Random(1))
    assert (pairs.same, pairs.different) == (3, 2)
    assert auc(pairs.ours) == 1.0
    assert best_f1(pairs.ours) == 1.0
    assert pairs.random_f1 == pytest.approx(6 / 8)


@pytest.mark.parametrize(
    ("scores", "area", "f1"),
    [
        (([0.9, 0.8], [0.1, 0.2]), 1.0, 1.0),
        (([0.1, 0.2], [0.9, 0.8]), 0.0, 2 / 3),
        (([0.5], [0.5]), 0.5, 2 / 3),
        (([0.9, 0.3], [0.5]), 0.5, 0.8),
    ],
)
def test_order_is_what_counts(
    scores: tuple[list[float], list[float]], area: float, f1: float
) -> None:
    """A tie counts half, and F1 is that of the best threshold."""
    assert auc(scores) == pytest.approx(area)
    assert best_f1(scores) == pytest.approx(f1)


def test_errors_are_flagged_where_two_models_differ(data: Path) -> None:
    """`$4.00` is 4, whatever the recorded label says; what models have seen before is left out."""
    verdicts = agreement.Verdicts.of(solved(data))
    assert (verdicts.tasks, verdicts.agreed, verdicts.right_agreed) == (2, 1, 1)
    assert verdicts.flagged == 1.0
    assert replace(verdicts, agreed=2, right_agreed=1).flagged == 0.0


def test_it_prints_its_tables(data: Path) -> None:
    """From end to end on the made data, with the bars and the peers' rows."""
    told = run("--smoke", "consensus", "--data", str(data))
    assert told.returncode == 0, told.stderr
    assert "| findings that are in the report" in told.stdout
    assert "| rapidfuzz token_set (2026-11-22)" in told.stdout
    assert agreement.measure(SMOKE, data).count("| an oracle") == 2


def test_without_data_it_says_what_it_needs() -> None:
    """None are in the repository, so the command line has to name them."""
    told = run("consensus")
    assert told.returncode == 2
    assert "consensus needs --data DIR" in told.stderr
