"""A run: every item at every model in turn, each record kept before the next item is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.cli.bench.bench_caller import BenchCaller, RunEnds
from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.prompts.prompt_set import PromptSet
from cobot_meter.domain.benchmarks.record import BenchRecord, RunHead, RunKind, record_of
from cobot_meter.ports.process import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is asked of whom; `asked` are pairs of item and model that need not be asked again."""

    run_id: str
    kind: RunKind
    prompts: PromptSet
    models: tuple[str, ...]
    asked: Collection[tuple[str, str]] = ()

    @property
    def head(self) -> RunHead:
        """What its records begin with."""
        return RunHead(
            run_id=self.run_id,
            kind=self.kind,
            prompt_set=self.prompts.digest,
            seed=self.prompts.seed,
        )

    def steps(self) -> Iterator[tuple[Item, str]]:
        """Item by item: whatever the hour does to the network it does to all models alike."""
        for item in self.prompts.items:
            for model in self.models:
                if (item.item_id, model) not in self.asked:
                    yield item, model


class BenchRun:
    """Runs plans at one service."""

    def __init__(self, *, caller: BenchCaller, kept: RecordFile, clock: Clock) -> None:
        """Everything is kept in one file, whatever plan it is of."""
        self._caller = caller
        self._kept = kept
        self._clock = clock

    async def run(self, plan: RunPlan, tell: Callable[[str], None]) -> list[BenchRecord]:
        """The records, in order. Raises RunEnds, which says how many there are."""
        records: list[BenchRecord] = []
        steps = list(plan.steps())
        for number, (item, model) in enumerate(steps, start=1):
            tell(f"{number} of {len(steps)}: {item.item_id} at {model}")
            try:
                records.append(await self._step(plan, item, model))
            except RunEnds as end:
                message = f"{end} (kept: {len(records)} of {len(steps)} records)"
                raise RunEnds(message) from end
        return records

    async def _step(self, plan: RunPlan, item: Item, model: str) -> BenchRecord:
        at_ms = self._clock.now_ms()
        name = f"{plan.run_id}-{item.item_id}-{plan.models.index(model)}"
        reply = await self._caller.ask(model, item, seed=plan.prompts.seed, name=name)
        record = record_of(plan.head, item, model, reply, at_ms=at_ms)
        self._kept.append(record)
        return record
