"""An operator's word is booked once, and never against the node's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cobot_meter.domain.errors import BooksBusy, EscrowNotFound, NodeUnavailable, RequestInvalid
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.events import TopupInvoiced
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.transition import CallerChange
from tests.domain.samples import NOW_MS
from tests.flows.rigs.operator_rig import OperatorRig, operator_rig


@pytest.fixture
async def rig() -> AsyncIterator[OperatorRig]:
    """With empty books."""
    async with operator_rig() as rig:
        yield rig


async def test_an_open_invoice_is_canceled_at_the_node_and_then_booked(rig: OperatorRig) -> None:
    """The escrow is expired because the node said CANCELED, and the books stay sound."""
    escrow = await rig.teller.invoiced("esc_1")
    outcome = await rig.cancellations.cancel("esc_1")
    assert outcome.invoice_state is InvoiceState.CANCELED
    assert (outcome.subject_id, outcome.subject_state) == ("esc_1", "expired")
    assert outcome.payment_hash == escrow.payment_hash
    assert (await rig.audited()).sound


async def test_an_invoice_is_found_by_its_payment_hash(rig: OperatorRig) -> None:
    """A payment hash names the escrow as well as its id does."""
    escrow = await rig.teller.invoiced("esc_1")
    assert (await rig.cancellations.cancel(str(escrow.payment_hash))).subject_id == "esc_1"


async def test_a_faster_payment_wins(rig: OperatorRig) -> None:
    """When the node answers SETTLED to the cancellation, the payment is booked and stands."""
    rig.node.settled = True
    await rig.teller.invoiced("esc_1")
    outcome = await rig.cancellations.cancel("esc_1")
    assert outcome.invoice_state is InvoiceState.SETTLED
    assert rig.fake.rows.escrows["esc_1"].progress is Progress.SETTLED


async def test_a_silent_node_books_nothing(rig: OperatorRig) -> None:
    """Without the node's answer the escrow stays invoiced."""
    rig.node.silent = True
    await rig.teller.invoiced("esc_1")
    with pytest.raises(NodeUnavailable):
        await rig.cancellations.cancel("esc_1")
    assert rig.fake.rows.escrows["esc_1"].progress is Progress.INVOICED


async def test_a_topup_can_be_canceled_too(rig: OperatorRig) -> None:
    """The open invoice of a top-up is taken back, and the top-up lapses."""
    topup = Topup(
        topup_id="top_1",
        caller_id="c_1",
        address_key="a",
        amount_msat=1_000,
        opened_at_ms=NOW_MS,
        state=TopupState.OPENED,
        version=1,
        attempt=0,
        payment_hash="ab" * 32,
    )
    issued = TopupInvoiced(payment_request="lnbcrt1", expires_at_s=9)
    await rig.books.apply(open_topup(topup))
    await rig.books.apply(topup_transition(topup, issued, at_ms=NOW_MS))
    assert (await rig.cancellations.cancel("top_1")).subject_state == "lapsed"


async def test_only_what_is_open_can_be_canceled(rig: OperatorRig) -> None:
    """Nothing of that name, and an escrow without an open invoice, are refused by name."""
    await rig.teller.open("esc_1")
    with pytest.raises(EscrowNotFound, match="esc_2"):
        await rig.cancellations.cancel("esc_2")
    with pytest.raises(RequestInvalid, match="opened"):
        await rig.cancellations.cancel("esc_1")


async def test_each_word_on_a_caller_is_an_entry(rig: OperatorRig) -> None:
    """Block, cap and their taking back stand in the journal, each changing only its own part."""
    assert (await rig.callers.block("c_1", blocked=True)).blocked
    capped = await rig.callers.cap("c_1", 5_000)
    assert (capped.blocked, capped.cap_override_msat) == (True, 5_000)
    free = await rig.callers.block("c_1", blocked=False)
    assert (free.blocked, free.cap_override_msat) == (False, 5_000)
    assert (await rig.callers.cap("c_1", None)).cap_override_msat is None
    assert [one.kind for one in rig.booked] == ["caller_changed"] * 4
    assert (await rig.audited()).sound


async def test_a_word_that_another_overtook_is_said_again(rig: OperatorRig) -> None:
    """When somebody else's word takes the number meanwhile, ours is booked after it."""
    overtaken = rig.books.caller_changes

    async def overtake(caller_id: str) -> int:
        sequence = await overtaken(caller_id)
        if sequence == 0:
            other = CallerChange(blocked=False, cap_msat=9)
            await rig.books.apply(
                caller_transition(caller_id, other, sequence=sequence, at_ms=NOW_MS)
            )
        return sequence

    rig.books.caller_changes = overtake  # type: ignore[method-assign]
    assert (await rig.callers.block("c_1", blocked=True)).blocked
    assert len(rig.fake.rows.journal) == 2


async def test_endless_overtaking_is_told(rig: OperatorRig) -> None:
    """A word that is overtaken again and again ends with an error instead of a loop."""
    await rig.callers.block("c_1", blocked=True)

    async def stale(caller_id: str) -> int:
        return 0

    rig.books.caller_changes = stale  # type: ignore[method-assign]
    with pytest.raises(BooksBusy):
        await rig.callers.cap("c_1", 1)


async def test_a_mistyped_caller_is_refused(rig: OperatorRig) -> None:
    """What is no caller id opens no account."""
    with pytest.raises(RequestInvalid):
        await rig.callers.block("esc_1", blocked=True)
    assert not rig.fake.rows.ledger.accounts
