"""The books as flows see them: rows by name, events written, and two clocks told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.domain.errors import EscrowNotFound
from cobot_meter.domain.escrow.events import ClaimLapsed
from cobot_meter.domain.escrow.states import EscrowState
from tests.flows.rigs.stories import Stage, ask, completes, hear, pay
from tests.flows.sale.test_crash_points import staged

DAY_S = 86_400


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A completion that is paid for."""
    async with staged(tmp_path / "node") as begun:
        for step in (completes(), ask, pay(), hear):
            await step(begun)
        yield begun


async def test_a_row_is_read_by_its_name_and_a_wrong_name_is_told(stage: Stage) -> None:
    """Not more of it than can be a name: it may come from a caller."""
    ledger = stage.process.ledger
    assert await ledger.escrow(stage.escrow.escrow_id) == stage.escrow
    with pytest.raises(EscrowNotFound) as missing:
        await ledger.escrow("esc_" + 200 * "x")
    assert missing.value.message == "there is no escrow esc_" + 76 * "x"


async def test_what_is_recorded_is_in_the_books_that_are_read(stage: Stage) -> None:
    """One ledger reads and writes the same rows, and dates them by the wall clock."""
    ledger = stage.process.ledger
    recorded = await ledger.record(stage.escrow, ClaimLapsed(kept_msat=0))
    assert recorded.state is EscrowState.REFUNDED
    assert recorded == await ledger.escrow(recorded.escrow_id)
    assert recorded.changed_at_ms == ledger.now_ms() == stage.lasting.clock.now_ms()


async def test_a_clock_that_was_set_dates_and_does_not_end(stage: Stage) -> None:
    """A month forward is what the wall clock says, and nothing ends by it yet."""
    ledger, before_ms = stage.process.ledger, stage.process.ledger.ending_ms()
    assert before_ms == ledger.now_ms()
    stage.lasting.clock.step(30 * DAY_S)
    assert ledger.now_ms() == before_ms + 30 * DAY_S * 1_000
    assert ledger.ending_ms() == before_ms
