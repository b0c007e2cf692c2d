"""The set as a whole: what is asked, and that each item can be solved and be failed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.prompts.code_reading import code_items
from cobot_meter.domain.benchmarks.prompts.logic import logic_items
from cobot_meter.domain.benchmarks.prompts.prompt_set import (
    PROBE_SIZE,
    ROUTINE,
    ROUTINE_SIZE,
    SIZE,
    PromptSet,
    prompt_set,
)
from cobot_meter.domain.routing.hints import Task

SEEDS = st.integers(min_value=0, max_value=10**9)
# What a model says that has not understood, and what the simulator may say.
EMPTY_WORDS = (
    "",
    "   ",
    "?",
    "I am sorry, I cannot help with that request, whatever it was.",
    "[]",
)


def both(seed: int) -> tuple[Item, ...]:
    """The items of both sets."""
    return (*prompt_set(seed).items, *prompt_set(seed, name=ROUTINE).items)


def test_every_task_of_the_table_is_measured() -> None:
    """The two sets together have items of each, and no two of them share a name."""
    ends = {Task.CHEAP, Task.PREMIUM}
    assert {item.task for item in both(1)} == {task.value for task in Task if task not in ends}
    assert len({item.item_id for item in both(1)}) == SIZE + ROUTINE_SIZE


def test_there_are_a_hundred_items_and_five_kinds() -> None:
    """The kinds are there in the numbers that the documents say."""
    items = prompt_set(1).items
    assert len({item.item_id for item in items}) == len(items) == SIZE
    found = Counter(item.task for item in items)
    assert found == {"maths": 30, "general": 25, "extraction": 15, "code": 15, "reasoning": 15}


def test_the_probe_is_the_whole_set_made_small() -> None:
    """Its sixty items are the first of the set, twelve of each kind."""
    probe, whole = prompt_set(3, count=PROBE_SIZE), prompt_set(3)
    assert probe.items == whole.items[:PROBE_SIZE]
    assert set(Counter(item.task for item in probe.items).values()) == {12}


@given(SEEDS)
def test_every_item_can_be_solved_and_failed(seed: int) -> None:
    """Its own solution passes whatever is drawn; nothing and empty words do not."""
    for item in both(seed):
        assert item.check.passes(item.solution), item
        for said in EMPTY_WORDS:
            assert not item.check.passes(said), (item.item_id, said)


@given(SEEDS)
def test_the_solution_is_not_in_the_prompt(seed: int) -> None:
    """What is right is asked for and not given away: no prompt has its solution in it."""
    for item in both(seed):
        assert item.solution not in item.prompt
        assert item.solution not in item.prompt.splitlines()


def test_a_seed_draws_the_same_for_ever() -> None:
    """The hashes of seed 1 are written down here: a change of any item is a change of its set."""
    assert prompt_set(1).digest == prompt_set(1).digest == "dd9bf3bb31039b8e"
    assert prompt_set(1, name=ROUTINE).digest == "41da40e1146466f9"
    assert prompt_set(1, count=PROBE_SIZE).digest != prompt_set(1).digest


def test_other_seeds_ask_otherwise_under_the_same_names() -> None:
    """Runs of two seeds can be paired by item, and hardly any prompt is the same in both."""
    one, other = prompt_set(1), prompt_set(2)
    assert [item.item_id for item in one.items] == [item.item_id for item in other.items]
    assert one.digest != other.digest
    same = sum(a.prompt == b.prompt for a, b in zip(one.items, other.items, strict=True))
    assert same <= 6


def test_the_hash_knows_how_replies_are_judged() -> None:
    """Two sets that ask alike and judge otherwise are two sets."""
    first, other, *_ = prompt_set(1).items
    judged_otherwise = replace(first, check=other.check)
    digests = {PromptSet(seed=1, items=(one,)).digest for one in (first, judged_otherwise)}
    assert len(digests) == 2


@pytest.mark.parametrize("seed", [1, 7])
def test_programs_print_what_the_items_say(seed: int) -> None:
    """Each program is run here, and only here; what it prints is the item's solution."""
    for item in code_items(seed):
        source = item.prompt.partition("```python\n")[2].removesuffix("\n```")
        done = subprocess.run(
            [sys.executable, "-I", "-c", source],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert item.solution == f"Answer: {done.stdout.rstrip(chr(10))}", item.item_id


@given(SEEDS)
def test_orders_that_are_told_have_one_solution(seed: int) -> None:
    """Of all orders of the queue only one has every neighbour that the clues say."""
    queue = logic_items(seed)[0]
    clues = [
        sentence.split(" stands right before ")
        for sentence in queue.prompt.partition("queue. ")[2].partition(" Who")[0].split(". ")
    ]
    pairs = [(one, other.rstrip(".")) for one, other in clues]
    names = sorted({name for pair in pairs for name in pair})
    fitting = [
        order
        for order in permutations(names)
        if all(order.index(one) + 1 == order.index(other) for one, other in pairs)
    ]
    assert [f"Answer: {order[2]}" for order in fitting] == [queue.solution]


@given(SEEDS, st.integers(-50, 50), st.integers(0, 100))
def test_draws_stay_in_their_bounds(seed: int, low: int, width: int) -> None:
    """Both ends included, each of several once, and the same when drawn again."""
    draws = Draws(seed, "x")
    assert low <= draws.between(low, low + width) <= low + width
    assert sorted(draws.some_of("abcdef", 6)) == list("abcdef")
    assert Draws(seed, "y").some_of("abcdef", 3) == Draws(seed, "y").some_of("abcdef", 3)
