"""cobot-bench-100: the whole set as a seed draws it, its daily probe, and a hash of what is asked.

A model may have learnt any set that lies in the open. Numbers and names are drawn anew from a seed,
so that what was learnt is not what is asked; an item keeps its name, so that runs can be paired.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice, zip_longest

from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.prompts.arithmetic import arithmetic_items
from cobot_meter.domain.benchmarks.prompts.code_reading import code_items
from cobot_meter.domain.benchmarks.prompts.extraction import extraction_items
from cobot_meter.domain.benchmarks.prompts.instructed import instructed_items
from cobot_meter.domain.benchmarks.prompts.logic import logic_items

NAME = "cobot-bench-100"
SIZE = 100
# What is asked every day: enough to see ten points in a few days, for a cent or less.
PROBE_SIZE = 40
_HASH_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Items in the order in which they are asked, and the seed that drew them."""

    seed: int
    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """Of all that is asked and of how it is judged: two sets are one where this is the same."""
        said = sha256(f"{NAME}\n".encode())
        for item in self.items:
            whole = (item.item_id, item.task, item.prompt, item.max_tokens, item.check)
            said.update(f"{whole!r}\n".encode())
        return said.hexdigest()[:_HASH_CHARS]


def prompt_set(seed: int, *, count: int = SIZE) -> PromptSet:
    """The first `count` items, the kinds in turn: every part of it is a small whole."""
    kinds = (
        arithmetic_items(seed),
        instructed_items(seed),
        extraction_items(seed),
        code_items(seed),
        logic_items(seed),
    )
    return PromptSet(seed=seed, items=tuple(islice(_in_turn(kinds), count)))


def _in_turn(kinds: Iterable[tuple[Item, ...]]) -> Iterable[Item]:
    rounds = chain.from_iterable(zip_longest(*kinds))
    return (item for item in rounds if item is not None)
