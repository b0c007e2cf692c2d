"""`quarantine` and `releases`: what waits for the operator, and his word on it.

Both ask the running service, or open the books while none runs.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import CommandFailed, Terminal, run, terminal_of
from cobot_meter.cli.wording import moment
from cobot_meter.domain.outside import shown

Subject = Annotated[str, typer.Argument(help="Escrow id or top-up id.")]
Reason = Annotated[str, typer.Option(help="What you found; it is kept in the journal.")]


def list_quarantine(context: typer.Context, as_json: AsJson = False) -> None:
    """List escrows and top-ups that could not be booked, and wait for you."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "quarantine_list"))
    if as_json:
        terminal.write_json(found)
        return
    rows: Any = found["waiting"]
    for row in rows:  # ids are long, and are typed again: a table would cut them off
        since = moment(row["changed_at_ms"] or row["opened_at_ms"])
        line = f"{row['id']}  {row['state']}, {row['caller_id']}, {since} UTC"
        terminal.out.print(line, soft_wrap=True)
        terminal.out.print(f"    {shown(row['quarantine'])}", soft_wrap=True)
    if not rows:
        terminal.out.print("nothing is in quarantine")


def show_quarantine(context: typer.Context, subject: Subject, as_json: AsJson = False) -> None:
    """Show what could not be booked of one escrow or top-up, and where it stands."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "quarantine_show", name=subject))
    _print(terminal, found, as_json=as_json)


def retry_quarantine(context: typer.Context, subject: Subject, as_json: AsJson = False) -> None:
    """Let one go on where it was; what still cannot be booked puts it back, and exits 1."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "quarantine_retry", name=subject))
    if as_json:
        terminal.write_json(found)
    if found["quarantine"] is not None:
        message = f"{subject} is in quarantine again: {shown(str(found['quarantine']))}"
        raise CommandFailed(message)
    if not as_json:
        terminal.out.print(f"{subject} goes on: it is {found['state']}")


def write_off_quarantine(
    context: typer.Context, subject: Subject, reason: Reason, as_json: AsJson = False
) -> None:
    """End one: what was paid becomes the caller's credit, what it cost us stays an expense."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "quarantine_write_off", name=subject, reason=reason))
    if as_json:
        terminal.write_json(found)
    else:
        terminal.out.print(f"{subject} is written off: it is {found['state']}")


def show_releases(context: typer.Context, as_json: AsJson = False) -> None:
    """Say whether completions are sold and released; exit 1 while they are not."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "releases_show"))
    if as_json:
        terminal.write_json(found)
    if found["stopped"]:
        message = (
            f"nothing is sold or released: {shown(str(found['reason']))}; look with "
            "`cobot-meter audit`, then `cobot-meter releases open --reason …`"
        )
        raise CommandFailed(message)
    if not as_json:
        terminal.out.print("completions are sold and released")


def open_releases(context: typer.Context, reason: Reason, as_json: AsJson = False) -> None:
    """Sell and release again, after you have looked at the books."""
    terminal = terminal_of(context)
    found = run(operate(terminal.settings(), "releases_open", reason=reason))
    if as_json:
        terminal.write_json(found)
    else:
        terminal.out.print("releases are open: completions are sold again")


def _print(terminal: Terminal, found: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        terminal.write_json(found)
        return
    table = plain_table()
    table.add_column("what", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), "" if value is None else shown(str(value)))
    terminal.out.print(table)
