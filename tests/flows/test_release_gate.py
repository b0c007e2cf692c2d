"""When we find ourselves broken nothing is released until somebody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.domain.errors import DependencyFault, LedgerUnbalanced
from service.domain.escrow_events import InvoiceSettled
from tests.flows.stories import ask, claim, hear, pay
from tests.flows.test_crash_points import staged


async def test_a_payment_below_what_is_due_stops_every_release(tmp_path: Path) -> None:
    """The node says less than the invoice: the books refuse, and paid work waits for a look."""
    async with staged(tmp_path / "node") as stage:
        await ask(stage)
        escrow = stage.escrow
        short = InvoiceSettled(
            payment_hash=escrow.payment_hash or "",
            paid_msat=escrow.due_msat - 1,
            settle_index=1,
            node_alias="dev",
            node_pubkey="02",
        )
        await stage.process.gate.ping()
        with pytest.raises(LedgerUnbalanced):
            await stage.process.recorder.record(escrow, short)
        with pytest.raises(DependencyFault, match="stopped until the operator"):
            await stage.process.gate.ping()
        for step in (pay(), hear, claim):
            await step(stage)
        assert isinstance(stage.fault, DependencyFault)
        assert stage.answer is None
