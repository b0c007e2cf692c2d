"""Every fault of the simulator on one member of a panel: all that was billed is in the books."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.routing.hints import Hints
from cobot_meter.flows.sale.ask_completion import Ask
from openrouter_simulator.faults.fault_table import FAULTS
from tests.flows.rigs.stories import ask_of
from tests.flows.sale.test_every_fault import NEVER_SOLD, reckon, sold, staged_on_the_simulator

PANEL = ("anthropic/claude-haiku-4.5", "google/gemini-2.5-flash", "openai/gpt-5-mini")
SHORT = frozenset({"cut_stream", "status_429"})


def panel_ask() -> Ask:
    """A review by three."""
    said = [{"role": "user", "content": "Tell me about harbour 1"}]
    body = orjson.dumps({"model": "cobot/consensus:review", "messages": said})
    plain = ask_of(body=body)
    request = replace(
        plain.request,
        model="cobot/consensus:review",
        hints=Hints(panel=PANEL),
        max_tokens=64,
        prompt_bytes=len(body),
    )
    return replace(plain, request=request)


@pytest.mark.parametrize(
    "name", [one if one in SHORT else pytest.param(one, marks=pytest.mark.slow) for one in FAULTS]
)
async def test_two_of_three_are_sold_and_the_bill_is_in_the_books(
    name: str, tmp_path: Path
) -> None:
    """This fault strikes one of them: it is named and not billed, or it did no harm."""
    async with staged_on_the_simulator(tmp_path) as (stage, account):
        account.faults.queue([name])
        bought = await sold(stage, panel_ask())
        (row,) = stage.books.rows.escrows.values()
        failed = [run for run in row.runs if run.failure is not None]
        assert len(failed) == (1 if name in NEVER_SOLD else len(failed))
        assert len(failed) <= 1
        if bought is not None:
            assert bought.state is EscrowState.RELEASED
            billed = sum(run.billed_pusd(run.cost_pusd) for run in bought.sold_runs)
            assert bought.priced_pusd == billed
            assert bought.price_msat == bought.price_of(billed).price_msat
        await reckon(stage, account)
