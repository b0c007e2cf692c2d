"""What `LedgerReports` must tell of books that were written through `Books`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.domain.transitions.transition import CallerChange
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import Balance, JournalEntry, JournalTransfer, LedgerReports
from tests.contracts.books.books_samples import (
    PRICE_MSAT,
    START_MS,
    Sale,
    give_credit,
    opened,
    topup,
)
from tests.contracts.books.books_tasks import FEE_MSAT, sold_task, task
from tests.domain.samples import SELLER


async def three_callers(books: Books) -> list[Sale]:
    """A sale each: released, invoiced and expired."""
    sales = [Sale(books, opened(f"esc_{name}", caller_id=f"c_{name}")) for name in "abc"]
    await sales[0].sell()
    for sale in sales[1:]:
        await sale.open()
        await sale.generate()
        await sale.cost()
        await sale.invoice()
    await sales[2].cancel()
    return sales


def written(transfer: Transfer) -> JournalTransfer:
    """A transfer as the journal shows it."""
    return JournalTransfer(
        kind=transfer.kind.value,
        debit=transfer.debit.code,
        credit=transfer.credit.code,
        commodity=transfer.debit.commodity.value,
        amount=transfer.amount,
        hold_id=transfer.hold_id,
        held=transfer.held,
    )


def recomputed(entries: list[JournalEntry]) -> dict[str, Counter[str]]:
    """The four counters of every account, from the journal alone."""
    accounts: dict[str, Counter[str]] = {}
    for transfer in (one for entry in entries for one in entry.transfers):
        pending = transfer.amount if transfer.kind == "pending" else -transfer.held
        posted = 0 if transfer.kind == "pending" else transfer.amount
        for code, side in ((transfer.debit, "debits"), (transfer.credit, "credits")):
            counters = accounts.setdefault(code, Counter())
            counters[f"{side}_posted"] += posted
            counters[f"{side}_pending"] += pending
    return accounts


def counters(balance: Balance) -> Counter[str]:
    """A balance's counters, those that are not 0."""
    names = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    return Counter({name: getattr(balance, name) for name in names})


