"""What `Books` promise of budgets, whoever keeps the books."""

from __future__ import annotations

import dataclasses
import random

from cobot_meter.domain.budgets.budget import OPERATOR, Budget, BudgetWindow, budget_of, window_of
from cobot_meter.domain.budgets.sheets import BudgetSheet, limits_of
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import ExposureExceeded
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.transitions.budgets import budgets_transition
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.flows.budget.zones import offsets_of
from cobot_meter.ports.books import Applied, Books
from tests.contracts.books.books_guards import WIDE, outcomes
from tests.contracts.books.books_samples import CEILING_MSAT, PRICE_MSAT, START_MS, Sale, opened

BERLIN = "Europe/Berlin"
BURST = 1_000
FITS = 100


def window(line: str, *, owner: str = "c_one", at_ms: int = START_MS) -> BudgetWindow:
    """The budget that the line says, in its window of this instant."""
    budget = budget_of(line)
    return window_of(owner, budget, offsets_of(budget.zone), at_ms)


def counted(escrow_id: str, *windows: BudgetWindow) -> Escrow:
    """A first row that counts in these windows."""
    codes = " ".join(one.account.code for one in windows)
    return dataclasses.replace(opened(escrow_id), budgets=codes)


def opening(sale: Escrow, *windows: BudgetWindow) -> Transition:
    """A0 under the limits of these windows."""
    return open_escrow(
        sale,
        standing=CallerStanding(caller_id=sale.caller_id),
        terms=WIDE,
        bodies=StoredBodies(wrapped_key=b"key", request=b"sealed ask"),
        budgets=limits_of(windows),
    )


def word(number: int, *lines: str, owner: str = "c_one") -> Transition:
    """The owner's word of this number."""
    budgets: tuple[Budget, ...] = tuple(map(budget_of, lines))
    sheet = BudgetSheet(owner=owner, number=number, budgets=budgets)
    return budgets_transition(sheet, at_ms=START_MS)


async def sold(sale: Sale) -> None:
    """To its invoice, with which the price counts."""
    await sale.generate()
    await sale.cost()
    await sale.invoice()


class BooksBudgets:
    """The promises, one a test."""

    async def test_the_newest_word_of_each_owner_is_read_in_one_look(self, books: Books) -> None:
        """The caller's and the operator's; nothing was said before the first word."""
        own, operators = await books.budget_sheets("c_one")
        assert (own, operators) == (BudgetSheet(owner="c_one"), BudgetSheet(owner=OPERATOR))
        await books.apply(word(1, f"caller - day 5000 msat {BERLIN}"))
        await books.apply(word(2, f"key key_a week 7 pusd {BERLIN}", "model a/b hour 9 msat UTC"))
        await books.apply(word(1, "operator - month 12 msat UTC", owner=OPERATOR))
        own, operators = await books.budget_sheets("c_one")
        assert (own.number, operators.number) == (2, 1)
        assert own.text == f"key key_a week 7 pusd {BERLIN}\nmodel a/b hour 9 msat UTC"
        assert operators.text == "operator - month 12 msat UTC"
        assert (await books.budget_sheets("c_two"))[0] == BudgetSheet(owner="c_two")

    async def test_of_two_words_with_one_number_the_first_holds(self, books: Books) -> None:
        """Whoever says the second is told so, and reads again."""
        await books.apply(word(1, "caller - day 5 msat UTC"))
        again = await books.apply(word(1, "caller - day 6 msat UTC"))
        assert again.repeated
        assert (await books.budget_sheets("c_one"))[0].text == "caller - day 5 msat UTC"

    async def test_what_is_reserved_and_spent_stands_in_the_window(self, books: Books) -> None:
        """The ceiling while it runs, the price once it is invoiced, nothing once that lapsed."""
        day = window(f"caller - day 1000000 msat {BERLIN}")
        month = window("operator - month 900000000000 pusd UTC", owner=OPERATOR)
        sale = Sale(books, counted("esc_a", day, month))
        await sale.apply(opening(sale.escrow, day, month))
        msat, pusd = await books.budget_spending((day, month))
        assert (msat.spent, msat.reserved) == (0, CEILING_MSAT)
        assert (pusd.spent, pusd.reserved) == (0, CEILING_MSAT * 10**6)
        await sold(sale)
        msat, pusd = await books.budget_spending((day, month))
        assert (msat.spent, msat.reserved) == (PRICE_MSAT, 0)
        assert (pusd.spent, pusd.reserved) == (PRICE_MSAT * 10**6, 0)
        await sale.record(on.InvoiceCanceled(payment_hash=str(sale.escrow.payment_hash)))
        msat, _ = await books.budget_spending((day, month))
        assert (msat.spent, msat.reserved, msat.left) == (0, 0, 1_000_000)

    async def test_many_windows_are_read_at_once(self, books: Books) -> None:
        """More than one statement has room for, in their order, and nothing where none is."""
        windows = [window(f"model m/{number} day 100000 msat UTC") for number in range(20)]
        await books.apply(opening(counted("esc_a", windows[11]), windows[11]))
        found = await books.budget_spending(windows)
        assert [one.window for one in found] == windows
        assert [one.reserved for one in found] == [CEILING_MSAT * (n == 11) for n in range(20)]

    async def test_a_new_window_is_another_account(self, books: Books) -> None:
        """What was reserved before midnight in Berlin does not bound what comes after it."""
        line = f"caller - day {CEILING_MSAT} msat {BERLIN}"
        before = window(line, at_ms=1_700_002_799_999)
        after = window(line, at_ms=1_700_002_800_000)
        assert before.account != after.account
        await books.apply(opening(counted("esc_a", before), before))
        (refused,) = await outcomes(books, [opening(counted("esc_b", before), before)])
        assert isinstance(refused, ExposureExceeded)
        assert refused.guard == before.account.code
        await books.apply(opening(counted("esc_b", after), after))

    async def test_a_burst_of_a_thousand_overspends_no_budget(self, books: Books) -> None:
        """In four windows at once, of two units and two owners: as many as fit, and none more."""
        windows = (
            window(f"key key_a hour {FITS * CEILING_MSAT + 7} msat {BERLIN}"),
            window(f"caller - day {2 * FITS * CEILING_MSAT * 10**6} pusd {BERLIN}"),
            window(f"model lab/model week {10 * FITS * CEILING_MSAT} msat {BERLIN}"),
            window(f"operator - month {3 * FITS * CEILING_MSAT} msat UTC", owner=OPERATOR),
        )
        first = [counted(f"esc_{number}", *windows) for number in range(BURST)]
        told = await outcomes(books, [opening(sale, *windows) for sale in first])
        taken = [one.escrow for one in told if isinstance(one, Applied) and one.escrow]
        assert len(taken) == FITS
        await self._within(books, windows)
        for escrow in random.Random(17).sample(taken, 10):
            await sold(Sale(books, escrow))
        await self._within(books, windows)
        freed = 10 * (CEILING_MSAT - PRICE_MSAT) // CEILING_MSAT
        again = [counted(f"esc_again_{number}", *windows) for number in range(BURST // 10)]
        told = await outcomes(books, [opening(sale, *windows) for sale in again])
        assert sum(isinstance(one, Applied) for one in told) == freed
        await self._within(books, windows)

    async def _within(self, books: Books, windows: tuple[BudgetWindow, ...]) -> None:
        for one in await books.budget_spending(windows):
            assert one.spent + one.reserved <= one.window.budget.amount
