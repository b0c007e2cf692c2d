"""`bench table`: what was measured becomes the table that routing reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.bench.commands import DAYS_MAX, records_of
from cobot_meter.cli.tables.benchmarks import reach_table
from cobot_meter.cli.terminal import CommandFailed, Misused, Terminal, terminal_of
from cobot_meter.domain.benchmarks.overview import OVERVIEW_DAYS
from cobot_meter.domain.benchmarks.record import MS_PER_DAY
from cobot_meter.domain.benchmarks.success_table import NO_TABLE, prior_of, success_table
from cobot_meter.domain.benchmarks.summary import parted
from cobot_meter.domain.routing.reach import reach_of
from cobot_meter.domain.routing.table import read_table
from cobot_meter.wiring.opening.routing_table import BYTES_MAX, SETTING, table_document


def bench_table(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="The file that is written.")],
    prior: Annotated[
        Path | None,
        typer.Option(
            "--prior",
            help="A table whose tiers, targets and other rows stay; else the one in use.",
        ),
    ] = None,
    only_measured: Annotated[
        bool, typer.Option("--only-measured", help="Take nothing over from any table.")
    ] = False,
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MAX, help="How far back records count.")
    ] = OVERVIEW_DAYS,
) -> None:
    """Write the table of successes that routing reads, out of the records.

    Exit codes: 0 written, 1 nothing to write or no table to build on, 2 usage or settings.
    """
    terminal = terminal_of(context)
    if only_measured and prior is not None:
        message = "--only-measured takes nothing over, and --prior names what is: give one of them"
        raise Misused(message)
    now_ms = SystemClock().now_ms()
    kept = records_of(terminal, since_ms=now_ms - days * MS_PER_DAY)
    own, _ = parted(kept.records)
    version = datetime.fromtimestamp(now_ms // 1_000, tz=UTC).strftime("%Y-%m-%d")
    try:
        before = NO_TABLE if only_measured else prior_of(_prior(terminal, prior))
        document = success_table(own, version=version, prior=before)
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if len(content) > BYTES_MAX:
            message = f"the table would be longer than {BYTES_MAX} bytes: a service reads no such"
            raise CommandFailed(message)
        # As the service will read it: what it would not start with is not written.
        table = read_table(json.loads(content))
    except ValueError as fault:
        raise CommandFailed(str(fault)) from fault
    out.write_bytes(content)
    terminal.out.print(reach_table(reach_of(table), document["measured"]))
    terminal.out.print(
        f"{out}: {len(table.tiers)} models, {len(own)} records; decisions will name it "
        f"{table.version}. {SETTING}={out} puts it to use at the next start."
    )


def _prior(terminal: Terminal, named: Path | None) -> object:
    """Raises ValueError for what is no JSON, OSError for what cannot be read."""
    return table_document(named if named is not None else terminal.settings().routing_table)
