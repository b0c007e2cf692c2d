"""Damage to entries, escrows, top-ups and operators' words is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.topup.states import TopupState
from tests.domain.samples import NODE
from tests.flows.audit.audit_damage import (
    Damage,
    facts,
    grown,
    orphan_row,
    posting,
    slipped_in,
    unblocked,
    with_entry,
    with_escrow,
    with_topup,
    with_transfer,
    without_entry,
    without_row,
)
from tests.flows.audit.audit_rig import audited, full_books, node_of

AVAILABLE = "caller/c_carol/available"
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "entry deleted": (
        lambda rows: without_entry(rows, "esc_released/completion_delivered"),
        "event_impossible",
        "esc_released",
    ),
    "last entry deleted": (
        lambda rows: without_entry(rows, "esc_late/completion_delivered"),
        "state_differs",
        "esc_late",
    ),
    "opening deleted": (
        lambda rows: without_entry(rows, "esc_released/opened"),
        "event_impossible",
        "esc_released",
    ),
    "entries in disorder": (
        lambda rows: grown(rows, 10**6),
        "journal_order",
        "esc_released/upstream_requested",
    ),
    "entry under another key": (
        lambda rows: with_entry(rows, "esc_open/opened", key="esc_open/reopened"),
        "entry_mislabelled",
        "esc_open/reopened",
    ),
    "entry of another caller": (
        lambda rows: with_entry(rows, "esc_open/opened", caller_id="c_mallory"),
        "entry_mislabelled",
        "esc_open/opened",
    ),
    "entry of an unknown kind": (slipped_in(), "entry_unknown", "slipped"),
    "entry of an escrow that is not there": (
        slipped_in(subject_id="esc_nobody"),
        "journal_orphan",
        "esc_nobody",
    ),
    "escrow row deleted": (
        lambda rows: without_row(rows, "esc_released"),
        "journal_orphan",
        "esc_released",
    ),
    "escrow row made up": (orphan_row, "row_orphan", "esc_ghost"),
    "state edited": (
        lambda rows: with_escrow(rows, "esc_invoiced", state=Progress.SETTLED),
        "state_differs",
        "esc_invoiced",
    ),
    "price in the row edited": (
        lambda rows: with_escrow(rows, "esc_released", price_msat=1),
        "row_differs",
        "esc_released",
    ),
    "version edited": (
        lambda rows: with_escrow(rows, "esc_released", version=2),
        "row_differs",
        "esc_released",
    ),
    "ceiling in the row edited": (
        lambda rows: with_escrow(
            rows,
            "esc_invoiced",
            quote=replace(rows.escrows["esc_invoiced"].quote, ceiling_msat=20_000),
        ),
        "quote_differs",
        "esc_invoiced",
    ),
    "price not that of the cost": (
        lambda rows: facts(rows, "esc_settled/cost_known", price_msat=6_999),
        "price_differs",
        "esc_settled",
    ),
    "price above the ceiling": (
        lambda rows: facts(rows, "esc_settled/cost_known", price_msat=10_001),
        "event_impossible",
        "esc_settled",
    ),
    "more kept of a lapsed claim": (
        lambda rows: facts(rows, "esc_lapsed_claim/claim_lapsed", kept_msat=6_000),
        "price_differs",
        "esc_lapsed_claim",
    ),
    "facts lost": (
        lambda rows: with_entry(rows, "esc_settled/cost_known", facts={}),
        "event_impossible",
        "esc_settled",
    ),
    "facts of the wrong type": (
        lambda rows: facts(rows, "esc_settled/cost_known", cost__cost_pusd="7000"),
        "event_impossible",
        "esc_settled",
    ),
    "top-up row edited": (
        lambda rows: with_topup(rows, "top_1", state=TopupState.LAPSED),
        "state_differs",
        "top_1",
    ),
    "top-up's amount edited": (
        lambda rows: with_topup(rows, "top_1", paid_msat=9_000),
        "row_differs",
        "top_1",
    ),
    "top-up row deleted": (
        lambda rows: replace(rows, topups={}),
        "journal_orphan",
        "top_1",
    ),
    "top-up's entries deleted": (
        lambda rows: without_entry(
            rows,
            "top_1/topup_opened/0",
            "top_1/topup_invoiced/0",
            f"ln/{rows.topups['top_1'].payment_hash}",
        ),
        "row_orphan",
        "top_1",
    ),
    "top-up credited twice over": (
        lambda rows: with_transfer(rows, f"ln/{rows.topups['top_1'].payment_hash}", amount=2_000),
        "total_differs",
        "ln/node",
    ),
    "top-up credited before it was offered": (
        lambda rows: without_entry(rows, "top_1/topup_opened/0"),
        "event_impossible",
        "top_1",
    ),
    "top-up credited by another's payment": (
        lambda rows: facts(rows, f"ln/{rows.topups['top_1'].payment_hash}", payment_hash="00" * 32),
        "event_impossible",
        "top_1",
    ),
    "top-up's entry under another number": (
        lambda rows: with_entry(rows, "top_1/topup_invoiced/0", key="top_1/topup_invoiced/7"),
        "entry_mislabelled",
        "top_1/topup_invoiced/7",
    ),
    "top-up's amount paid is a text": (
        lambda rows: facts(rows, f"ln/{rows.topups['top_1'].payment_hash}", paid_msat="1000"),
        "event_impossible",
        "top_1",
    ),
    "top-up's attempt edited": (
        lambda rows: with_topup(rows, "top_1", attempt=3),
        "row_differs",
        "top_1",
    ),
    "operator's word undone": (unblocked, "caller_differs", "c_mallory"),
    "operator's word moves money": (
        lambda rows: with_entry(
            rows,
            "c_mallory/caller_changed/0",
            transfers=(posting(f"ln/node/{NODE}", "caller/c_mallory/available", 5),),
        ),
        "postings_differ",
        "c_mallory/caller_changed/0",
    ),
    "unattributed cost edited": (
        lambda rows: with_transfer(rows, "upstream/usage_compared/0", amount=78),
        "postings_differ",
        "upstream/usage_compared/0",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damaged_lives_are_found(name: str) -> None:
    """Each kind of damage gives its finding, at the subject that was damaged."""
    damage, code, subject = DAMAGES[name]
    books = await full_books()
    node = node_of(books)
    books.rows = damage(books.rows)
    report = await audited(books, node)
    assert (code, subject) in {(finding.code, finding.subject) for finding in report.findings}
    assert not report.sound
