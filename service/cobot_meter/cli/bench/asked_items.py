"""What `--items` says: so many of a set, or problems out of a file of other people's."""

from __future__ import annotations

import re
from pathlib import Path

from cobot_meter.cli.terminal import Misused
from cobot_meter.domain.benchmarks.prompts.gsm8k import NAME as GSM8K
from cobot_meter.domain.benchmarks.prompts.gsm8k import gsm8k_set
from cobot_meter.domain.benchmarks.prompts.prompt_set import (
    NAME,
    SIZE,
    SIZES,
    PromptSet,
    prompt_set,
)
from cobot_meter.domain.benchmarks.record import RunKind

HELP = (
    f"COUNT of {NAME}, or SET or SET:COUNT of {', '.join(SIZES)}, or {GSM8K}:FILE or "
    f"{GSM8K}:FILE:COUNT."
)
# Of a line of a file with problems.
LINE_CHARS_MAX = 65_536
_COUNTED = re.compile(r"(.*?)(?:(?:^|:)([0-9]{1,6}))?", re.DOTALL)


def asked_items(said: str, *, seed: int) -> tuple[RunKind, PromptSet]:
    """The items, and of which kind a run of them is. Raises Misused."""
    match = _COUNTED.fullmatch(said)
    named, count = (match[1], match[2]) if match else (said, None)
    items = int(count) if count else None
    if items == 0:
        raise Misused("--items 0 asks nothing")
    whose, _, path = named.partition(":")
    if whose == GSM8K and path:
        return RunKind.PUBLIC, _gsm8k(Path(path), items or SIZE, seed)
    return RunKind.FULL, _set(named or NAME, items, seed)


def _set(name: str, items: int | None, seed: int) -> PromptSet:
    if name not in SIZES:
        message = f"--items {name}: give {HELP.removesuffix('.')}"
        raise Misused(message)
    if items is not None and items > SIZES[name]:
        message = f"--items {items}: {name} has {SIZES[name]}"
        raise Misused(message)
    return prompt_set(seed, count=items, name=name)


def _gsm8k(path: Path, items: int, seed: int) -> PromptSet:
    try:
        with path.open(encoding="utf-8") as file:
            lines = iter(lambda: file.readline(LINE_CHARS_MAX), "")
            return gsm8k_set(lines, seed=seed, count=items)
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        message = f"--items {GSM8K}:{path}: {why}"
        raise Misused(message) from fault
