"""What the books say of the scenarios: that they balance, and that the receipts are what was sold.

Must not know: any scenario.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rich.console import Console

from cobot_meter.cli.demo.demo import read_books
from cobot_meter.cli.demo.story import BooksShown, tell_balance, tell_equal
from cobot_meter.cli.wording import msat
from cobot_meter.domain.ledger.accounts import REVENUE
from deploy.scenarios.stage import Stage
from examples.caller import Caller, Receipt

READINGS = 100
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioBooks:
    """The books at the end, and all receipts that callers were shown."""

    shown: BooksShown
    receipts: tuple[Receipt, ...]

    @property
    def receipts_msat(self) -> int:
        """What callers were told that they paid for answers."""
        return sum(one.price_msat for one in self.receipts)

    @property
    def revenue_msat(self) -> int:
        """What the ledger says was earned with answers."""
        rows = (row for row in self.shown.balances if row.account == REVENUE.code)
        return sum(row.credits_posted - row.debits_posted for row in rows)

    @property
    def balanced(self) -> bool:
        """Whether all of it agrees."""
        return self.shown.balanced and self.receipts_msat == self.revenue_msat

    def tell(self, out: Console) -> None:
        """The receipts beside the ledger, then trial balance, audit and verdict."""
        tell_equal(
            out,
            f"{len(self.receipts)} receipts",
            f"{msat(self.receipts_msat)} msat",
            "revenue in the ledger",
            f"{msat(self.revenue_msat)} msat",
            equal=self.receipts_msat == self.revenue_msat,
        )
        tell_balance(out, self.shown)


async def read_scenario_books(stage: Stage, caller: Caller) -> ScenarioBooks:
    """The caller's receipts, and the books a minute later, or as they are after some seconds.

    A sale on a key is captured at the cost that the answer names, and what a broken run cost is not
    known at once. A minute later the service looks up the upstream's own record of both.
    """
    credit = await asyncio.to_thread(caller.http.get, "/v1/credits")
    caller_id = str(credit.json()["cobot"]["caller_id"])
    stage.clock.let_a_minute_pass()
    shown = await read_books(stage.running, caller_id, stage.simulator)
    for _ in range(READINGS):
        if shown.balanced:
            break
        await asyncio.sleep(PAUSE_S)
        shown = await read_books(stage.running, caller_id, stage.simulator)
    return ScenarioBooks(shown=shown, receipts=tuple(caller.receipts))
