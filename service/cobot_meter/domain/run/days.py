"""The days that a run's cost counts on while nobody has paid for it (H2, H3), and what moves them.

Reserved is the ceiling at first and the cost as soon as it is known; both accounts stand at one
amount and are renumbered together when they are reserved anew. The days count all that is spent,
beyond the reservation too. Amounts are in pico-USD.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Reservation, Transfer, posted
from cobot_meter.domain.run.record import Run

Transfers = tuple[Transfer, ...]


def counted_pusd(cost_pusd: int, least_pusd: int | None) -> int:
    """What an unpaid cost counts on its day: at least `least_pusd`, so that free ones count too."""
    return max(cost_pusd, least_pusd or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The UTC `day` of a sale's group, and for newcomers that of their `address` too.

    `least_pusd` is what a run counts at least, None for sales from before there was such a bound:
    their addresses are counted in msat. `opening_pusd` is what the days had room for at first.
    """

    day: str
    newcomer: bool
    address: str
    least_pusd: int | None
    opening_pusd: int

    def named(self) -> dict[str, Account]:
        """The accounts by the name of their guard, the group's row last: all sales move that."""
        group = {"budget": chart.day_budget(self.day, newcomer=self.newcomer)}
        if self.least_pusd is None or not self.newcomer:
            return group
        return {"address": chart.address_budget(self.address, self.day), **group}

    def accounts(self) -> tuple[Account, ...]:
        """The accounts that count the unpaid cost, the group's row last."""
        return tuple(self.named().values())

    def counted_pusd(self, cost_pusd: int) -> int:
        """What a cost counts on these days: itself, or `least_pusd` where that is more."""
        return counted_pusd(cost_pusd, self.least_pusd)

    def reserved(self, run: Run) -> tuple[Reservation, ...]:
        """H3 (newcomers) and H2 of this run, at the amount that is reserved now (0: none)."""
        return tuple(
            Reservation(
                hold_id=f"{run.run_id}/{name}/{run.budget_hold}",
                debit=account,
                credit=chart.EXPOSURE_PUSD,
                amount=run.budget_held_pusd,
            )
            for name, account in self.named().items()
        )

    def spent(self, run: Run, spent_pusd: int) -> Transfers:
        """Post what is reserved for the run at `spent_pusd`; what goes beyond it is booked too."""
        transfers: Transfers = ()
        for hold in self.reserved(run):
            if hold.amount:
                reserved = min(spent_pusd, hold.amount)
                transfers += hold.post(reserved)
                transfers += posted(hold.debit, hold.credit, spent_pusd - reserved)
        return transfers

    def void(self, run: Run) -> Transfers:
        """Give back all that is reserved for the run: nothing of it is unpaid."""
        if not run.budget_held_pusd:
            return ()
        return tuple(one for hold in self.reserved(run) for one in hold.void())

    def full(self, run: Run) -> Transfers:
        """Post all that is reserved for the run as spent."""
        if not run.budget_held_pusd:
            return ()
        return tuple(one for hold in self.reserved(run) for one in hold.post(hold.amount))

    def anew(self, before: Run, after: Run) -> Transfers:
        """Give back what was reserved `before`, and reserve what is known `after`."""
        if not after.budget_held_pusd:
            return self.void(before)
        return (
            *self.void(before),
            *(one for hold in self.reserved(after) for one in hold.pend()),
        )

    def moved(self, amount: int) -> Transfers:
        """Book `amount` on the days of a run for which nothing is reserved there any more."""
        return tuple(
            one
            for account in self.accounts()
            for one in posted(account, chart.EXPOSURE_PUSD, amount)
        )
