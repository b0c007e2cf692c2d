"""Recorded answers of models to other people's prompts, and what a router would have saved on them.

The data are not ours and lie in a folder that the command line or COBOT_BENCH_DATA names. No model
is asked: what each answered is in the records. A router is judged by an order: who needs the strong
model most. From that order the share of prompts is found that has to go to the strong one for a
share of its quality; prompts that the router cannot tell apart are mixed evenly.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DATA = "COBOT_BENCH_DATA"
STRONG = "llama-3.1-nemotron-51b-instruct"
CHEAP: Mapping[str, str] = {"gemma-9b": "gemma-2-9b-it", "llama-8b": "llama-3.1-8b-instruct"}
RATIO = 30  # how many times as dear as the cheap one the strong one is taken to be
SHARES = (0.95, 0.98)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One prompt, the data set it is of, and each model's score from 0 to 1."""

    prompt: str
    of: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulab:
    """The 500 prompts that are judged, and those that a table may be filled from."""

    test: Sequence[Item]
    train: Sequence[Item]


def read_ulab() -> Ulab | None:
    """Both sets; None where no folder is named. A prompt of the first is left out of the second."""
    told = os.environ.get(DATA)
    if not told:
        return None
    folder = Path(told) / "ulab"
    named: dict[str, str] = {}
    for part in ("test", "train"):
        with (folder / f"query_{part}.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                said = json.loads(line)
                named.setdefault(said["query"], said["task_name"])
    test, train = (_items(folder / f"{part}.json", named) for part in ("test", "train"))
    judged = {item.prompt for item in test}
    return Ulab(test=test, train=[item for item in train if item.prompt not in judged])


def _items(path: Path, named: Mapping[str, str]) -> list[Item]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        Item(prompt=row["question"], of=named.get(row["question"], "unnamed"), scores=row["scores"])
        for row in rows
    ]


def saving(needs: Sequence[float], items: Sequence[Item], cheap: str, share: float) -> float:
    """What is saved of asking the strong model always, at this share of what it scores then."""
    groups: dict[float, list[float]] = defaultdict(list)
    for need, item in zip(needs, items, strict=True):
        groups[need].append(item.scores[STRONG] - item.scores[cheap])
    reached = sum(item.scores[cheap] for item in items)
    wanted = share * sum(item.scores[STRONG] for item in items)
    asked = 0.0
    for need in sorted(groups, reverse=True):
        if reached >= wanted:
            break
        gain, count = sum(groups[need]), len(groups[need])
        part = (wanted - reached) / gain if gain > 0 and reached + gain >= wanted else 1.0
        reached, asked = reached + part * gain, asked + part * count
    strong = asked / len(items)
    return 1 - (strong + (1 - strong) / RATIO)


def columns(needs_of: Mapping[str, Sequence[float]], items: Sequence[Item]) -> list[float]:
    """Savings at each share, of each pair of models; `needs_of` has an order for each pair."""
    return [
        saving(needs_of[pair], items, cheap, share)
        for pair, cheap in CHEAP.items()
        for share in SHARES
    ]
