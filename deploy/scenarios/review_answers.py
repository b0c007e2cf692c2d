"""What simulated models say of the change that is reviewed: one thing all, one thing one alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

# Words that every question has.
ANY = ""


def reviews(panel: Sequence[str]) -> dict[str, dict[str, str]]:
    """By model its answer: three have seen the race, the second alone that nobody is refused."""
    race = (
        "Concurrent requests pass the limit check together.",
        "Two concurrent requests can pass the limit check at once.",
        "The limit check lets concurrent requests pass together.",
    )
    found = [[_finding(claim, "high", 3)] for claim in race]
    found[1].append(_finding("A caller over the limit is allowed all the same.", "critical", 5))
    return {
        model: {ANY: json.dumps(findings)} for model, findings in zip(panel, found, strict=True)
    }


def _finding(claim: str, severity: str, line: int) -> dict[str, object]:
    quote = "if count < limit:" if line == 3 else "return True"
    return {
        "file": "app/limit.py",
        "line_start": line,
        "line_end": line,
        "category": "correctness",
        "severity": severity,
        "claim": claim,
        "evidence_quote": quote,
    }
