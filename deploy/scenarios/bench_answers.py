"""What simulated models know of the benchmark: a simulator makes answers up, and none is right."""

from __future__ import annotations

from collections.abc import Mapping

from cobot_meter.domain.benchmarks.prompts.prompt_set import prompt_set

SEED = 1


def known_answers(right: Mapping[str, int], *, items: int) -> dict[str, dict[str, str]]:
    """By model the right answers to so many of the first `items` prompts."""
    asked = prompt_set(SEED, count=items).items
    return {
        model: {item.prompt: item.solution for item in asked[:count]}
        for model, count in right.items()
    }
