"""What lnd's errors mean, in the table and in the adapter's answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.lnd.errors import TABLE, LndFault, LndVerdict, verdict_of
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from tests.adapters.lightning.lnd.fake_lnd_rig import FakeLndRig, fake_lnd_rig
from tests.contracts.lightning_node_rig import new_order

UNKNOWN_ANSWERS = [
    ("UNAVAILABLE", "failed to connect to all addresses"),
    ("UNAVAILABLE", "invoice with payment hash already exists, says a proxy"),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded"),
    ("CANCELLED", "the channel was closed"),
    ("INTERNAL", "internal server error"),
    ("RESOURCE_EXHAUSTED", "too many connections"),
    ("ABORTED", "memo too large"),
    ("UNKNOWN", "database is locked"),
    ("UNKNOWN", ""),
    ("NOT_FOUND", "no such route"),
    ("UNIMPLEMENTED", "unknown service lnrpc.Lightning"),
    ("UNKNOWN", "wallet locked, unlock it to enable full RPC access"),
    ("UNKNOWN", "permission denied"),
    ("UNKNOWN", "verification failed: signature mismatch after caveat verification"),
]


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path) -> AsyncIterator[FakeLndRig]:
    async with fake_lnd_rig(tmp_path) as rig:
        yield rig


def test_every_row_is_reached() -> None:
    """No row of the table hides behind an earlier one."""
    for code, text, verdict in TABLE:
        assert verdict_of(code, f"rpc error: {text} (and more)") is verdict


@pytest.mark.parametrize(("code", "text"), UNKNOWN_ANSWERS)
async def test_unknown_is_not_failed(rig: FakeLndRig, code: str, text: str) -> None:
    """Row 27: an answer that does not say what happened is unknown, and the next try decides."""
    fault = LndFault("AddInvoice", code=code, details=text)
    assert isinstance(fault, NodeUnavailable)
    assert fault.verdict is not LndVerdict.REFUSED
    order = new_order()
    rig.lnd.faults.add_error = (code, text)
    with pytest.raises(NodeUnavailable):
        await rig.node.add_invoice(order)
    rig.lnd.faults.add_error = None
    made = await rig.node.add_invoice(order)
    assert await rig.node.look_up(order.payment_hash) == made


@pytest.mark.parametrize(
    "text",
    [
        "memo too large: 1025 bytes (maxsize=1024)",
        "invoice amount 10000000.1 BTC is too large, max is 100000 BTC",
        "expiry of 31536001 seconds greater than max expiry of 31536000 seconds",
        "amount cannot be negative",
    ],
)
async def test_a_no_for_good_is_one(rig: FakeLndRig, text: str) -> None:
    """What lnd will never make is refused, in lnd's own words."""
    rig.lnd.faults.add_error = ("UNKNOWN", text)
    with pytest.raises(InvoiceRefused, match=text[:12]):
        await rig.node.add_invoice(new_order())
