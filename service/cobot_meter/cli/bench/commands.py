"""`bench`: run a set of prompts at models, report what they did, and watch them daily."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from datetime import date
from typing import Annotated

import httpx
import typer

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.bench.asked_items import HELP, asked_items
from cobot_meter.cli.bench.bench_caller import TIMEOUT_S, BenchCaller
from cobot_meter.cli.bench.bench_run import BenchRun, RunPlan
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.tables.benchmarks import movements_table, summaries_table, watch_table
from cobot_meter.cli.terminal import CommandFailed, Misused, Terminal, run, terminal_of
from cobot_meter.domain.benchmarks.model_watch import (
    WatchState,
    WatchTerms,
    watch_providers,
)
from cobot_meter.domain.benchmarks.overview import OVERVIEW_DAYS, overview_of
from cobot_meter.domain.benchmarks.prompts.prompt_set import (
    NAME,
    PROBE_SIZE,
    prompt_set,
)
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, BenchRecord, RunKind
from cobot_meter.domain.benchmarks.summary import by_model, summaries_of
from cobot_meter.ports.bench_records import KeptRecords

MODELS_MAX = 24
SEED_MAX = 10**9
# The same sixty items every day: a day is compared with the days before it.
PROBE_SEED = 1
DAYS_MAX = 3_650

Models = Annotated[
    str, typer.Option("--models", help="Model ids, separated by commas; all are asked alike.")
]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, max=SEED_MAX, help="What numbers and names are drawn from."),
]
Key = Annotated[
    str | None,
    typer.Option("--key", help="The API key that pays; else COBOT_METER_BENCH_KEY(_FILE)."),
]


def bench_run(
    context: typer.Context,
    models: Models,
    items: Annotated[str, typer.Option("--items", help=HELP)] = NAME,
    seed: Seed = 1,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask the set of models on a prepaid key, and keep a record of each answer.

    Exit codes: 0 asked, 1 refused (credit, key, model), 2 usage or settings, 3 no service.
    """
    terminal = terminal_of(context)
    kind, prompts = asked_items(items, seed=seed)
    plan = RunPlan(
        run_id=f"bench-{secrets.token_hex(8)}", kind=kind, prompts=prompts, models=_named(models)
    )
    records = _ran(terminal, plan, key=key)
    found = summaries_of(records)
    if as_json:
        terminal.write_json([asdict(record) for record in records])
    else:
        title = f"{prompts.name}, {len(prompts.items)} items of seed {seed} ({prompts.digest})"
        terminal.out.print(summaries_table(title, found))


def bench_report(
    context: typer.Context,
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MAX, help="How far back the table goes.")
    ] = OVERVIEW_DAYS,
    as_json: AsJson = False,
) -> None:
    """Show what each model did, with intervals, and what moved since last week.

    Exit codes: 0 shown, 1 nothing was ever run, 2 usage or settings.
    """
    terminal = terminal_of(context)
    now_ms = SystemClock().now_ms() + 1
    kept = records_of(terminal, since_ms=now_ms - days * MS_PER_DAY)
    found = overview_of(kept.records, at_ms=now_ms, passed_over=kept.passed_over, days=days)
    if as_json:
        terminal.write_json(found.document())
        return
    terminal.out.print(summaries_table(f"The last {days} days", found.models))
    if found.public:
        terminal.out.print(summaries_table("Items that every model may have learnt", found.public))
    terminal.out.print(movements_table(found.movements))
    _tell_passed_over(terminal, kept)


