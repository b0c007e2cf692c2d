"""The sets of prompts as a seed draws them, the daily probe, and a hash of what is asked.

A model may have learnt any set that lies in the open. Numbers and names are drawn anew from a seed,
so that what was learnt is not what is asked; an item keeps its name, so that runs can be paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice, zip_longest

from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.prompts.arithmetic import arithmetic_items
from cobot_meter.domain.benchmarks.prompts.code_reading import code_items
from cobot_meter.domain.benchmarks.prompts.extraction import extraction_items
from cobot_meter.domain.benchmarks.prompts.instructed import instructed_items
from cobot_meter.domain.benchmarks.prompts.logic import logic_items
from cobot_meter.domain.benchmarks.prompts.routine.factual import factual_items
from cobot_meter.domain.benchmarks.prompts.routine.rewriting import rewriting_items
from cobot_meter.domain.benchmarks.prompts.routine.sorting import sorting_items
from cobot_meter.domain.benchmarks.prompts.routine.summaries import summary_items
from cobot_meter.domain.benchmarks.prompts.routine.translation import translation_items

# A set that asks anything else, or judges otherwise, gets a name of its own.
NAME, ROUTINE = "cobot-bench-100", "cobot-bench-routine-70"
SIZE, ROUTINE_SIZE = 100, 70
# What is asked every day: enough to see ten points within four days, for a cent or two.
PROBE_SIZE = 60
_HASH_CHARS = 16
_KINDS: Mapping[str, tuple[Callable[[int], tuple[Item, ...]], ...]] = {
    NAME: (arithmetic_items, instructed_items, extraction_items, code_items, logic_items),
    ROUTINE: (factual_items, sorting_items, translation_items, rewriting_items, summary_items),
}
SIZES: Mapping[str, int] = {NAME: SIZE, ROUTINE: ROUTINE_SIZE}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Items in the order in which they are asked, and the seed that drew them."""

    name: str = NAME
    seed: int
    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """Of all that is asked and of how it is judged: two sets are one where this is the same."""
        said = sha256(f"{self.name}\n".encode())
        for item in self.items:
            whole = (item.item_id, item.task, item.prompt, item.max_tokens, item.check)
            said.update(f"{whole!r}\n".encode())
        return said.hexdigest()[:_HASH_CHARS]


def prompt_set(seed: int, *, count: int | None = None, name: str = NAME) -> PromptSet:
    """The first `count` items, the kinds in turn: every part of it is a small whole.

    Raises KeyError for a name that no set has.
    """
    kinds = tuple(kind(seed) for kind in _KINDS[name])
    return PromptSet(name=name, seed=seed, items=tuple(islice(_in_turn(kinds), count)))


def _in_turn(kinds: Iterable[tuple[Item, ...]]) -> Iterable[Item]:
    rounds = chain.from_iterable(zip_longest(*kinds))
    return (item for item in rounds if item is not None)
