"""`ledger` and `audit`: read the books beside a running service. They change nothing."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.lookup import find_caller
from cobot_meter.cli.tables.audit import audit_document, audit_report
from cobot_meter.cli.tables.balances import standing_line, statement, trial_balance
from cobot_meter.cli.tables.tasks import task_document, tasks_table
from cobot_meter.cli.terminal import Terminal, run, terminal_of
from cobot_meter.cli.wording import name
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.ports.ledger_reports import Balance, JournalEntry
from cobot_meter.wiring.opening.databases import open_reports
from cobot_meter.wiring.opening.nodes import open_node_to_look
from cobot_meter.wiring.opening.ports import look_at_secret
from cobot_meter.wiring.opening.upstreams import open_upstream
from cobot_meter.wiring.operator_offline import build_audit

ENTRIES = 50
ENTRIES_MAX = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def ledger(
    context: typer.Context,
    caller: Annotated[str, typer.Option(help="Show this caller's statement too.")] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=ENTRIES_MAX, help="Entries of the statement.")
    ] = ENTRIES,
    as_json: AsJson = False,
) -> None:
    """Show the trial balance in msat and USD, and with --caller a caller's statement.

    Exit codes: 0 shown, 1 no such caller, 2 usage or settings, 3 database away, 4 broken.
    """
    terminal = terminal_of(context)
    run(_ledger(terminal, caller=caller, limit=limit, as_json=as_json))


async def _ledger(terminal: Terminal, *, caller: str, limit: int, as_json: bool) -> None:
    async with open_reports(terminal.settings()) as books, books.snapshot() as reports:
        rows = await reports.trial_balance()
        standing = await find_caller(reports, caller) if caller else None
        entries: tuple[JournalEntry, ...] = ()
        tasks: list[Escrow] = []
        if standing:
            caller_id = standing.caller_id
            entries = await reports.statement(caller_id, before=None, limit=limit)
            sold = await reports.sold_tasks(caller_id, before=None, limit=limit)
            tasks = sorted(sold, key=lambda task: task.opened_at_ms, reverse=True)
    if as_json:
        terminal.write_json(
            {
                "trial_balance": [_balance_document(row) for row in rows],
                "caller": standing,
                "statement": entries,
                "tasks_sold": [task_document(task) for task in tasks],
            }
        )
        return
    if standing:
        terminal.out.print(statement(standing.caller_id, entries))
        if tasks:
            title = f"Tasks sold by {name(standing.caller_id)}, in msat"
            terminal.print_rows(tasks_table(title, tasks, whole=False))
        terminal.out.print(f"{standing_line(standing)}\n")
    terminal.out.print(trial_balance(rows))


def audit(context: typer.Context, as_json: AsJson = False) -> None:
    """Hold the books against themselves, the node and the upstream.

    Exit codes: 0 the books are right, 1 a finding, 2 usage or settings, 3 not all could be
    looked at (node, upstream or database away), 4 broken.
    """
    terminal = terminal_of(context)
    report = run(_audit(terminal))
    if as_json:
        terminal.write_json(audit_document(report))
    else:
        terminal.out.print(audit_report(report))
    if report.sound:
        run(look_at_secret(terminal.settings()))
    code = exit_code(report)
    if code is not ExitCode.RIGHT:
        raise typer.Exit(code)


def exit_code(report: AuditReport) -> ExitCode:
    """A finding says more than what could not be looked at."""
    if not report.sound:
        return ExitCode.FINDING
    return ExitCode.COULD_NOT_LOOK if report.unchecked else ExitCode.RIGHT


async def _audit(terminal: Terminal) -> AuditReport:
    settings = terminal.settings()
    async with contextlib.AsyncExitStack() as stack:
        reports = await stack.enter_async_context(open_reports(settings))
        upstream = await stack.enter_async_context(open_upstream(settings))
        node = await stack.enter_async_context(open_node_to_look(settings))
        with terminal.out.status("reading the journal"):
            return await build_audit(
                reports, node=node, upstream=upstream, settings=settings
            ).audit()


def _balance_document(row: Balance) -> dict[str, object]:
    return {
        "account": row.account,
        "commodity": row.commodity,
        "nature": row.nature,
        "debits_posted": row.debits_posted,
        "credits_posted": row.credits_posted,
        "debits_pending": row.debits_pending,
        "credits_pending": row.credits_pending,
        "net": row.net,
    }
