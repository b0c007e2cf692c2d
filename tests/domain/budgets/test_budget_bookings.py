"""What a sale leaves in the windows of its budgets, on every way that it can go."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.errors import ExposureExceeded, IllegalTransition, LedgerUnbalanced
from cobot_meter.domain.escrow.budget_reservations import budget_accounts, counted
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.run import events as ran
from cobot_meter.flows.audit.exposure import ExposureReplay
from tests.domain.escrow.stages import EVENTS
from tests.domain.escrow.walks import Walk
from tests.domain.samples import CALLER, FAILURE, NOW_MS, Shape, opened

START = "20261129T230000Z"
OTHER_MODEL = f"budget/msat/{CALLER}/model/day/UTC/acme/other/{START}"
CODES = (
    f"budget/msat/{CALLER}/key/day/Europe:Berlin/key_1/{START}",
    f"budget/pusd/{CALLER}/caller/month/America:Argentina:Salta/{START}",
    f"budget/msat/{CALLER}/model/day/UTC/{opened().model}/{START}",
    OTHER_MODEL,
    f"budget/pusd/operator/operator/hour/UTC/{START}",
)
SHAPES = (
    Shape(budgets=" ".join(CODES)),
    Shape(budgets=" ".join(CODES), credit=2_000),
    Shape(budgets=" ".join(CODES), credit=9_000),
    Shape(budgets=" ".join(CODES), credit=10_000, mode=Mode.CREDIT, key_id="key_1"),
    Shape(
        budgets=" ".join(CODES),
        credit=8_000,
        mode=Mode.CREDIT,
        key_id="key_1",
        first_tokens=10,
        overrun=0,
    ),
)
RESERVED = frozenset({EscrowState.RUNNING, EscrowState.PRICED})
PAID = frozenset({EscrowState.INVOICED, EscrowState.SETTLED, EscrowState.RELEASED})
IMPOSSIBLE = (IllegalTransition, LedgerUnbalanced, ExposureExceeded)


def told(walk: Walk, event: EscrowEvent) -> bool:
    """Whether the event could happen; where not, nothing of the walk has changed."""
    before = (walk.escrow, walk.ledger, walk.last)
    try:
        walk.tell(event)
    except IMPOSSIBLE:
        walk.escrow, walk.ledger, walk.last = before
        return False
    return True


def check(walk: Walk, replay: ExposureReplay) -> None:
    """Every window stands at what the events say, and nothing is reserved that should not be."""
    sale = walk.escrow
    for account in budget_accounts(sale):
        found = walk.ledger.of(account)
        assert found.net == replay.counted[account.code]
        reserved = counted(sale, account, sale.most_msat) if sale.state in RESERVED else 0
        assert found.debits_pending == reserved
        if sale.quarantine is None and account.code != OTHER_MODEL:
            paid = sale.price_msat if sale.state in PAID else None
            assert paid is None or found.net == counted(sale, account, paid)
        assert account.code != OTHER_MODEL or found.net == 0


@given(st.sampled_from(SHAPES), st.lists(st.sampled_from(list(EVENTS)), max_size=40))
def test_whatever_happens_each_window_has_what_is_paid_for(
    shape: Shape, kinds: list[type[EscrowEvent]]
) -> None:
    """Also what the audit counts of the events alone, which never calls the bookings."""
    walk, replay = Walk(shape), ExposureReplay()
    check(walk, replay)
    for kind in kinds:
        before = walk.escrow
        try:
            event = EVENTS[kind](before)
        except (AttributeError, TypeError, AssertionError):
            continue  # it tells of something that this sale has not
        if told(walk, event):
            replay.told(before, event)
            check(walk, replay)


def test_a_sale_that_fell_back_counts_with_the_model_that_answered() -> None:
    """The budget of the model that was asked first has it back."""
    walk = Walk(dataclasses.replace(SHAPES[3], budgets=" ".join(CODES)))
    walk.tell(ran.UpstreamRequested())
    walk.tell(EVENTS[ran.FellBack](walk.escrow))
    answered = f"budget/msat/{CALLER}/model/day/UTC/{walk.escrow.model}/{START}"
    assert walk.escrow.model != opened().model
    renamed = SHAPES[3].budgets.replace(OTHER_MODEL, answered)
    walk = Walk(dataclasses.replace(SHAPES[3], budgets=renamed)).tell(ran.UpstreamRequested())
    walk.tell(EVENTS[ran.FellBack](walk.escrow))
    walk.tell(EVENTS[ran.CompletionCosted](walk.escrow))
    nets = {one.code: walk.ledger.of(one).net for one in budget_accounts(walk.escrow)}
    assert nets[answered] == 7_000
    assert nets[f"budget/msat/{CALLER}/model/day/UTC/{opened().model}/{START}"] == 0


def test_a_failed_run_leaves_nothing() -> None:
    """All that was reserved is free again, in every window."""
    walk = Walk(SHAPES[3]).tell(ran.UpstreamRequested())
    walk.tell(ran.RunFailed(failure=FAILURE, charged=False), at_ms=NOW_MS + 1)
    accounts = budget_accounts(walk.escrow)
    assert len(accounts) == len(CODES)
    assert all(walk.ledger.of(one).claimed == 0 for one in accounts)


def test_a_sale_of_an_account_that_no_budget_has_is_refused() -> None:
    """It cannot be opened: what would be reserved is nobody's."""
    sale: Escrow = dataclasses.replace(opened(), budgets="budget/eur/c_one/key/day")
    with pytest.raises(LedgerUnbalanced, match="budget/eur/c_one/key/day"):
        budget_accounts(sale)
