"""Keeps credit above a mark, within the budget, and one top-up at a time on the whole machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cobot_pay.account.service_account import AccountRefused, Credit, Topup
from cobot_pay.errors import L402Error


class ToppedUp(Protocol):
    """The account that is kept above the mark: a `ServiceAccount`."""

    async def credit(self) -> Credit:
        """What there is to spend. Raises L402Error, AccountRefused."""

    async def topup(self, amount_sat: int) -> Topup:
        """Pay for so much more credit. Raises L402Error, AccountRefused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupMark:
    """Below which credit how much more is bought, and how often that is looked at.

    After a top-up that came to nothing nobody tries again for `rest_s`: a budget that is spent or a
    wallet without a route is no better a moment later.
    """

    below_sat: int
    amount_sat: int
    look_every_s: float = 5.0
    rest_s: float = 60.0


class AutoTopup:
    """Looks after one account."""

    def __init__(
        self,
        account: ToppedUp,
        *,
        mark: TopupMark,
        lock: Path,
        tell: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lock` is a file that processes share; `tell` is told what was done, or why not."""
        self._account = account
        self._mark = mark
        self._lock = lock
        self._tell = tell
        self._now_s = now_s
        self._one = asyncio.Lock()
        self._not_before_s = now_s()

    async def look(self) -> bool:
        """Top up if there is too little; whether it was done.

        A refusal, of the seller or of a payment, is told and not raised: then it rests for a while.
        """
        if self._one.locked() or self._now_s() < self._not_before_s:
            return False
        async with self._one:
            self._not_before_s = self._now_s() + self._mark.look_every_s
            with only_one(self._lock) as alone:
                return alone and await self._topped_up()

    async def _topped_up(self) -> bool:
        try:
            there = await self._account.credit()
            if there.available_msat >= self._mark.below_sat * 1_000:
                return False
            bought = await self._account.topup(self._mark.amount_sat)
        except (L402Error, AccountRefused) as fault:
            self._not_before_s = self._now_s() + self._mark.rest_s
            self._tell(f"no top-up: {fault}")
            return False
        self._tell(
            f"topped up by {self._mark.amount_sat:,} sat: "
            f"{bought.available_msat // 1_000:,} sat are there"
        )
        return True


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Whether nobody else on this machine is in such a block; who is killed in it has left it."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            yield False
            return
        yield True
