"""Recorded documents and prompts, read from a folder that is handed in: none of them is ours.

`presidio/` is microsoft/presidio-research, `routellm/` lm-sys/RouteLLM with GSM8K and MMLU, and
`humaneval/` openai/human-eval, as they lie in those public repositories.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Names and where people live have no structure; nor have dates, ages and titles anything private.
STRUCTURED = frozenset(
    {
        "CREDIT_CARD",
        "EMAIL_ADDRESS",
        "IBAN_CODE",
        "IP_ADDRESS",
        "PHONE_NUMBER",
        "US_DRIVER_LICENSE",
        "US_SSN",
    }
)
UNSTRUCTURED = frozenset(
    {"PERSON", "STREET_ADDRESS", "ADDRESS", "GPE", "LOCATION", "ORGANIZATION", "ZIP_CODE"}
)
SETS = {"v2": "presidio/synth_dataset_v2.json", "large": "presidio/generated_large.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One synthetic document, and the types of personal data that its authors put in."""

    text: str
    types: frozenset[str]

    @property
    def structured(self) -> bool:
        """Whether any of them has a structure."""
        return bool(self.types & STRUCTURED)

    @property
    def names_only(self) -> bool:
        """Whether it has names or places, and nothing with a structure."""
        return not self.structured and bool(self.types & UNSTRUCTURED)


def documents(data: Path, name: str) -> list[Document]:
    """A set of presidio-research."""
    return [
        Document(
            text=row["full_text"], types=frozenset(span["entity_type"] for span in row["spans"])
        )
        for row in json.loads((data / SETS[name]).read_text())
    ]


def prompts(data: Path) -> dict[str, list[str]]:
    """Prompts without anything private in them, by the name of their set."""
    return {
        "GSM8K": [
            json.loads(line)["question"] for line in _lines(data / "routellm/gsm8k/test.jsonl")
        ],
        "MMLU": [
            row["prompt"]
            for path in sorted((data / "routellm/mmlu/responses").glob("*.csv"))
            for row in csv.DictReader(_lines(path))
        ],
        "HumanEval": [
            json.loads(line)["prompt"]
            for line in gzip.decompress(
                (data / "humaneval/HumanEval.jsonl.gz").read_bytes()
            ).splitlines()
        ],
    }


def _lines(path: Path) -> Iterator[str]:
    with path.open(newline="") as lines:
        yield from lines
