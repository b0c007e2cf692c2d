"""What one caller was charged today, this week and this month, in UTC, from its own statement.

The statement is read once, back to the month's first day and a bounded number of rows at a time;
afterwards only what is new. Must not know: HTTP, or who asks.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.ledger.accounts import available, settled
from cobot_meter.ports.books import KeySpending
from cobot_meter.ports.ledger_reports import JournalEntry, LedgerReports
from cobot_meter.ports.process import Clock

PAGE_ROWS = 200
PAGES_MAX = 10
CALLERS_MAX = 1_000
DAY_MS = 86_400_000
_DAYS_PER_WEEK = 7
_MOVED = frozenset({"posted", "post"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUsage:
    """What was charged since midnight, Monday and the first of the month (UTC), in msat."""

    daily_msat: int
    weekly_msat: int
    monthly_msat: int


@dataclass(slots=True)
class _Counted:
    """A caller's days as counted so far: all of its entries up to `newest`.

    A count under way comes down from `top`, is at `below`, and is added when it meets `newest`.
    """

    newest: int = 0
    by_day: dict[int, int] = field(default_factory=dict)
    top: int = 0
    below: int | None = None
    under_way: dict[int, int] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class CallerUsage:
    """Counts for the callers that asked last, in memory; a restart counts anew."""

    def __init__(self, *, reports: LedgerReports, clock: Clock) -> None:
        """Nothing is read before it is asked for."""
        self._reports = reports
        self._clock = clock
        self._counted: OrderedDict[str, _Counted] = OrderedDict()

    async def of(self, caller_id: str) -> PeriodUsage:
        """The three sums. Raises DependencyFault when there is more to add up than one ask may.

        What was added up until then is kept, and the next ask goes on from there.
        """
        today = self._clock.now_ms() // DAY_MS
        weekly, monthly = _week_begins(today), _month_begins(today)
        counted = self._counted.setdefault(caller_id, _Counted())
        self._counted.move_to_end(caller_id)
        if len(self._counted) > CALLERS_MAX:
            self._counted.popitem(last=False)
        oldest = min(weekly, monthly)
        async with counted.lock:
            await self._go_on(caller_id, counted, since_day=oldest)
        days = counted.by_day = {
            day: usage for day, usage in counted.by_day.items() if day >= oldest
        }
        return PeriodUsage(
            daily_msat=days.get(today, 0),
            weekly_msat=sum(usage for day, usage in days.items() if day >= weekly),
            monthly_msat=sum(usage for day, usage in days.items() if day >= monthly),
        )

    async def _go_on(self, caller_id: str, counted: _Counted, *, since_day: int) -> None:
        for _ in range(PAGES_MAX):
            page = await self._reports.statement(caller_id, before=counted.below, limit=PAGE_ROWS)
            fresh = [
                entry
                for entry in page
                if entry.sequence > counted.newest and entry.at_ms // DAY_MS >= since_day
            ]
            if fresh:
                counted.top = counted.top or fresh[0].sequence
                counted.below = fresh[-1].sequence
                _add(counted.under_way, _charged(caller_id, fresh))
            if len(fresh) < PAGE_ROWS:
                _add(counted.by_day, counted.under_way.items())
                counted.newest = max(counted.newest, counted.top)
                counted.top, counted.below, counted.under_way = 0, None, {}
                return
        message = "There is much to add up; ask again in a moment."
        raise DependencyFault(message, retry_after_s=1)


def key_periods(spending: KeySpending, *, now_ms: int) -> PeriodUsage:
    """What one API key was charged today, this week and this month (UTC), from its days' sums."""
    today = now_ms // DAY_MS

    def since(day: int) -> int:
        first = _date(day).isoformat()
        return sum(one.spent_msat for one in spending.days if one.utc_day >= first)

    return PeriodUsage(
        daily_msat=since(today),
        weekly_msat=since(_week_begins(today)),
        monthly_msat=since(_month_begins(today)),
    )


def charged_msat(caller_id: str, entry: JournalEntry) -> int:
    """What one entry charges: credit spent, and what was paid by invoice for a completion."""
    credit, paid = available(caller_id).code, settled(caller_id).code
    charged = 0
    for transfer in entry.transfers:
        if transfer.kind not in _MOVED:
            continue
        charged += transfer.amount * (transfer.debit in {credit, paid})
        charged -= transfer.amount * (transfer.credit == paid)
    return charged


def _charged(caller_id: str, entries: Iterable[JournalEntry]) -> Iterable[tuple[int, int]]:
    return ((entry.at_ms // DAY_MS, charged_msat(caller_id, entry)) for entry in entries)


def _add(by_day: dict[int, int], amounts: Iterable[tuple[int, int]]) -> None:
    for day, amount_msat in amounts:
        by_day[day] = by_day.get(day, 0) + amount_msat


def _date(day: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=day)


def _week_begins(day: int) -> int:
    return day - _date(day).weekday() % _DAYS_PER_WEEK


def _month_begins(day: int) -> int:
    return day - _date(day).day + 1