class LedgerReportsSuite:
    """The promises of the reports, one a test."""

    async def test_the_journal_tells_every_transition(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """In order, with the facts and transfers that it was written with."""
        sales = await three_callers(books)
        transitions = [one for sale in sales for one in sale.transitions]
        entries = [entry async for entry in reports.journal()]
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        told = {entry.key: entry for entry in entries}
        for transition in transitions:
            entry = told.pop(transition.key)
            assert entry.kind == transition.kind
            assert entry.subject_id == transition.subject_id
            assert (entry.caller_id, entry.at_ms) == (transition.caller_id, transition.at_ms)
            assert entry.facts == transition.facts
            assert entry.transfers == tuple(map(written, transition.transfers))
        assert told == {}

    async def test_the_journal_goes_on_after_any_entry(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Whoever has read up to a sequence reads on from there."""
        await Sale(books, opened("esc_1")).sell()
        assert [entry.sequence async for entry in reports.journal(after=6)] == [7, 8]
        assert [entry async for entry in reports.journal(after=8)] == []

    async def test_a_statement_is_the_callers_own(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Newest first, in pages, nobody else's."""
        await three_callers(books)
        statement = await reports.statement("c_a", before=None, limit=100)
        assert [entry.kind for entry in statement][:2] == [
            "completion_delivered",
            "invoice_settled",
        ]
        assert {entry.caller_id for entry in statement} == {"c_a"}
        assert statement[-1].facts["model"] == "lab/model"
        page = await reports.statement("c_a", before=statement[1].sequence, limit=3)
        assert page == statement[2:5]
        assert await reports.statement("c_nobody", before=None, limit=100) == ()

    async def test_a_sellers_statement_has_the_tasks_that_it_sells(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """In one order with what it buys itself, in pages, each entry once."""
        await Sale(books, opened("esc_own", caller_id=SELLER)).sell()
        sold = await sold_task(books)
        await Sale(books, opened("esc_later", caller_id=SELLER)).sell()
        everything = [entry async for entry in reports.journal()][::-1]
        whole = await reports.statement(SELLER, before=None, limit=100)
        assert list(whole) == everything
        of_task = [entry for entry in whole if entry.seller_id == SELLER]
        assert {entry.subject_id for entry in of_task} == {sold.escrow_id}
        assert of_task == list(await reports.statement("c_buyer1", before=None, limit=100))
        fees = [one for entry in of_task for one in entry.transfers if one.amount == FEE_MSAT]
        assert [one.credit for one in fees] == [chart.available(SELLER).code]
        pages: list[JournalEntry] = []
        while page := await reports.statement(
            SELLER, before=pages[-1].sequence if pages else None, limit=3
        ):
            assert len(page) <= 3
            pages += page
        assert pages == everything

    async def test_the_tasks_of_a_statement_are_at_hand(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Those that the page has entries of, whole; to their seller alone."""
        sold = await sold_task(books)
        last = (await reports.statement(SELLER, before=None, limit=1))[0]
        assert await reports.sold_tasks(SELLER, before=None, limit=100) == (sold,)
        assert await reports.sold_tasks(SELLER, before=last.sequence, limit=1) == (sold,)
        assert await reports.sold_tasks("c_buyer1", before=None, limit=100) == ()
        first = (await reports.statement(SELLER, before=None, limit=100))[-1]
        assert await reports.sold_tasks(SELLER, before=first.sequence, limit=100) == ()

    async def test_balances_are_what_the_journal_adds_up_to(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Every counter of every account, exact and rolled up, follows from the transfers."""
        await three_callers(books)
        await give_credit(books, caller_id="c_d", amount_msat=5_000)
        expected = recomputed([entry async for entry in reports.journal()])
        balances = await reports.balances()
        assert [one.account for one in balances] == sorted(one.account for one in balances)
        assert {
            one.account: counters(one) for one in balances if one.account in expected
        } == expected
        untouched = [one for one in balances if one.account not in expected]
        assert all(counters(one).total() == 0 for one in untouched)
        revenue = next(one for one in balances if one.account == chart.REVENUE.code)
        assert (revenue.net, revenue.nature, revenue.commodity) == (-PRICE_MSAT, "income", "msat")

    async def test_the_trial_balance_adds_up_to_nothing(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Debits and credits agree in both commodities, posted and pending."""
        await three_callers(books)
        lines = await reports.trial_balance()
        for commodity in ("msat", "pusd"):
            own = [line for line in lines if line.commodity == commodity]
            assert own
            assert sum(line.net for line in own) == 0
            assert sum(line.debits_pending - line.credits_pending for line in own) == 0

    async def test_the_trial_balance_names_no_caller(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Callers, addresses and days are added up by kind; the operator's accounts stand alone."""
        await three_callers(books)
        lines = {line.account: line for line in await reports.trial_balance()}
        kinds = {code for code in lines if "*" in code}
        assert kinds == {
            "caller/*/available",
            "caller/*/receivable",
            "caller/*/settled",
            "caller/*/lapsed",
            "exposure/network/*",
            "exposure/unpaid/*",
        }
        assert not [code for code in lines if "c_a" in code or "192.0.2" in code]
        assert chart.UNEARNED.code in lines
        assert lines["caller/*/receivable"].net == PRICE_MSAT
        assert lines["caller/*/available"].nature == "liability"
        balances = await reports.balances()
        assert sum(one.debits_posted for one in balances) == sum(
            line.debits_posted for line in lines.values()
        )

    async def test_escrows_are_listed_newest_first(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """All of them."""
        sales = await three_callers(books)
        listed = [escrow async for escrow in reports.escrows()]
        assert listed == [sale.escrow for sale in reversed(sales)]

    async def test_a_subject_is_found_by_its_key(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """By id or payment hash, whole: the end of one names nothing here."""
        sales, made = await three_callers(books), topup("top_1")
        await books.apply(open_topup(made))
        subjects: list[Escrow | Topup] = [*(sale.escrow for sale in sales), made]
        for one in subjects:
            name = one.topup_id if isinstance(one, Topup) else one.escrow_id
            assert one.payment_hash is not None
            assert await reports.subject(name) == one
            assert await reports.subject(one.payment_hash) == one
            assert await reports.subject(one.payment_hash[1:]) is None
        assert await reports.subject("esc_none") is None

    async def test_subjects_are_found_by_their_ends(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Newest first and no more than wanted; `_` and `%` in a name mean themselves."""
        opened_ids = ("esc_1_end", "escX1_end", "esc_2_end", "esc_2_fin")
        sales = [Sale(books, opened(name, caller_id=name)) for name in opened_ids]
        for sale in sales:
            await sale.open()
        made = topup("top_2_end")
        await books.apply(open_topup(made))
        one, other, two, _ = (sale.escrow for sale in sales)
        assert await reports.subjects_like("", "_end", limit=9) == (made, two, other, one)
        assert await reports.subjects_like("", "_end", limit=2) == (made, two)
        assert await reports.subjects_like("esc", "_end", limit=9) == (two, other, one)
        assert await reports.subjects_like("esc_", "1_end", limit=9) == (one,)
        assert await reports.subjects_like("", "%end", limit=9) == ()
        assert await reports.subjects_like("", made.payment_hash[-12:], limit=9) == (made,)

    async def test_invoices_come_in_pages(self, books: Books, reports: LedgerReports) -> None:
        """Escrows and top-ups in one order, each once; what has no invoice is in no page."""
        sales = await three_callers(books)
        made = [replace(topup(f"top_{n}", address_key=n), payment_request="lnbc1") for n in "ab"]
        await books.apply(open_topup(made[0]))
        await Sale(books, opened("esc_d", caller_id="c_d")).open()
        await books.apply(open_topup(made[1]))
        wanted = [made[1], made[0], *(sale.escrow for sale in reversed(sales))]
        for limit in (1, 2, 5, 9):
            listed: list[Escrow | Topup] = []
            before: int | None = None
            while True:
                page = await reports.invoice_page(state=None, before=before, limit=limit)
                listed += page.rows
                assert len(page.rows) <= limit
                before = page.before
                if before is None:
                    break
            assert listed == wanted
        invoiced = await reports.invoice_page(state="invoiced", before=None, limit=9)
        assert sales[1].escrow in invoiced.rows
        assert {one.state for one in invoiced.rows} == {"invoiced"}
        assert (await reports.invoice_page(state="settled", before=None, limit=9)).rows == ()

    async def test_tasks_come_in_pages(self, books: Books, reports: LedgerReports) -> None:
        """Newest first, each once, open ones too; what is no task is in no page."""
        sold = await sold_task(books)
        await Sale(books, opened("esc_else")).sell()
        newer = [(await books.apply(task(number))).escrow for number in (2, 3)]
        wanted = [*reversed(newer), sold]
        for limit in (1, 2, 9):
            listed: list[Escrow] = []
            before: int | None = None
            while True:
                page = await reports.task_page(before=before, limit=limit)
                assert len(page.rows) <= limit
                listed += page.rows
                before = page.before
                if before is None:
                    break
            assert listed == wanted

    async def test_the_runs_of_a_sale_are_read_by_their_numbers(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """All of them, and nobody else's."""
        sold = await sold_task(books)
        await Sale(books, opened("esc_10")).sell()
        runs = await reports.runs_of(sold.escrow_id)
        assert runs == await books.runs_of(sold.escrow_id)
        assert [run.number for run in runs] == [1, 2, 3]
        assert await reports.runs_of("esc_none") == ()

    async def test_topups_are_listed_newest_first(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """The latest opened comes first."""
        made = [topup(f"top_{name}", address_key=f"a_{name}") for name in "ba"]
        for one in made:
            await books.apply(open_topup(one))
        assert [one async for one in reports.topups()] == made[::-1]

    async def test_callers_come_in_pages_with_their_standing(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """By id, each once, with the same figures that guards go by."""
        await three_callers(books)
        change = CallerChange(blocked=True, cap_msat=7)
        await books.apply(caller_transition("c_d", change, sequence=0, at_ms=START_MS))
        first = await reports.callers(after="", limit=3)
        assert [standing.caller_id for standing in first] == ["c_a", "c_b", "c_c"]
        rest = await reports.callers(after="c_c", limit=3)
        assert rest == (await books.standing("c_d"),)
        assert (rest[0].blocked, rest[0].cap_override_msat) == (True, 7)
        assert first[0] == await books.standing("c_a")
        assert await reports.callers(after="c_d", limit=3) == ()

    async def test_a_snapshot_stands_still(self, books: Books, reports: LedgerReports) -> None:
        """What is written meanwhile is not in it, in none of its reads, and is there afterwards."""
        await Sale(books, opened("esc_1")).sell()
        async with reports.snapshot() as still:
            balances = await still.balances()
            await Sale(books, opened("esc_2")).sell()
            assert len([entry async for entry in still.journal()]) == 8
            assert [one.escrow_id async for one in still.escrows()] == ["esc_1"]
            assert await still.balances() == balances
            async with still.snapshot() as same:
                assert await same.balances() == balances
        assert len([entry async for entry in reports.journal()]) == 16
        assert await reports.balances() != balances

    async def test_a_stream_may_be_left_half_read(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Whoever stops reading keeps nobody from reading or writing."""
        for number in range(6):
            await Sale(books, opened(f"esc_{number}")).open()
            async for entry in reports.journal():
                assert entry.sequence == 1
                break
        assert len(await reports.balances()) > 0
