"""`tasks list` and `show`: what sellers sell, from the opening on. They change nothing.

A task has no invoice before it is closed, so `invoices list` cannot show what is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from cobot_meter.cli.commands.invoice import details, document, entries_of, node_says
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.lookup import PAGE, find_caller, find_invoice
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.tables.tasks import task_document, tasks_table
from cobot_meter.cli.terminal import CommandFailed, Misused, Terminal, run, terminal_of
from cobot_meter.cli.wording import moment, usd
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.tasks import OPEN_TASK
from cobot_meter.domain.run.record import Run
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.wiring.opening.databases import open_reports
from cobot_meter.wiring.settings.settings import Settings

LISTED = 20
LISTED_MAX = 10_000
# What a task may be once it is closed or over, in the order in which it comes to them.
ENDED = ("costed", "invoiced", "settled", "released", "expired", "refunded", "failed")
STATES = (OPEN_TASK, *ENDED)


def list_tasks(
    context: typer.Context,
    state: Annotated[str, typer.Option(help="Only those in this state, e.g. open.")] = "",
    seller: Annotated[str, typer.Option(help="Only those that this caller sells.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="How many.")] = LISTED,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first: who sells each, its runs, its price taken apart, what is earned.

    The last line adds up what is listed.
    """
    if state not in ("", *STATES):
        message = f"--state {state} means nothing: say one of {', '.join(STATES)}"
        raise Misused(message)
    terminal = terminal_of(context)
    rows = run(_listed(terminal.settings(), state=state, seller=seller, limit=limit))
    if as_json:
        terminal.write_json([task_document(row) for row in rows])
    else:
        terminal.print_rows(tasks_table("Tasks, in msat", rows, whole=True))


async def _listed(settings: Settings, *, state: str, seller: str, limit: int) -> list[Escrow]:
    async with open_reports(settings) as books, books.snapshot() as reports:
        seller_id = (await find_caller(reports, seller)).caller_id if seller else None
        found: list[Escrow] = []
        async for task in _tasks(reports):
            sold_by = task.task.seller_id if task.task else None
            if state in {"", task.task_state} and seller_id in {None, sold_by}:
                found.append(task)
            if len(found) == limit:
                break
    return found


async def _tasks(reports: LedgerReports) -> AsyncIterator[Escrow]:
    """Page by page, newest first."""
    before: int | None = None
    while True:
        page = await reports.task_page(before=before, limit=PAGE)
        for row in page.rows:
            yield row
        before = page.before
        if before is None:
            return


def show_task(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Task id, its end, or payment hash.")],
    as_json: AsJson = False,
) -> None:
    """Show one task: its seller, every run, its price taken apart, its invoice and its entries."""
    run(_show(terminal_of(context), task, as_json=as_json))


async def _show(terminal: Terminal, given: str, *, as_json: bool) -> None:
    settings = terminal.settings()
    async with open_reports(settings) as books, books.snapshot() as reports:
        row = await find_invoice(reports, given)
        if not isinstance(row, Escrow) or row.task is None:
            message = f"{given} is no task: `cobot-meter invoices show {given}` shows what it is"
            raise CommandFailed(message)
        entries = await entries_of(reports, row)
        runs = await reports.runs_of(row.escrow_id)
    said = await node_says(settings, row)
    if as_json:
        sold = {**task_document(row), "escrow": document(row), "node": said}
        terminal.write_json({**sold, "attempts": runs[1:], "entries": entries})
    else:
        terminal.out.print(Group(details(row, said, entries), _runs_table(row, runs)))


def _runs_table(task: Escrow, runs: tuple[Run, ...]) -> Table:
    """Without the run that a task opens with, which asks nobody."""
    table = plain_table("Runs", foot=True)
    table.add_column("time (UTC)", footer=f"{len(runs) - 1:,} runs", no_wrap=True)
    for header in ("model", "state", "upstream"):
        table.add_column(header, overflow="fold")
    table.add_column("cost", footer=usd(task.priced_pusd), justify="right", no_wrap=True)
    table.add_column("known by", no_wrap=True)
    for one in runs[1:]:
        table.add_row(
            moment(one.opened_at_ms),
            one.instead.model if one.instead else task.model,
            f"failed: {one.failure.code}" if one.failure else one.state.value,
            one.upstream,
            usd(one.cost_pusd) if one.cost else "",
            one.cost.standing.value if one.cost else "",
        )
    return table
