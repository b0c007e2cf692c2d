"""`ledger` and `audit`: read the books beside a running service. They change nothing."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from service.cli.audit_table import audit_document, audit_report
from service.cli.balance_tables import standing_line, statement, trial_balance
from service.cli.exit_codes import ExitCode
from service.cli.found import find_caller
from service.cli.terminal import Terminal, run, terminal_of
from service.flows.audit_findings import AuditReport
from service.ports.ledger_reports import Balance, JournalEntry
from service.wiring.databases import open_reports
from service.wiring.nodes import open_node_to_look
from service.wiring.operator_doors import build_audit
from service.wiring.upstreams import open_upstream

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
    """Show the trial balance in msat and USD, and with --caller a caller's statement."""
    terminal = terminal_of(context)
    run(_ledger(terminal, caller=caller, limit=limit, as_json=as_json))


async def _ledger(terminal: Terminal, *, caller: str, limit: int, as_json: bool) -> None:
    async with open_reports(terminal.settings()) as books, books.snapshot() as reports:
        rows = await reports.trial_balance()
        standing = await find_caller(reports, caller) if caller else None
        entries: tuple[JournalEntry, ...] = ()
        if standing:
            entries = await reports.statement(standing.caller_id, before=None, limit=limit)
    if as_json:
        terminal.write_json(
            {
                "trial_balance": [_balance_document(row) for row in rows],
                "caller": standing,
                "statement": entries,
            }
        )
        return
    if standing:
        terminal.out.print(statement(standing.caller_id, entries))
        terminal.out.print(f"{standing_line(standing)}\n")
    terminal.out.print(trial_balance(rows))


def audit(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the books: exit 0 when they are right, 1 when not, 3 when not all was checked."""
    terminal = terminal_of(context)
    report = run(_audit(terminal))
    if as_json:
        terminal.write_json(audit_document(report))
    else:
        terminal.out.print(audit_report(report))
    if not report.sound:
        raise typer.Exit(ExitCode.FINDING)
    if report.unchecked:
        raise typer.Exit(ExitCode.COULD_NOT_LOOK)


async def _audit(terminal: Terminal) -> AuditReport:
    settings = terminal.settings()
    async with contextlib.AsyncExitStack() as stack:
        reports = await stack.enter_async_context(open_reports(settings))
        upstream = await stack.enter_async_context(open_upstream(settings))
        node = await stack.enter_async_context(open_node_to_look(settings))
        with terminal.out.status("reading the journal"):
            return await build_audit(reports, node=node, upstream=upstream).audit()


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
