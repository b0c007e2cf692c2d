"""One escrow told one event after another over the model ledger, and its postings as text.

Every test over a walk gets the general proofs for nothing: each transition is booked on the model,
which refuses whatever no ledger may take.
"""

from __future__ import annotations

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import (
    caller_accounts,
    key_day,
    key_losses,
    key_spent,
    overrun,
)
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.topup.bookings import topup_credited
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.transition import Transition
from tests.domain.samples import (
    ADDRESS,
    CALLER,
    CREDITS,
    DAY,
    NODE,
    NOW_MS,
    RETENTION,
    SELLER,
    TERMS,
    Shape,
    cost_known,
    invoice_issued,
    opened,
    opening_of,
    received,
)
from tests.fakes.ledger_model import Ledger

PART_CREDIT = Shape(ceiling=10_000, credit=2_000)
# The codes of a budget's accounts, but for where the window begins.
LIMITS = f"budget/msat/{CALLER}/caller/day/Europe:Berlin"
_SHORT = {
    f"exposure/network/{ADDRESS}/{DAY}": "address",
    f"exposure/address/{ADDRESS}/{DAY}": "old address",
    f"exposure/unpaid/newcomers/{DAY}": "budget",
    f"exposure/unpaid/proven/{DAY}": "proven budget",
    overrun(DAY).code: "overrun",
    key_spent("key_1").code: "key",
    key_day("key_1", DAY).code: "key's day",
    key_losses("key_1", DAY).code: "key's losses",
    "exposure/contra/msat": "contra",
    "exposure/contra/pusd": "contra",
    "escrow/unearned": "unearned",
    "revenue/completions": "revenue",
    CREDITS.code: "credits",
    f"ln/node/{NODE}": "node",
}


class Walk:
    """An escrow on its way. `ledger` is what stands booked, `last` the newest transition."""

    def __init__(self, shape: Shape | None = None, *, terms: ExposureTerms = TERMS) -> None:
        """Opens the escrow, with as much credit on the caller's account as it may reserve."""
        shape = shape or Shape()
        grows = shape.first_tokens is not None
        self.escrow: Escrow = opened(shape)
        self.ledger = granted(Ledger(), shape.caller_id, shape.ceiling if grows else shape.credit)
        self.last = opening_of(self.escrow, terms=terms)
        self._book()

    def tell(self, *events: EscrowEvent, at_ms: int = NOW_MS) -> Walk:
        """Advance and book every event in turn."""
        for event in events:
            self.last = escrow_transition(self.escrow, event, at_ms=at_ms, retention=RETENTION)
            assert self.last.escrow is not None
            # Storage leaves the column alone while it is 1.
            assert self.escrow.occupies_ask or not self.last.escrow.occupies_ask
            self.escrow = self.last.escrow
            self._book()
        return self

    def _book(self) -> None:
        self.ledger = self.ledger.after(self.last.accounts, self.last.transfers)

    def nets(self) -> dict[str, int]:
        """Posted debits less credits of every account that does not stand at zero."""
        return {
            short(code): counters.net
            for code, counters in self.ledger.counters.items()
            if counters.net
        }

    def pending(self) -> dict[str, int]:
        """What is still reserved, by the debited account."""
        return {short(hold.debit): hold.amount for hold in self.ledger.open_reservations().values()}


def invoiced(cost: int = 7_000, shape: Shape = PART_CREDIT, *, confirmed: bool = True) -> Walk:
    """A walk as far as its invoice: P is the cost, C what credit there is."""
    walk = Walk(shape).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, cost, confirmed=confirmed))
    return walk.tell(invoice_issued(walk.escrow))


def granted(ledger: Ledger, caller_id: str, amount_msat: int) -> Ledger:
    """The ledger with a paid top-up in it."""
    transfers = topup_credited(caller_id=caller_id, node_alias=NODE, paid_msat=amount_msat)
    return ledger.after(caller_accounts(caller_id), transfers)


def lines(transition: Transition) -> list[str]:
    """The transfers as `kind debit / credit amount`, in the order in which they are written."""
    return [_line(transfer) for transfer in transition.transfers]


def short(code: str) -> str:
    """An account's code without what is the same in all these tests."""
    if code.startswith(f"caller/{SELLER}/"):
        return f"seller's {code.rpartition('/')[2]}"
    if code.startswith(LIMITS):
        return "limit"
    return _SHORT.get(code, code.rpartition("/")[2] if code.startswith("caller/") else code)


def _line(transfer: Transfer) -> str:
    accounts = f"{short(transfer.debit.code)} / {short(transfer.credit.code)}"
    amount = transfer.amount or transfer.held
    return f"{transfer.kind.value} {accounts} {amount}"


def assert_cleared(walk: Walk) -> None:
    """Nothing is left on the way: no reservation, nothing unearned, nothing receivable."""
    assert walk.pending() == {}
    assert walk.ledger.of(chart.UNEARNED).net == 0
    assert walk.ledger.of(chart.receivable(walk.escrow.at_risk_id)).net == 0
    balances = walk.ledger.counters.items()
    for commodity in chart.Commodity:
        codes = [code for code, at in walk.ledger.accounts.items() if at.commodity is commodity]
        assert sum(counters.net for code, counters in balances if code in codes) == 0
