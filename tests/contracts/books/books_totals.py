"""Books: what adds up over decades, and texts that the gate should have mended."""

from __future__ import annotations

import asyncio

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Reservation, posted
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Failure
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.contracts.books.books_samples import START_MS, Sale, opened
from tests.domain.samples import CREDITS, UPSTREAM

COLUMN_MAX = 2**63 - 1
ENTRIES, LINES = 60, 200
TOTAL = ENTRIES * LINES * AMOUNT_MAX


def spent(number: int) -> Transition:
    """A journal row that moves as much as one may, and reserves as much again for a while."""
    before, now = (
        Reservation(
            hold_id=f"hold/{of}",
            debit=chart.EXPOSURE_PUSD,
            credit=CREDITS,
            amount=AMOUNT_MAX,
        )
        for of in (number - 1, number)
    )
    paid = posted(chart.COST_UPSTREAM, CREDITS, AMOUNT_MAX) * LINES
    return Transition(
        key=f"spent/{number}",
        kind="test",
        subject_id="operator",
        caller_id=None,
        at_ms=START_MS,
        transfers=(*paid, *now.pend(), *(before.post(AMOUNT_MAX) if number else ())),
    )


class BooksTotals:
    """What a lifetime comes to."""

    async def test_totals_have_no_end(self, books: Books, reports: LedgerReports) -> None:
        """Largest amounts far beyond what a column holds: every sum is read to the last pusd."""
        for number in range(ENTRIES):
            await books.apply(spent(number))
        assert TOTAL > 10 * COLUMN_MAX
        for read in (reports.balances, reports.trial_balance):
            rows = {row.account: row for row in await read()}
            assert rows[chart.COST_UPSTREAM.code].debits_posted == TOTAL
            upstream = rows[CREDITS.code]
            assert upstream.credits_posted == TOTAL + (ENTRIES - 1) * AMOUNT_MAX
            assert upstream.credits_pending == AMOUNT_MAX
        quiet = await books.quiet(UPSTREAM)
        assert quiet.booked_pusd == TOTAL + (ENTRIES - 1) * AMOUNT_MAX


class BooksTexts:
    """What the databases themselves refuse or mend, beside neighbours that are booked."""

    async def test_a_guarded_account_refuses_what_it_cannot_hold(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Its counters do not carry over: the one transition is refused, its neighbours are not."""
        account, most = chart.settled("c_one"), 8 * 10**18

        def received(name: str, amount: int) -> Transition:
            return Transition(
                key=name,
                kind="test",
                subject_id="operator",
                caller_id=None,
                at_ms=START_MS,
                accounts=(account,),
                transfers=posted(account, chart.EXPOSURE_MSAT, amount),
            )

        await books.apply(received("first", most))
        asked = [received("a", 1), received("b", most), received("c", 2)]
        heard: list[BaseException | None] = []

        async def hear(transition: Transition) -> None:
            try:
                await books.apply(transition)
            except LedgerUnbalanced as refused:
                heard.append(refused)
            else:
                heard.append(None)

        async with asyncio.TaskGroup() as tasks:
            for transition in asked:
                tasks.create_task(hear(transition))
        assert [one is None for one in heard].count(True) == len(asked) - 1
        assert [entry.key async for entry in reports.journal()] == ["first", "a", "c"]
        rows = {row.account: row for row in await reports.balances()}
        assert rows[account.code].debits_posted == most + 3
        assert rows[chart.EXPOSURE_MSAT.code].credits_posted == most + 3

    async def test_words_are_the_same_in_row_and_journal(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """NUL and half a character are U+FFFD in both, and their neighbours are booked."""
        sales = [Sale(books, opened(f"esc_{name}", caller_id=f"c_{name}")) for name in "abc"]
        for sale in sales:
            await sale.open()
            await sale.record(ran.UpstreamRequested(requested_by="r_one"))
        failure = Failure(code="upstream_refused", message="half \ud83d and \0 and \\u0000")
        async with asyncio.TaskGroup() as tasks:
            for sale, said in zip(sales, (None, failure, None), strict=True):
                event = (
                    ran.RunFailed(failure=said, charged=False)
                    if said
                    else ran.GenerationStarted(generation_id=f"gen-{sale.escrow.escrow_id}")
                )
                tasks.create_task(sale.record(event))
        wanted = "half \ufffd and \ufffd and \\u0000"
        stored = await books.escrow("esc_b")
        assert stored is not None
        assert stored.failure is not None
        assert stored.failure.message == wanted
        entries = [entry async for entry in reports.journal() if entry.kind == "upstream_failed"]
        assert wanted in entries[0].facts.values()
        assert [sale.escrow.versions for sale in sales] == [(1, 3), (2, 3), (1, 3)]
