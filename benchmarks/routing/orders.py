"""Orders of prompts by who needs the strong model most: ours, the bounds, and other people's.

Ours is the service's own rule with its targets swept: at a task the cheap model answers where its
lower bound reaches target times the strong one's mean. With one target for all tasks a prompt's
need is mean over bound. A table has a target for each task; an operator who sets those for what
they lose in all orders tasks by the points that they lose, which is the other need.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from benchmarks.credit.peers import LITELLM_ENV, LOCKS, installed, peers_folder
from benchmarks.routing.recorded import CHEAP, STRONG, Item
from cobot_meter.domain.routing.hints import Task
from cobot_meter.domain.routing.rules import RequestFacts, bounded_turn, task_of
from cobot_meter.domain.routing.table import Record, SuccessTable, Tier

LITELLM_S = 300.0
# Run by the other program's own interpreter: prompts in, tier scores out, as JSON.
_LITELLM = """
import json, sys
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter
tiers = dict.fromkeys(("SIMPLE", "MEDIUM", "COMPLEX", "REASONING"), "m")
router = ComplexityRouter("auto", None, {"tiers": tiers}, default_model="m")
json.dump([router.classify(prompt)[1] for prompt in json.load(sys.stdin)], sys.stdout)
"""
Needs = Mapping[str, Sequence[float]]
Need = Callable[[Record, Record], float]


def same(items: Sequence[Item]) -> Needs:
    """Nobody is told from anybody: what chance would save."""
    return dict.fromkeys(CHEAP, [0.0] * len(items))


def oracle(items: Sequence[Item]) -> Needs:
    """Who knows what each model will answer."""
    return {
        pair: [item.scores[STRONG] - item.scores[cheap] for item in items]
        for pair, cheap in CHEAP.items()
    }


def by_length(items: Sequence[Item]) -> Needs:
    """The longer, the harder: nothing simpler could be meant."""
    return {key: [float(len(item.prompt)) for item in items] for key in CHEAP}


def declared(items: Sequence[Item]) -> list[str]:
    """The task as its caller would declare it: the data set that it is of."""
    return [item.of for item in items]


def read_by_rules(items: Sequence[Item]) -> list[str]:
    """The task as the service reads it off the prompt."""
    return [
        (task_of(RequestFacts(turn=bounded_turn(item.prompt)))[0] or Task.GENERAL).value
        for item in items
    ]


def by_table(
    tasks: Sequence[str], train: Sequence[Item], train_tasks: Sequence[str], need: Need
) -> dict[str, list[float]]:
    """Needs from the records of `train`; a task without any is judged by all of them."""
    needs: dict[str, list[float]] = {}
    for pair, cheap in CHEAP.items():
        records = _records(train, train_tasks, cheap)
        by_task = {task: need(*records.get(task, records[_ALL])) for task in set(tasks)}
        needs[pair] = [by_task[task] for task in tasks]
    return needs


def by_priors(tasks: Sequence[str], successes: SuccessTable) -> Needs:
    """Needs from the shipped table, which has seen none of these data: its best cheap model."""
    cheap = [name for name, tier in successes.tiers.items() if tier is Tier.CHEAP]

    def need(task: str) -> float:
        best = max((successes.record(task, name) for name in cheap), key=lambda one: one.lower_ppm)
        return one_target(successes.premium(task)[1], best)

    by_task = {task: need(task) for task in set(tasks)}
    return {pair: [by_task[task] for task in tasks] for pair in CHEAP}


def left_out(items: Sequence[Item], tasks: Sequence[str], need: Need) -> Needs:
    """Each data set judged by a table that was filled without it."""
    needs: dict[str, list[float]] = {pair: [0.0] * len(items) for pair in CHEAP}
    for held in {item.of for item in items}:
        rest = [at for at, item in enumerate(items) if item.of != held]
        out = [at for at, item in enumerate(items) if item.of == held]
        found = by_table(
            [tasks[at] for at in out],
            [items[at] for at in rest],
            [tasks[at] for at in rest],
            need,
        )
        for pair in CHEAP:
            for at, found_need in zip(out, found[pair], strict=True):
                needs[pair][at] = found_need
    return needs


def litellm_v1(items: Sequence[Item], notes: list[str]) -> Needs | None:
    """Its heuristic's own score; `notes` gains why there is none where there is none."""
    peer = installed("LiteLLM", lock=LOCKS / "litellm.lock", below=peers_folder())
    if peer.folder is None:
        notes.append(peer.without)
        return None
    done = subprocess.run(
        [str(peer.folder / "bin" / "python"), "-c", _LITELLM],
        input=json.dumps([item.prompt for item in items]),
        capture_output=True,
        text=True,
        timeout=LITELLM_S,
        check=False,
        env={**os.environ, **LITELLM_ENV},
    )
    if done.returncode:
        notes.append(f"LiteLLM is left out: {done.stderr.strip().splitlines()[-1][:200]}")
        return None
    scores: list[float] = json.loads(done.stdout)
    return dict.fromkeys(CHEAP, scores)


_ALL = ""


def _records(
    items: Sequence[Item], tasks: Sequence[str], cheap: str
) -> Mapping[str, tuple[Record, Record]]:
    """The strong and the cheap model's record at each task, and over all of them."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for item, task in zip(items, tasks, strict=True):
        for name in (task, _ALL):
            kept = sums[name]
            kept[0] += item.scores[STRONG]
            kept[1] += item.scores[cheap]
            kept[2] += 1
    return {
        task: (
            Record(successes=round(strong), trials=int(count)),
            Record(successes=round(weak), trials=int(count)),
        )
        for task, (strong, weak, count) in sums.items()
    }


def one_target(strong: Record, weak: Record) -> float:
    """How high one target for all tasks may be before the cheap model no longer answers."""
    return strong.mean_ppm / max(weak.lower_ppm, 1)


def points_lost(strong: Record, weak: Record) -> float:
    """What is lost at the task by asking the cheap model: what a target of its own is set by."""
    return float(strong.mean_ppm - weak.mean_ppm)
