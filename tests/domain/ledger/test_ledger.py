"""Transfers and holds: what cannot be booked cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Guard, Reservation, Transfer, TransferKind, posted

AVAILABLE = chart.available("c_1")
SOUND: Mapping[TransferKind, Mapping[str, Any]] = {
    TransferKind.POSTED: {"amount": 1},
    TransferKind.PENDING: {"amount": 1, "hold_id": "h"},
    TransferKind.POST: {"amount": 1, "hold_id": "h", "held": 1},
    TransferKind.VOID: {"amount": 0, "hold_id": "h", "held": 1},
}


def transfer(kind: TransferKind, **changes: Any) -> Transfer:  # noqa: ANN401 - fields of any type
    """A sound transfer of a kind, with some fields changed."""
    fields = {"debit": AVAILABLE, "credit": chart.UNEARNED, **SOUND[kind], **changes}
    return Transfer(kind=kind, **fields)


@pytest.mark.parametrize("kind", list(TransferKind))
def test_sound_transfers_exist(kind: TransferKind) -> None:
    """The four kinds can be made, guarded where the debited account is exact."""
    assert transfer(kind, guard=Guard(name="available")).kind is kind


@pytest.mark.parametrize("kind", list(TransferKind))
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"credit": chart.EXPOSURE_PUSD}, id="two commodities"),
        pytest.param({"credit": AVAILABLE}, id="one account twice"),
        pytest.param({"amount": -1}, id="below zero"),
        pytest.param({"held": -1}, id="held below zero"),
        pytest.param(
            {"debit": chart.REVENUE, "guard": Guard(name="available")}, id="guard without a row"
        ),
    ],
)
def test_no_kind_is_made_unsound(kind: TransferKind, changes: dict[str, Any]) -> None:
    """Mixed, circular, negative and unguardable transfers are refused for every kind."""
    with pytest.raises(LedgerUnbalanced):
        transfer(kind, **changes)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (TransferKind.POSTED, {"amount": 0}),
        (TransferKind.POSTED, {"hold_id": "h"}),
        (TransferKind.POSTED, {"held": 1}),
        (TransferKind.PENDING, {"amount": 0}),
        (TransferKind.PENDING, {"hold_id": None}),
        (TransferKind.PENDING, {"held": 1}),
        (TransferKind.POST, {"amount": 0}),
        (TransferKind.POST, {"hold_id": None}),
        (TransferKind.POST, {"held": 0}),
        (TransferKind.POST, {"amount": 2}),
        (TransferKind.VOID, {"amount": 1}),
        (TransferKind.VOID, {"hold_id": None}),
        (TransferKind.VOID, {"held": 0}),
    ],
)
def test_each_kind_has_its_own_shape(kind: TransferKind, changes: dict[str, Any]) -> None:
    """A reservation has a name, a resolution says what it releases, and posts no more than that."""
    with pytest.raises(LedgerUnbalanced):
        transfer(kind, **changes)


def test_a_fact_of_nothing_is_no_transfer() -> None:
    """Zero books nothing, and a negative amount books the other way round."""
    assert posted(AVAILABLE, chart.UNEARNED, 0) == ()
    assert posted(AVAILABLE, chart.UNEARNED, -5) == posted(chart.UNEARNED, AVAILABLE, 5)


def test_a_hold_is_pended_posted_and_voided_by_its_name() -> None:
    """All three say the same accounts and the whole amount reserved."""
    hold = Reservation(hold_id="h", debit=AVAILABLE, credit=chart.UNEARNED, amount=10)
    (pended,), (part,), (void,) = hold.pend(), hold.post(4), hold.void()
    assert (pended.kind, pended.amount, pended.held) == (TransferKind.PENDING, 10, 0)
    assert (part.kind, part.amount, part.held) == (TransferKind.POST, 4, 10)
    assert (void.kind, void.amount, void.held) == (TransferKind.VOID, 0, 10)
    assert {one.hold_id for one in (pended, part, void)} == {"h"}
    assert hold.post(0) == hold.void()


def test_what_was_not_reserved_cannot_be_posted() -> None:
    """A hold of 0 is none: nothing to pend or void, and posting from it is refused."""
    none = Reservation(hold_id="h", debit=AVAILABLE, credit=chart.UNEARNED, amount=0)
    assert none.pend() == none.void() == none.post(0) == ()
    with pytest.raises(LedgerUnbalanced):
        none.post(1)


def test_more_than_was_reserved_cannot_be_posted() -> None:
    """An overrun is a fact of its own, never part of the reservation."""
    with pytest.raises(LedgerUnbalanced):
        Reservation(hold_id="h", debit=AVAILABLE, credit=chart.UNEARNED, amount=10).post(11)


def test_callers_accounts_are_exact_and_operators_are_not() -> None:
    """Guards need a row; operator accounts have none to be hot."""
    exact = (
        *chart.caller_accounts("c_1"),
        chart.address_budget("::1", "2026-11-22"),
        chart.day_budget("2026-11-22", newcomer=True),
    )
    assert all(account.exact for account in exact)
    assert not any(account.exact for account in (*chart.COST_ACCOUNTS, chart.node_balance("dev")))
    assert len({account.code for account in exact}) == len(exact)
