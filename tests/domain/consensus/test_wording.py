"""The report as people and programs read it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.findings import read_findings
from cobot_meter.domain.consensus.report import review
from cobot_meter.domain.consensus.verdicts import count_votes
from cobot_meter.domain.consensus.wording import review_json, review_text, votes_json, votes_text

RACE = {
    "file": "app/limit.py",
    "line_start": 3,
    "line_end": 5,
    "severity": "high",
    "claim": "Concurrent requests pass the\nlimit check together.",
    "evidence_quote": "if count < limit:",
}
LEAK = {"severity": "low", "claim": "The handle is never closed.", "evidence_quote": "open(path)"}
CODE = "# app/limit.py\ndef take(count, limit):\n    if count < limit:\n        return True\n"
ANSWERS = [
    read_findings("x/one", json.dumps([RACE])),
    read_findings("y/two", f"Hm.\n{json.dumps([RACE, LEAK])}"),
    read_findings("z/three", "[]"),
]


def test_a_review_is_read_from_top_to_bottom() -> None:
    """Who said it, where, who was silent, what was not found, and what else was said."""
    assert review_text(review(ANSWERS, CODE)) == (
        "Asked: x/one, y/two, z/three.\n"
        "\n"
        "## Disputed (1)\n"
        "\n"
        "- **high** app/limit.py:3–5: Concurrent requests pass the limit check together. — x/one"
        " Silent: z/three.\n"
        "  - app/limit.py:3–5: Concurrent requests pass the limit check together. — y/two\n"
        "\n"
        "## Said by one alone (1)\n"
        "\n"
        "- **low, not in the text** The handle is never closed. — y/two (not found: quote)\n"
        "\n"
        "## What else was said\n"
        "\n"
        "y/two:\n"
        "\n"
        "Hm."
    )


def test_a_panel_that_found_nothing_says_so() -> None:
    """An empty report is an answer, and names who gave it."""
    answers = [read_findings("x/one", "[]"), read_findings("y/two", "[]")]
    assert review_text(review(answers, "")) == (
        "Asked: x/one, y/two.\n\nThe panel has found nothing."
    )


def test_a_program_reads_every_finding_whole() -> None:
    """All fields of a finding are in the JSON, with the member and its number there."""
    told = review_json(review(ANSWERS, CODE))
    assert (told["kind"], told["members"]) == ("review", ["x/one", "y/two", "z/three"])
    assert (told["agreed"], told["texts"]) == ([], [{"model": "y/two", "text": "Hm."}])
    assert told["disputed"] == [
        {
            "severity": "high",
            "severity_differs": False,
            "unfounded": False,
            "said_by": ["x/one", "y/two"],
            "silent": ["z/three"],
            "findings": [
                {
                    "model": model,
                    "number": 1,
                    **RACE,
                    "category": "",
                    "more": "",
                    "not_found": [],
                }
                for model in ("x/one", "y/two")
            ],
        }
    ]


def test_a_vote_is_read_from_its_first_line() -> None:
    """What the most have said, how many that are, and that not all have."""
    votes = count_votes([("x/one", "Yes."), ("y/two", "no"), ("z/three", "yes"), ("w/four", "")])
    assert votes_text(votes) == (
        "**yes** (2 of 4; they disagree)\n"
        "- yes: x/one, z/three\n"
        "- no: y/two\n"
        "\n"
        "Not counted, w/four:\n"
        "\n"
    )
    assert votes_json(votes)["groups"] == [
        {"verdict": "yes", "models": ["x/one", "z/three"]},
        {"verdict": "no", "models": ["y/two"]},
    ]


def test_one_voice_and_no_voice_are_told_apart() -> None:
    """All who agree are not said to disagree, and a tie has no verdict."""
    assert votes_text(count_votes([("x", "4"), ("y", "4.0")])).startswith("**4** (2 of 2)\n")
    tie = votes_text(count_votes([("x", "4"), ("y", "5")]))
    assert tie.startswith("**No verdict**: the 2 answers do not lead to one.")


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_no_claim_is_lost_in_the_text(claims: list[str]) -> None:
    """Whatever was said, the text has its words, and the JSON the very same characters."""
    answer = read_findings("x/one", json.dumps([{"claim": claim} for claim in claims]))
    report = review([answer, read_findings("y/two", "[]")], "")
    text = review_text(report)
    unique = review_json(report)["unique"]
    assert isinstance(unique, list)
    said = [one["findings"][0]["claim"] for one in unique]
    assert sorted(said) == sorted(one.claim for one in answer.findings)
    for finding in answer.findings:
        assert " ".join(finding.claim.split()) in text
