"""Budgets under a thousand requests at once, what of one twenty callers use, and midnights.

Sales are opened, priced and billed as the domain makes them, under the guards of two budgets, one
in msat and one in USD. The naive side looks at what is spent and then records: what nearly every
proxy does that calls a counter a budget.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import tempfile
import time
import zoneinfo
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, table
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.schema import upgrade_postgres
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.periods import Period, window_at
from cobot_meter.domain.errors import ExposureExceeded
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.budget.zones import offsets_of
from cobot_meter.ports.books import Books
from tests.contracts.books.books_budgets import counted, opening, sold, window
from tests.contracts.books.books_samples import CEILING_MSAT, Sale
from tests.postgres.cluster import binaries, running_cluster

NAME = "budgets"
BURST, FITS = 1_000, 100
CALLERS, CALLERS_FIT = 20, 60
USED_BAR = 0.9
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
)
YEARS = range(2024, 2029)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What became of a burst: how many got through, and how far beyond the budget that went."""

    taken: int
    over_msat: int
    each_ms: float
    used: float


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    burst = BURST if size.thorough else BURST // 10
    found = {"SQLite": asyncio.run(_on_sqlite(burst))}
    if binaries() is not None:
        found["PostgreSQL"] = asyncio.run(_on_postgres(burst))
    taken, over_msat = asyncio.run(_naive(burst))
    rows = [
        (
            name,
            f"{one.taken:,} of {burst:,}",
            f"{one.over_msat:,}",
            f"{one.each_ms:.2f}",
            f"{one.used:.1%}",
        )
        for name, one in found.items()
    ]
    rows.append(("look, then record", f"{taken:,} of {burst:,}", f"{over_msat:,}", "-", "-"))
    late, midnights = _midnights()
    columns = ("", "let through", "over, msat", "ms each", "used by 20 callers")
    return "\n\n".join(
        (
            table(columns, rows),
            table(("zone", "days", "of 23 or 25 h and the like"), midnights),
            bars(
                [
                    Bar(
                        what="overspent in a burst, worst of the databases",
                        value=max(one.over_msat for one in found.values()),
                        limit=0,
                        unit="msat",
                        digits=0,
                    ),
                    Bar(
                        what="of a budget used by 20 callers, worst of the databases",
                        value=min(one.used for one in found.values()),
                        limit=USED_BAR,
                        at_most=False,
                    ),
                    Bar(
                        what="midnights that are off by a second or more, in five zones",
                        value=late,
                        limit=0,
                        unit="",
                        digits=0,
                    ),
                ]
            ),
        )
    )


async def _on_sqlite(burst: int) -> Burst:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.sqlite3"
        upgrade(path)
        async with open_sqlite_books(path, retention=Retention()) as books:
            return await _measured(books, burst)


async def _on_postgres(burst: int) -> Burst:
    async with _postgres() as books:
        return await _measured(books, burst)


@contextlib.asynccontextmanager
async def _postgres() -> AsyncIterator[Books]:
    with running_cluster() as cluster:
        url = cluster.new_database()
        await upgrade_postgres(url)
        async with open_postgres_books(url, retention=Retention()) as books:
            yield books


def _windows(fits: int) -> tuple[BudgetWindow, ...]:
    limit_msat = fits * CEILING_MSAT
    return (
        window(f"caller - day {limit_msat} msat Europe/Berlin"),
        window(f"caller - day {limit_msat * 10**6} pusd America/New_York"),
    )


async def _opened(books: Books, sale: Escrow, windows: tuple[BudgetWindow, ...]) -> Escrow | None:
    try:
        return (await books.apply(opening(sale, *windows))).escrow
    except ExposureExceeded:
        return None


async def _measured(books: Books, burst: int) -> Burst:
    windows = _windows(FITS)
    sales = [counted(f"esc_burst_{number}", *windows) for number in range(burst)]
    began = time.perf_counter()
    told = await asyncio.gather(*(_opened(books, sale, windows) for sale in sales))
    each_ms = (time.perf_counter() - began) * 1_000 / burst
    standing = await books.budget_spending(windows)
    over = max(one.spent + one.reserved - one.window.budget.amount for one in standing)
    return Burst(
        taken=sum(one is not None for one in told),
        over_msat=max(over, 0),
        each_ms=each_ms,
        used=await _used(books),
    )


async def _used(books: Books) -> float:
    """Twenty callers that ask again as soon as they have an answer, or after others have theirs."""
    windows = (window(f"caller - hour {CALLERS_FIT * CEILING_MSAT} msat Europe/Berlin"),)
    chance = random.Random(5)

    async def asking(caller: int) -> None:
        for turn in range(200):
            sale = counted(f"esc_used_{caller}_{turn}", *windows)
            opened = await _opened(books, sale, windows)
            if opened is not None:
                await asyncio.sleep(chance.random() / 1_000)
                await sold(Sale(books, opened))
                continue
            (one,) = await books.budget_spending(windows)
            if one.spent + CEILING_MSAT > one.window.budget.amount:
                return
            await asyncio.sleep(0.001)

    await asyncio.gather(*(asking(caller) for caller in range(CALLERS)))
    (one,) = await books.budget_spending(windows)
    return one.spent / one.window.budget.amount


async def _naive(burst: int) -> tuple[int, int]:
    """How many look-then-record lets through, and by how much it overspends."""
    limit_msat, spent_msat = FITS * CEILING_MSAT, 0

    async def ask() -> None:
        nonlocal spent_msat
        if spent_msat + CEILING_MSAT <= limit_msat:
            await asyncio.sleep(0)  # the model answers
            spent_msat += CEILING_MSAT

    await asyncio.gather(*(ask() for _ in range(burst)))
    return spent_msat // CEILING_MSAT, max(spent_msat - limit_msat, 0)


def _midnights() -> tuple[int, list[tuple[str, str, str]]]:
    """Every day of five years against the standard library, and how many were of another length."""
    late, rows = 0, []
    for zone in ZONES:
        days = odd = 0
        day = dt.datetime(YEARS.start, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo(zone))
        while day.year in YEARS:
            found = window_at(Period.DAY, offsets_of(zone), int(day.timestamp()) * 1_000)
            late += not _is_first(zone, day.date(), found.start_s)
            days, odd = days + 1, odd + (found.end_s - found.start_s != 86_400)
            day = (day + dt.timedelta(days=1)).replace(hour=12, fold=0)
        rows.append((zone, f"{days:,}", f"{odd}"))
    return late, rows


def _is_first(zone: str, date: dt.date, at_s: int) -> bool:
    """Whether clocks there first show this day at that second."""
    there = zoneinfo.ZoneInfo(zone)
    shown, before = (dt.datetime.fromtimestamp(one, there).date() for one in (at_s, at_s - 1))
    return (shown, before) == (date, date - dt.timedelta(days=1))
