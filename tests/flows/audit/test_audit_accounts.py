"""Damage to transfers, reservations and account rows is found."""

from __future__ import annotations

import pytest

from tests.flows.audit.audit_damage import (
    Damage,
    posting,
    slipped_in,
    with_account,
    with_entry,
    with_transfer,
    without_account,
)
from tests.flows.audit.audit_rig import audited, full_books, node_of

AVAILABLE = "caller/c_carol/available"
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "account row edited": (
        lambda rows: with_account(rows, "revenue/completions", credits_posted=1),
        "account_differs",
        "revenue/completions",
    ),
    "account row out of balance": (
        lambda rows: with_account(rows, "cost/upstream", debits_posted=1),
        "out_of_balance",
        "pusd",
    ),
    "reserved amount edited": (
        lambda rows: with_account(rows, "escrow/unearned", credits_pending=1),
        "account_differs",
        "escrow/unearned",
    ),
    "account row deleted": (
        lambda rows: without_account(rows, "revenue/completions"),
        "account_missing",
        "revenue/completions",
    ),
    "amount edited": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", amount=1),
        "postings_differ",
        "esc_released/completion_delivered",
    ),
    "revenue edited, with its account": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", amount=1),
        "total_differs",
        "revenue/completions",
    ),
    "amount of zero": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", amount=0),
        "transfer_unsound",
        "esc_released/completion_delivered",
    ),
    "account that no chart has": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", credit="pocket"),
        "transfer_unsound",
        "esc_released/completion_delivered",
    ),
    "commodity edited": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", commodity="pusd"),
        "transfer_unsound",
        "esc_released/completion_delivered",
    ),
    "kind of transfer edited": (
        lambda rows: with_transfer(rows, "esc_released/completion_delivered", kind="gift"),
        "transfer_unsound",
        "esc_released/completion_delivered",
    ),
    "hold resolved at another amount": (
        lambda rows: with_transfer(rows, "esc_abandoned/abandoned", held=1),
        "hold_differs",
        "esc_abandoned/abandoned",
    ),
    "hold resolved twice": (
        slipped_in(
            posting(
                "caller/c_alice/receivable",
                "escrow/unearned",
                0,
                kind="void",
                hold_id="esc_abandoned/caller",
                held=10_000,
            )
        ),
        "hold_not_open",
        "slipped",
    ),
    "more released than was reserved": (
        slipped_in(
            *(
                posting(
                    "caller/c_alice/receivable",
                    "escrow/unearned",
                    0,
                    kind="void",
                    hold_id=f"esc_abandoned/{number}",
                    held=10_000,
                )
                for number in range(9)
            )
        ),
        "pending_negative",
        "caller/c_alice/receivable",
    ),
    "hold taken twice": (
        slipped_in(
            posting(
                "caller/c_alice/receivable",
                "escrow/unearned",
                5,
                kind="pending",
                hold_id="esc_open/caller",
            )
        ),
        "hold_taken_twice",
        "slipped",
    ),
    "hold never resolved": (
        lambda rows: with_entry(rows, "esc_abandoned/abandoned", transfers=()),
        "hold_left_over",
        "esc_abandoned/caller",
    ),
    "hold of nobody": (
        slipped_in(
            posting(AVAILABLE, "escrow/unearned", 1, kind="pending", hold_id="esc_nobody/credit")
        ),
        "hold_left_over",
        "esc_nobody/credit",
    ),
    "credit overdrawn": (
        slipped_in(posting(AVAILABLE, "revenue/completions", 10**6)),
        "credit_overdrawn",
        AVAILABLE,
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damaged_money_is_found(name: str) -> None:
    """Each kind of damage gives its finding, at the subject that was damaged."""
    damage, code, subject = DAMAGES[name]
    books = await full_books()
    node = node_of(books)
    books.rows = damage(books.rows)
    report = await audited(books, node)
    assert (code, subject) in {(finding.code, finding.subject) for finding in report.findings}
    assert not report.sound
