"""The audit as a whole: sound books, the node's word, the upstream's usage, and its bounds."""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.flows.audit.findings import FINDINGS_MAX, AuditReport, Findings
from cobot_meter.flows.audit.ledger import AuditLedger, KeyUsage
from cobot_meter.ports.lightning_node import LightningNode
from tests.domain.samples import RETENTION, payment_hash_of
from tests.fakes.upstream import FakeUpstream
from tests.flows.audit.audit_damage import facts
from tests.flows.audit.audit_rig import BASELINE_PUSD, audited, full_books, node_of, opened_books


def codes(report: AuditReport) -> set[tuple[str, str]]:
    """Code and subject of every finding."""
    return {(finding.code, finding.subject) for finding in report.findings}


async def test_sound_books_have_no_finding() -> None:
    """Books with one of everything, and a node that agrees, are found sound and counted right."""
    books = await full_books()
    report = await audited(books)
    assert report.findings == ()
    assert report.unchecked == ()
    assert report.sound
    figures = report.figures
    assert figures.entries == len(books.rows.journal)
    assert (figures.escrows, figures.topups) == (len(books.rows.escrows), 1)
    assert figures.settlements == figures.settlements_confirmed > 0
    assert [total.commodity for total in figures.totals] == ["msat", "pusd"]
    assert all(total.balanced and total.debits_posted for total in figures.totals)
    assert figures.open_holds == len(books.rows.ledger.open_reservations())


async def test_empty_books_have_no_finding() -> None:
    """Books in which nothing has happened are sound."""
    async with opened_books() as opened:
        report = await opened.audited()
    assert report.sound
    assert report.figures.entries == 0


async def test_the_node_contradicts_the_books() -> None:
    """A payment the node does not know, denies or has at another amount is a finding each."""
    books = await full_books()
    node = node_of(books)
    hashes = {row.escrow_id: str(row.payment_hash) for row in books.rows.escrows.values()}
    del node.invoices[hashes["esc_released"]]
    for escrow_id, changes in (
        ("esc_lost", {"state": InvoiceState.CANCELED}),
        ("esc_late", {"amount_paid_msat": 1}),
    ):
        told = node.invoices[hashes[escrow_id]]
        node.invoices[hashes[escrow_id]] = replace(told, **changes)
    report = await audited(books, node)
    assert codes(report) == {
        ("settlement_unknown", "esc_released"),
        ("settlement_denied", "esc_lost"),
        ("settlement_amount", "esc_late"),
    }
    assert report.figures.settlements - report.figures.settlements_confirmed == 3


async def test_a_topup_is_held_against_the_node_too() -> None:
    """A top-up that the node never settled is a finding."""
    books = await full_books()
    node = node_of(books)
    del node.invoices[books.rows.topups["top_1"].payment_hash]
    assert codes(await audited(books, node)) == {("settlement_unknown", "top_1")}


async def test_a_silent_node_leaves_things_unchecked() -> None:
    """A node that does not answer is no finding: what it was to confirm is told apart."""
    books = await full_books()
    node = node_of(books)
    node.silent = True
    report = await audited(books, node)
    assert report.sound
    assert [finding.code for finding in report.unchecked] == ["node_unreachable"]
    assert str(report.figures.settlements) in report.unchecked[0].message


async def test_a_node_that_cannot_be_opened_leaves_things_unchecked() -> None:
    """Without a node to ask, the books themselves are still audited."""

    def nowhere() -> LightningNode:
        raise NodeUnavailable("its file is gone")

    audit = AuditLedger(
        reports=await full_books(), node=nowhere, upstream=None, retention=RETENTION
    )
    report = await audit.audit()
    assert report.sound
    assert "its file is gone" in report.unchecked[0].message


async def test_the_upstreams_usage_is_a_figure() -> None:
    """What the upstream charged beyond the books is counted, from its first reading on."""
    books = await full_books()
    upstream = FakeUpstream()
    node = node_of(books)
    audit = AuditLedger(
        reports=books, node=lambda: node, upstream=KeyUsage(teller=upstream), retention=RETENTION
    )
    report = await audit.audit()
    assert codes(report) == {("upstream_usage_fell", "upstream")}
    figures = report.figures
    assert figures.baseline_pusd == BASELINE_PUSD
    assert figures.unexplained_pusd == -BASELINE_PUSD - figures.cost_pusd
    upstream.spent_pusd = BASELINE_PUSD + figures.cost_pusd
    assert (await audit.audit()).figures.unexplained_pusd == 0
    upstream.reachable = False
    report = await audit.audit()
    assert report.sound
    assert report.figures.unexplained_pusd is None
    assert [finding.code for finding in report.unchecked] == ["upstream_unreachable"]


async def test_settled_elsewhere_is_not_settled_here() -> None:
    """An entry that settles an escrow with another invoice's hash cannot have happened."""
    books = await full_books()
    key = f"ln/{books.rows.escrows['esc_settled'].payment_hash}"
    other = payment_hash_of(books.rows.escrows["esc_open"])
    books.rows = facts(books.rows, key, payment_hash=other)
    assert ("event_impossible", "esc_settled") in codes(await audited(books))


def test_findings_are_bounded() -> None:
    """Books that are wrong everywhere fill no memory: the rest is counted."""
    findings = Findings()
    for number in range(FINDINGS_MAX + 3):
        findings.add("account_differs", str(number), "wrong")
    assert len(findings.kept) == FINDINGS_MAX
    assert findings.left_out == 3
