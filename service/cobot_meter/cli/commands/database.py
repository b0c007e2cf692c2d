"""`db upgrade`, `check`, `backup` and `copy`: the tables of the books, and their copies."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cobot_meter.adapters.storage.schema import other_schema
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import Terminal, run, terminal_of
from cobot_meter.wiring.database_admin import (
    Copied,
    DatabaseState,
    back_up_database,
    check_database,
    copy_database,
    upgrade_database,
)

DIGITS = 16


def upgrade(context: typer.Context) -> None:
    """Give the books the tables of this version; stop the services that use them first."""
    terminal = terminal_of(context)
    state = run(upgrade_database(terminal.settings()))
    terminal.out.print(f"{state.where}: schema {state.schema}", soft_wrap=True)


def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Say which schema the books have and whether they add up; exit 0 when all is well."""
    terminal = terminal_of(context)
    state = run(check_database(terminal.settings()))
    if as_json:
        terminal.write_json(asdict(state))
    else:
        terminal.out.print(_said(state), soft_wrap=True)
    if not state.well:
        raise typer.Exit(ExitCode.FINDING)


def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="The file to make; it must not be there yet.")],
) -> None:
    """Copy the SQLite books to a file that only you can read, also while a service runs."""
    terminal = terminal_of(context)
    size = run(back_up_database(terminal.settings(), target))
    terminal.out.print(
        f"{target}: {size:,} bytes, checked. Keep secret.key apart from it: the books are of no "
        "use without that key, and with it whoever has both reads what is stored.",
        soft_wrap=True,
    )


def copy(context: typer.Context, as_json: AsJson = False) -> None:
    """Copy the SQLite file into the empty database of COBOT_METER_DATABASE_URL, and prove it."""
    terminal = terminal_of(context)
    copied = run(copy_database(terminal.settings()))
    if as_json:
        terminal.write_json(asdict(copied))
    else:
        _show(terminal, copied)


def _said(state: DatabaseState) -> str:
    if state.schema is None:
        return f"{state.where} holds no books yet: `cobot-meter serve` begins them"
    if state.schema != state.wanted:
        return other_schema(state.where, state.schema).message
    balance = "they add up" if state.balanced else "they do NOT add up"
    return f"{state.where}: schema {state.schema}, {state.entries:,} entries, {balance}"


def _show(terminal: Terminal, copied: Copied) -> None:
    table = plain_table()
    table.add_column("table", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("SHA-256, equal on both sides", no_wrap=True)
    for one in copied.tables:
        table.add_row(one.name, f"{one.rows:,}", f"{one.sha256[:DIGITS]}…")
    terminal.out.print(table)
    terminal.out.print(
        f"journal entry by entry, {copied.accounts:,} balances and {copied.lines:,} lines of the "
        "trial balance read the same from both. Keep secret.key, and the file as a backup; from "
        "now on start the service with COBOT_METER_DATABASE_URL.",
        soft_wrap=True,
    )
