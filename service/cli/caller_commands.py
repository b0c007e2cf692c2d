"""`callers list`, `cap`, `block` and `unblock`. Reading runs beside the service."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from service.background.operator_commands import Document
from service.cli.balance_tables import plain_table
from service.cli.found import every_caller, find_caller
from service.cli.ledger_commands import AsJson
from service.cli.operator_client import operate
from service.cli.terminal import CommandFailed, run, terminal_of
from service.cli.wording import msat, name
from service.domain.callers import CallerStanding, CapTerms
from service.domain.money import MSAT_PER_SAT
from service.wiring.databases import open_reports
from service.wiring.settings import Settings

LISTED_MAX = 100_000
LISTED = 100
CAP_MAX_SAT = 2_100_000_000_000_000

Caller = Annotated[str, typer.Argument(help="Caller id, or its end.")]
Standings = list[CallerStanding]


def list_callers(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="How many.")] = LISTED,
    as_json: AsJson = False,
) -> None:
    """List callers with their credit, what they owe and their cap, all in msat."""
    terminal = terminal_of(context)
    settings = terminal.settings()
    standings = run(_standings(settings, limit))
    if as_json:
        terminal.write_json(standings)
    else:
        terminal.out.print(_table(standings, settings.exposure.cap))


async def _standings(settings: Settings, limit: int) -> Standings:
    standings: Standings = []
    async with open_reports(settings) as books, books.snapshot() as reports:
        async for standing in every_caller(reports):
            standings.append(standing)
            if len(standings) == limit:
                break
    return standings


def _table(standings: Standings, terms: CapTerms) -> Table:
    table = plain_table()
    table.add_column("caller", no_wrap=True)
    for header in ("credit", "open", "settled", "lapsed", "cap"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("word", no_wrap=True)
    for one in standings:
        words = ["blocked"] * one.blocked + ["cap fixed"] * (one.cap_override_msat is not None)
        table.add_row(
            name(one.caller_id),
            msat(one.available_msat),
            msat(one.open_msat),
            msat(one.settled_msat),
            msat(one.lapsed_msat),
            msat(one.cap_msat(terms)),
            ", ".join(words),
        )
    return table


def cap_caller(
    context: typer.Context,
    caller: Caller,
    sat: Annotated[
        int | None, typer.Argument(min=0, max=CAP_MAX_SAT, help="The cap in satoshi.")
    ] = None,
    formula: Annotated[
        bool, typer.Option("--formula", help="Back to the formula of the settings.")
    ] = False,
) -> None:
    """Fix what a caller may have open and unpaid, or go back to the formula."""
    if (sat is None) != formula:
        message = "say the cap in satoshi, or --formula"
        raise CommandFailed(message)
    cap_msat = None if sat is None else sat * MSAT_PER_SAT
    _set(context, caller, cap_msat=cap_msat)


def block_caller(context: typer.Context, caller: Caller) -> None:
    """Refuse new asks of this caller; what it has paid for is still delivered."""
    _set(context, caller, blocked=True)


def unblock_caller(context: typer.Context, caller: Caller) -> None:
    """Take new asks of this caller again."""
    _set(context, caller, blocked=False)


def _set(context: typer.Context, given: str, **change: object) -> None:
    terminal = terminal_of(context)
    after = run(_told(terminal.settings(), given, change))
    cap_msat = after.get("cap_msat")
    capped = f"cap fixed at {cap_msat:,} msat" if isinstance(cap_msat, int) else "cap by formula"
    blocked = "blocked" if after.get("blocked") else "not blocked"
    terminal.out.print(f"{after.get('caller_id')}: {blocked}, {capped}")


async def _told(settings: Settings, given: str, change: dict[str, object]) -> Document:
    async with open_reports(settings) as reports:
        standing = await find_caller(reports, given)
    return await operate(settings, "set_caller", caller_id=standing.caller_id, **change)
