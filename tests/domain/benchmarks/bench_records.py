"""Records to begin with."""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.benchmarks.prompts.prompt_set import prompt_set
from cobot_meter.domain.benchmarks.record import (
    MS_PER_DAY,
    BenchRecord,
    Reply,
    RunHead,
    RunKind,
    record_of,
)

MODEL = "maker/model"
NOW_MS = 20_000 * MS_PER_DAY
ITEMS = prompt_set(1).items
HEAD = RunHead(run_id="bench-1", kind=RunKind.FULL, prompt_set="0" * 16, seed=1)
REPLY = Reply(
    provider="Mistral",
    generation_id="gen-1",
    prompt_tokens=40,
    completion_tokens=9,
    cost_pusd=1_000_000,
    price_msat=2,
    finish_reason="stop",
    ttft_ms=100,
    total_ms=400,
)


def record(number: int = 0, *, right: bool = True, **changes: object) -> BenchRecord:
    """What item `number` came to at a model."""
    item = ITEMS[number]
    reply = replace(REPLY, text=item.solution if right else "I do not know that.")
    made = record_of(HEAD, item, MODEL, reply, at_ms=NOW_MS)
    return replace(made, **changes)  # type: ignore[arg-type]
