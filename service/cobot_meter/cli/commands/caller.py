"""`callers list`, `cap`, `block` and `unblock`. Reading runs beside the service."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.lookup import every_caller, find_caller
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import Misused, run, terminal_of
from cobot_meter.cli.wording import age, begun_ms, msat, name
from cobot_meter.domain.callers import CallerStanding, CapTerms
from cobot_meter.domain.money import MSAT_PER_SAT
from cobot_meter.operator_api.commands import Document
from cobot_meter.wiring.opening.databases import open_reports
from cobot_meter.wiring.settings.settings import Settings

LISTED_MAX = 100_000
LISTED = 100
CAP_MAX_SAT = 2_100_000_000_000_000

Caller = Annotated[str, typer.Argument(help="Caller id, or its end.")]
Standings = list[CallerStanding]
SORTED: dict[str, Callable[[CallerStanding], int]] = {
    "newest": lambda one: begun_ms(one.caller_id),
    "oldest": lambda one: -begun_ms(one.caller_id),
    "credit": lambda one: one.available_msat,
    "open": lambda one: one.open_msat,
    "settled": lambda one: one.settled_msat,
    "lapsed": lambda one: one.lapsed_msat,
}
SORTS = ", ".join(SORTED)


@dataclass(slots=True)
class StandingTotals:
    """Of every caller there is, listed or not; all amounts in msat."""

    callers: int = 0
    available_msat: int = 0
    open_msat: int = 0
    settled_msat: int = 0
    lapsed_msat: int = 0

    def add(self, one: CallerStanding) -> None:
        """One more."""
        self.callers += 1
        self.available_msat += one.available_msat
        self.open_msat += one.open_msat
        self.settled_msat += one.settled_msat
        self.lapsed_msat += one.lapsed_msat


def list_callers(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="How many.")] = LISTED,
    sort: Annotated[str, typer.Option(help=f"Which come first: {SORTS}.")] = "newest",
    as_json: AsJson = False,
) -> None:
    """List callers with their credit, what they owe and their cap, newest first.

    All amounts are msat. The last line adds up every caller, listed or not.
    """
    terminal = terminal_of(context)
    settings = terminal.settings()
    if sort not in SORTED:
        message = f"--sort {sort} means nothing: say one of {SORTS}"
        raise Misused(message)
    standings, totals = run(_standings(settings, limit, SORTED[sort]))
    if as_json:
        terminal.write_json(standings)
    else:
        now_ms = SystemClock().now_ms()
        terminal.print_rows(_table(standings, totals, settings.exposure.cap, now_ms))


async def _standings(
    settings: Settings, limit: int, key: Callable[[CallerStanding], int]
) -> tuple[Standings, StandingTotals]:
    """The first `limit` in that order, with no more of them in memory at once."""
    best: list[tuple[int, str, CallerStanding]] = []
    totals = StandingTotals()
    async with open_reports(settings) as books, books.snapshot() as reports:
        async for standing in every_caller(reports):
            totals.add(standing)
            row = (key(standing), standing.caller_id, standing)
            if len(best) < limit:
                heapq.heappush(best, row)
            else:
                heapq.heappushpop(best, row)
    return [standing for _, _, standing in sorted(best, reverse=True)], totals


def _table(standings: Standings, totals: StandingTotals, terms: CapTerms, now_ms: int) -> Table:
    table = plain_table(foot=True)
    listed, callers = len(standings), totals.callers
    footer = f"{callers:,} callers" if listed == callers else f"{listed:,} of {callers:,} callers"
    table.add_column("caller", footer=footer, no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for header, total in (
        ("credit", totals.available_msat),
        ("open", totals.open_msat),
        ("settled", totals.settled_msat),
        ("lapsed", totals.lapsed_msat),
    ):
        table.add_column(header, footer=msat(total), justify="right", no_wrap=True)
    table.add_column("cap", justify="right", no_wrap=True)
    table.add_column("word", no_wrap=True)
    for one in standings:
        words = ["blocked"] * one.blocked + ["cap fixed"] * (one.cap_override_msat is not None)
        table.add_row(
            name(one.caller_id),
            age(begun_ms(one.caller_id), now_ms),
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
        raise Misused(message)
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
