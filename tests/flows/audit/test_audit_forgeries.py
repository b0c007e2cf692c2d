"""Forgeries that are consistent in every table, and a program that books wrongly: all are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.bookings import bookings
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.invoices import TOPUP, tagged
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.escrows import Book, escrow_transition
from cobot_meter.domain.transitions.kinds import BASELINE_KEY
from cobot_meter.domain.transitions.row_digests import ROW
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.domain.transitions.upstream import upstream_baseline, usage_compared
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.domain.samples import NODE, NOW_MS, RETENTION, canceled, used
from tests.fakes.books import FakeBooks
from tests.fakes.books_rows import BooksRows
from tests.fakes.identifiers import FakeIdentifiers
from tests.flows.audit.audit_damage import with_entry, with_escrow
from tests.flows.audit.audit_rig import (
    Teller,
    ToldNode,
    audited,
    full_books,
    node_of,
    opened_books,
    tell_topup,
)
from tests.flows.rigs.whole_books import tell_everything, told_node

ELSEWHERE = "03" * 33


def codes(report: AuditReport) -> set[str]:
    """What was found."""
    return {finding.code for finding in report.findings}


async def whole() -> FakeBooks:
    """The whole story, adoption and all, which a file took too."""
    async with opened_books() as opened:
        await tell_everything(opened.books)
        assert (await opened.audited(await told_node())).sound
        return opened.fake


async def test_a_payment_to_a_node_that_was_never_ours_is_found() -> None:
    """K3.2: a top-up of 50,000 sat that names another node's key, so that nobody can be asked."""
    books, node = await whole(), await told_node()
    topup = Teller(books).offered("top_forged", 50_000_000, "c_mallory")
    settled = of_topup.TopupCredited(
        payment_hash=topup.payment_hash,
        paid_msat=50_000_000,
        settle_index=7,
        node_alias=NODE,
        node_pubkey=ELSEWHERE,
    )
    issued = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
    await books.apply(open_topup(topup))
    await tell_topup(books, topup, issued, settled)
    assert ("settlement_elsewhere", "top_forged") in {
        (one.code, one.subject) for one in (await audited(books, node)).findings
    }


async def test_a_paid_topup_taken_out_of_every_table_is_found() -> None:
    """K3.2: row, entries, transfers and sums are gone, but the node was paid."""
    books, forged = await whole(), FakeBooks()
    node = await told_node()
    topup = books.rows.topups["top_1"]
    await tell_everything(forged)
    forged.rows = _without_topup(forged.rows, "top_1")
    found = {(one.code, one.subject) for one in (await audited(forged, node)).findings}
    assert ("settlement_missing", topup.payment_hash) in found


def _without_topup(rows: BooksRows, topup_id: str) -> BooksRows:
    """Every trace removed, and what it moved taken off the accounts."""
    gone = [entry for entry in rows.journal.values() if entry.subject_id == topup_id]
    counters = dict(rows.ledger.counters)
    for transfer in (one for entry in gone for one in entry.transfers):
        debit, credit = counters[transfer.debit], counters[transfer.credit]
        counters[transfer.debit] = debit._replace(
            debits_posted=debit.debits_posted - transfer.amount
        )
        counters[transfer.credit] = credit._replace(
            credits_posted=credit.credits_posted - transfer.amount
        )
    kept = {key: entry for key, entry in rows.journal.items() if entry.subject_id != topup_id}
    return replace(
        rows,
        journal=kept,
        topups={name: row for name, row in rows.topups.items() if name != topup_id},
        ledger=replace(rows.ledger, counters=counters),
    )


async def test_a_topup_handed_to_another_caller_in_every_row_is_found() -> None:
    """K3.2: row, entries, digests and accounts agree, but the invoice's memo names another."""
    async with opened_books() as opened:
        await Teller(opened.books).topped_up("top_1", 9_000, "c_mallory")
        assert (await opened.audited()).sound, "nothing in the books says it, but the memo does"
        books = opened.fake
    node = node_of(books)
    row = books.rows.topups["top_1"]
    assert row.state is TopupState.CREDITED
    names = FakeIdentifiers()
    node.memos[row.payment_hash] = tagged(TOPUP, names.memo_tag("c_alice", row.payment_hash))
    report = await _knowing_tags(books, node)
    assert codes(report) == {"settlement_caller"}
    node.memos[row.payment_hash] = tagged(TOPUP, names.memo_tag("c_mallory", row.payment_hash))
    assert (await _knowing_tags(books, node)).sound


async def _knowing_tags(books: FakeBooks, node: ToldNode) -> AuditReport:
    names = FakeIdentifiers()
    audit = AuditLedger(
        reports=books,
        node=lambda: node,
        upstream=None,
        retention=RETENTION,
        caller_of_tag=names.caller_of_tag,
    )
    return await audit.audit()


async def test_a_sealed_body_that_was_overwritten_is_found() -> None:
    """K3.2: a paid answer replaced by another sealed body."""
    books, node = await whole(), await told_node()
    forged = StoredBodies(wrapped_key=b"key", completion=b"another answer")
    books.rows = replace(books.rows, bodies={**books.rows.bodies, "esc_kept": forged})
    report = await audited(books, node)
    assert {(one.code, one.subject) for one in report.findings} == {("body_differs", "esc_kept")}


async def test_keeping_that_was_cut_short_is_found() -> None:
    """K3.2: `keep_until_ms` at 0 would drop what was paid for."""
    books = await full_books()
    node = node_of(books)
    books.rows = with_escrow(books.rows, "esc_settled", keep_until_ms=0)
    report = await audited(books, node)
    assert {one.subject for one in report.findings} == {"esc_settled"}


