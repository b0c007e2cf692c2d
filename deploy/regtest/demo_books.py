"""What both agents booked beside what the nodes hold: three comparisons, to the msat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.demo.story import tell_equal
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.wording import msat
from cobot_pay.wallet import Payment

NODE_ACCOUNTS = "ln/node/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What each node holds off the chain, in msat."""

    alice_msat: int
    bob_msat: int
    carol_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BothBooks:
    """A's payments and B's books, and how the nodes' own balances changed meanwhile.

    `received_msat` is what B booked at its node, `spent_msat` what A's budget counts as spent,
    `earned_msat` what carol's node says it has earned by routing.
    """

    payments: Sequence[Payment]
    spent_msat: int
    received_msat: int
    earned_msat: int
    before: Held
    after: Held

    @property
    def paid_msat(self) -> int:
        """What A paid for completions."""
        return sum(payment.amount_msat for payment in self.payments)

    @property
    def fees_msat(self) -> int:
        """What A paid for routing."""
        return sum(payment.fee_msat for payment in self.payments)

    @property
    def pairs(self) -> tuple[tuple[str, int, str, int], ...]:
        """What one side says, and what another says of the same."""
        before, after = self.before, self.after
        return (
            (
                "A's budget spent",
                self.spent_msat,
                "alice's balance fell by",
                before.alice_msat - after.alice_msat,
            ),
            (
                "A paid, without fees",
                self.paid_msat,
                "B's books received",
                self.received_msat,
            ),
            (
                "B's books received",
                self.received_msat,
                "bob's balance rose by",
                after.bob_msat - before.bob_msat,
            ),
            (
                "A's routing fees",
                self.fees_msat,
                "carol's balance rose by",
                after.carol_msat - before.carol_msat,
            ),
            ("A's routing fees", self.fees_msat, "carol says she earned", self.earned_msat),
        )

    @property
    def equal(self) -> bool:
        """Whether every pair agrees to the msat."""
        return all(left == right for _, left, _, right in self.pairs)


def tell_both_books(out: Console, books: BothBooks) -> None:
    """A's payments, the nodes' balances, and whether they agree."""
    out.print()
    out.print(_payments(books))
    out.print(_balances(books))
    for one, left, other, right in books.pairs:
        tell_equal(
            out, f"{one:<20}", f"{msat(left):>9}", other, f"{msat(right)} msat", equal=left == right
        )
    if books.equal:
        out.print(Text("✓ both books agree with both nodes, to the msat", style="bold green"))
    else:
        out.print(Text("✗ the books do not agree with the nodes", style="bold red"))


def _payments(books: BothBooks) -> Table:
    table = plain_table("A's payments, in msat", foot=True)
    table.add_column("preimage", footer="in all", no_wrap=True)
    for header, total in (
        ("for the completion", books.paid_msat),
        ("routing fee", books.fees_msat),
        ("together", books.paid_msat + books.fees_msat),
    ):
        table.add_column(header, footer=msat(total), justify="right", no_wrap=True)
    for payment in books.payments:
        table.add_row(
            f"{payment.preimage[:16]}…",
            msat(payment.amount_msat),
            msat(payment.fee_msat),
            msat(payment.amount_msat + payment.fee_msat),
        )
    return table


def _balances(books: BothBooks) -> Table:
    table = plain_table("What the nodes hold off the chain, in msat")
    for header in ("node", "before", "after", "change"):
        table.add_column(header, justify="left" if header == "node" else "right", no_wrap=True)
    for name in ("alice", "bob", "carol"):
        before, after = (getattr(held, f"{name}_msat") for held in (books.before, books.after))
        table.add_row(name, msat(before), msat(after), f"{after - before:+,}")
    return table
