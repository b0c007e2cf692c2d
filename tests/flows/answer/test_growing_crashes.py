"""Killed before and after every commit of an answer that grows: nobody pays for what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.domain.api_key.record import KeyWish
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import Completes
from tests.flows.rigs.growing import asked_by, long_answer, offer_growing
from tests.flows.rigs.stories import Stage, end, hear
from tests.flows.sale.test_crash_points import prove_sound, restart, staged

CALLER = "c_agent"
CREDIT_MSAT = 6_000_000
# Opened and requested at once, named, extended three times, captured.
COMMITS = 6


async def keyed(stage: Stage, answer: Completes) -> Ask:
    """What a key asks whose credit reaches for a part of the ceiling."""
    upstream = stage.lasting.upstream
    offer_growing(upstream)
    upstream.usually = answer
    await stage.process.catalogue.refresh()
    offer = await stage.process.top_up.offer(address_key=CALLER, caller_id=CALLER)
    await stage.node.pay(offer.payment_request, amount_msat=CREDIT_MSAT)
    await hear(stage)
    await stage.process.flows.manage_keys.make(CALLER, KeyWish(), name=None)
    return asked_by(next(iter(stage.books.rows.api_keys.values())))


async def answered(stage: Stage, ask: Ask) -> None:
    """Asked, and through."""
    await stage.process.ask_completion.answer(ask)
    await stage.process.runs.finish()


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("commits", range(COMMITS))
async def test_a_kill_at_any_commit_leaves_sound_books(
    moment: Moment, commits: int, tmp_path: Path
) -> None:
    """What was reserved is resolved however it had grown; a lost answer costs nobody but us."""
    async with staged(tmp_path / "node") as stage:
        ask = await keyed(stage, long_answer())
        stage.process.mortal.crash = Crash(moment=moment, commits=commits)
        with pytest.raises(Killed):
            await answered(stage, ask)
        await restart(stage)
        await end(stage)
        await prove_sound(stage)
        credit = -stage.books.rows.ledger.of(chart.available(CALLER)).net
        for escrow in stage.books.rows.escrows.values():
            assert escrow.progress in {Progress.RELEASED, Progress.FAILED}
        sold = sum(one.price_msat for one in stage.books.rows.escrows.values() if one.settled_at_ms)
        assert credit == CREDIT_MSAT - sold