def of_all(told: Transition) -> Transition:
    """The same entry as a version wrote it that compared with the sum over all upstreams."""
    facts = {name: fact for name, fact in told.facts.items() if name != "upstream"}
    return replace(told, facts=facts)


@pytest.mark.parametrize(("now", "sound"), [(700, True), (100, False)])
async def test_usage_of_one_is_not_held_against_the_sum_of_before(*, now: int, sound: bool) -> None:
    """The first figure of one upstream alone may be smaller; from then on it only grows."""
    async with opened_books() as opened:
        await opened.books.apply(of_all(upstream_baseline(used(0), at_ms=NOW_MS)))
        compared = [
            usage_compared(used(usage), sequence=number, cost_pusd=cost, at_ms=NOW_MS)
            for number, (cost, usage) in enumerate(((3_000, 3_000), (-2_500, 500), (200, now)))
        ]
        for told in (of_all(compared[0]), *compared[1:]):
            await opened.books.apply(told)
        report = await opened.audited()
    found = [(one.code, one.subject) for one in report.findings]
    assert found == ([] if sound else [("comparison_differs", "upstream/usage_compared/2")])


async def test_usage_that_fell_in_an_older_comparison_is_found() -> None:
    """K3.1: all cost was taken back at a figure below the one before, and nobody set a baseline."""
    async with opened_books() as opened:
        await opened.books.apply(upstream_baseline(used(0), at_ms=NOW_MS))
        for number, (cost, usage) in enumerate(((3_000, 3_000), (-3_000, 0))):
            told = usage_compared(used(usage), sequence=number, cost_pusd=cost, at_ms=NOW_MS)
            await opened.books.apply(told)
        report = await opened.audited()
    assert [(one.code, one.subject) for one in report.findings] == [
        ("comparison_differs", "upstream/usage_compared/1")
    ]


async def test_a_seller_put_on_any_entry_is_found() -> None:
    """Of a sale or of anything else: nothing gets into a stranger's statement."""
    books, node = await whole(), await told_node()
    before, subjects = books.rows, set()
    for key, entry in before.journal.items():
        if (kind := (entry.kind, entry.subject_id.partition("_")[0])) not in subjects:
            subjects.add(kind)
            books.rows = with_entry(before, key, seller_id="c_mallory")
            assert "entry_mislabelled" in codes(await audited(books, node)), key
    assert {"budgets", "releases", "upstream", "operator", "node"} <= {one for _, one in subjects}


async def test_a_baseline_that_was_edited_is_found() -> None:
    """What was booked at a rebase is what the journal had booked by then."""
    books, node = await whole(), await told_node()
    key = "upstream/usage_rebased/0"
    facts = {**books.rows.journal[key].facts, "booked_pusd": 1}
    books.rows = with_entry(books.rows, key, facts=facts)
    assert codes(await audited(books, node)) == {"baseline_differs"}


def _overpaid_to_mallory(
    before: Escrow, event: on.EscrowEvent, after: Escrow
) -> tuple[Transfer, ...]:
    """K3.5: what is paid too much goes to somebody else's credit."""
    mallory = chart.available("c_mallory")
    own = chart.available(before.caller_id)
    return tuple(
        replace(one, credit=mallory)
        if isinstance(event, on.InvoiceSettled) and one.credit == own
        else one
        for one in bookings(before, event, after)
    )


def _budget_forgotten(before: Escrow, event: on.EscrowEvent, after: Escrow) -> tuple[Transfer, ...]:
    """A lapse that gives the day's budget back instead of counting it."""
    booked = bookings(before, event, after)
    if not isinstance(event, on.InvoiceCanceled):
        return booked
    return tuple(one for one in booked if not one.debit.code.startswith("exposure/unpaid/"))


@pytest.mark.parametrize(
    ("wrong", "subject"),
    [
        (_overpaid_to_mallory, "caller/c_mallory/available"),
        (_budget_forgotten, "exposure/contra/pusd"),
    ],
)
async def test_a_program_that_books_wrongly_is_found(wrong: Book, subject: str) -> None:
    """K3.5: journal and replay agree, since they share the booking; the second opinion does not."""
    async with opened_books() as opened:
        teller = Teller(opened.books)
        await teller.topped_up("top_1", 1_000, "c_mallory")
        paid = await teller.invoiced("esc_paid")
        lapsed = await teller.invoiced("esc_lapsed")
        for row, event in ((paid, teller.paid(2_000)(paid)), (lapsed, canceled(lapsed))):
            told = escrow_transition(row, event, at_ms=NOW_MS, retention=RETENTION, book=wrong)
            await opened.books.apply(told)
        node = node_of(opened.fake)
        audit = AuditLedger(
            reports=opened.reports,
            node=lambda: node,
            upstream=None,
            retention=RETENTION,
            book=wrong,
        )
        report = await audit.audit()
    assert ("total_differs", subject) in {(one.code, one.subject) for one in report.findings}


async def test_books_from_before_digests_are_right() -> None:
    """What an older version did not keep is not held against its books."""
    books = await full_books()
    node = node_of(books)
    older = {
        key: replace(
            entry,
            facts={
                name: fact
                for name, fact in entry.facts.items()
                if name not in {ROW, "usage_pusd", "baseline", "upstream_key"}
                and not name.startswith("sealed.")
            }
            | ({"usage_pusd": 5_000} if key == BASELINE_KEY else {}),
        )
        for key, entry in books.rows.journal.items()
    }
    books.rows = replace(books.rows, journal=older)
    assert (await audited(books, node)).findings == ()
