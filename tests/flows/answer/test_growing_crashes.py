"""Killed before and after every commit of an answer that grows: nobody pays for what was lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.api_key.record import ApiKey, KeyWish
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Reasoning
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import Completes, fake_endpoint, fake_model
from tests.flows.rigs.stories import Stage, ask_of, end, hear
from tests.flows.sale.test_crash_points import prove_sound, restart, staged

CALLER = "c_agent"
CREDIT_MSAT = 6_000_000
MODEL = fake_model(
    "acme/stops",
    price=ModelPrice(prompt_pusd=1_000_000, completion_pusd=5_000_000),
    max_out=32_000,
    reasoning=Reasoning.NEVER,
)
WORD = "letters "
# Opened and requested at once, named, extended three times, captured.
COMMITS = 6


async def keyed(stage: Stage, answer: Completes) -> Ask:
    """What a key asks whose credit reaches for a part of the ceiling."""
    upstream = stage.lasting.upstream
    upstream.offered = (*upstream.offered, MODEL)
    upstream.served_by[MODEL.model_id] = (fake_endpoint("acme", price=MODEL.price, stops=True),)
    upstream.usually = answer
    await stage.process.catalogue.refresh()
    offer = await stage.process.top_up.offer(address_key=CALLER, caller_id=CALLER)
    await stage.node.pay(offer.payment_request, amount_msat=CREDIT_MSAT)
    await hear(stage)
    await stage.process.flows.manage_keys.make(CALLER, KeyWish(), name=None)
    return asked_by(next(iter(stage.books.rows.api_keys.values())))


def asked_by(key: ApiKey) -> Ask:
    """A long answer is wanted."""
    body = orjson.dumps({"model": MODEL.model_id, "messages": [{"role": "user", "content": "?"}]})
    plain = ask_of(caller_id=CALLER, body=body)
    request = replace(
        plain.request, model=MODEL.model_id, max_tokens=32_000, prompt_bytes=len(body)
    )
    return replace(plain, request=request, key=key)


def long_answer(*, cut_cost: str | None = None) -> Completes:
    """4,800 bytes, which three extensions have room for."""
    return Completes(answer=(WORD * 600).strip(), cost="0.006", cut_cost=cut_cost, stops=True)


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