def bench_watch(
    context: typer.Context,
    models: Models,
    key: Key = None,
    since: Annotated[
        str, typer.Option("--since", help="The day from which on what is usual is learnt anew.")
    ] = "",
    only_look: Annotated[
        bool, typer.Option("--only-look", help="Ask nothing; judge what is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask each model sixty items, once a day, and say whether it fell or slowed down.

    Exit codes: 0 nothing moved, 1 something did (or the service refused), 2 usage or settings, 3 no
    service.
    """
    terminal = terminal_of(context)
    named, since_day = _named(models), _day_of(since)
    if not only_look:
        _probe(terminal, named, key=key)
    own = by_model(_file(terminal).read(since_ms=since_day * MS_PER_DAY).records)
    states = [
        state
        for model in named
        for state in watch_providers(model, own.get(model, []), WatchTerms(), since_day=since_day)
    ]
    if as_json:
        terminal.write_json([_state_document(one) for one in states])
    else:
        terminal.out.print(watch_table(states))
    if any(one.moved for one in states):
        raise typer.Exit(ExitCode.FINDING)


def _probe(terminal: Terminal, models: tuple[str, ...], *, key: str | None) -> None:
    """What was asked today already is not asked and paid for again."""
    now_ms = SystemClock().now_ms()
    kept = _file(terminal).read(since_ms=now_ms - now_ms % MS_PER_DAY)
    plan = RunPlan(
        run_id=f"probe-{secrets.token_hex(8)}",
        kind=RunKind.PROBE,
        prompts=prompt_set(PROBE_SEED, count=PROBE_SIZE),
        models=models,
        asked={(one.item_id, one.model) for one in kept.records if one.kind is RunKind.PROBE},
    )
    if any(True for _ in plan.steps()):
        _ran(terminal, plan, key=key)


def _ran(terminal: Terminal, plan: RunPlan, *, key: str | None) -> list[BenchRecord]:
    settings = terminal.settings()
    paying = key or settings.bench_key.reveal()
    if not paying:
        message = (
            "no key to pay with: give --key or COBOT_METER_BENCH_KEY; `cobot-meter topup 5000 "
            "--key bench --pay` makes one of play money"
        )
        raise Misused(message)
    return run(_asked(terminal, plan, address=settings.face.public_url, key=paying))


async def _asked(terminal: Terminal, plan: RunPlan, *, address: str, key: str) -> list[BenchRecord]:
    kept = _file(terminal)
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT_S, trust_env=False) as http:
        caller = BenchCaller(http=http, key=key, now_ns=time.perf_counter_ns)
        await caller.refuse_unoffered(plan.models)
        with terminal.out.status("asking") as status:
            bench = BenchRun(caller=caller, kept=kept, clock=SystemClock())
            return await bench.run(plan, status.update)


def _named(models: str) -> tuple[str, ...]:
    named = tuple(word.strip() for word in models.split(",") if word.strip())
    if not 0 < len(named) <= MODELS_MAX:
        message = (
            f"--models takes 1 to {MODELS_MAX} model ids with commas between, not {len(named)}"
        )
        raise Misused(message)
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        message = f"--models names {', '.join(twice)} more than once: name each once"
        raise Misused(message)
    return named


def _day_of(since: str) -> int:
    if not since:
        return 0
    try:
        return max(0, (date.fromisoformat(since) - date(1970, 1, 1)).days)
    except ValueError as fault:
        message = f"--since {since}: a day is written as 2026-11-29"
        raise Misused(message) from fault


def _file(terminal: Terminal) -> RecordFile:
    return RecordFile(terminal.settings().data_dir)


def records_of(terminal: Terminal, *, since_ms: int) -> KeptRecords:
    """All that is as young. Raises CommandFailed where there is nothing."""
    kept = _file(terminal).read(since_ms=since_ms)
    if not kept.records:
        message = "there are no records of that time: `cobot-meter bench run --models …` makes some"
        raise CommandFailed(message)
    return kept


def _tell_passed_over(terminal: Terminal, kept: KeptRecords) -> None:
    if kept.passed_over:
        terminal.out.print(f"passed over: {kept.passed_over} lines that are no whole records")


def _state_document(state: WatchState) -> dict[str, object]:
    return {**asdict(state), "learning": state.learning, "moved": state.moved}
