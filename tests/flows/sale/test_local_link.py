"""A chain whose last link is a local model: the real adapter and meter, under every kill."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.upstreams.ollama.wire import model_prefix
from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    UpstreamCall,
    UpstreamCompletion,
)
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.ports.upstream import TellGeneration
from tests.adapters.upstreams.ollama.ollama_rig import LOCAL, MODEL, OllamaRig, ollama_rig
from tests.fakes.books import Crash, Moment
from tests.fakes.servers.ollama_server import OllamaFault
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import Outcome, Refused, Unknown, Unreachable
from tests.flows.rigs.chains import FIRST, WASTED, chained, come_to, escrows, runs
from tests.flows.rigs.stories import Stage, end, hear, pay
from tests.flows.sale.test_crash_points import killed_on_the_way, prove_sound, restart, staged


class WithLocal(FakeUpstream):
    """The upstream in memory, and beside it an Ollama on a socket, metered in a file."""

    def __init__(self, rig: OllamaRig) -> None:
        """What is metered there is spent at an upstream of its own."""
        super().__init__(models=(FIRST, MODEL))
        self._local = rig.adapter()

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> UpstreamCompletion:
        if not call.model.startswith(model_prefix(LOCAL)):
            return await super().complete(
                call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
            )
        return await self._local.complete(
            call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
        )

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:
        if upstream == LOCAL:
            return await self._local.generation_cost(generation_id, upstream=upstream)
        return await super().generation_cost(generation_id, upstream=upstream)


@contextlib.asynccontextmanager
async def local_stage(folder: Path) -> AsyncIterator[tuple[Stage, OllamaRig]]:
    """A service with one model of each upstream."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with ollama_rig(folder) as rig, staged(folder / "node") as stage:
        stage.lasting.upstream = WithLocal(rig)
        await restart(stage)
        await stage.process.catalogue.refresh()
        yield stage, rig


@pytest.mark.parametrize(
    ("outcome", "wasted"),
    [(Unreachable(), "0"), (Refused(status=402), "0"), (Unknown(cost=WASTED), WASTED)],
    ids=["away", "our credit is gone", "cut"],
)
async def test_the_last_link_answers(tmp_path: Path, outcome: Outcome, wasted: str) -> None:
    """The caller reads and pays the local answer, at its tariff; what the other cost is ours."""
    async with local_stage(tmp_path) as (stage, rig):
        come_to(stage, first=outcome)
        answer = await stage.process.ask_completion.answer(chained(MODEL))
        assert answer.escrow.model == MODEL.model_id
        assert answer.escrow.prices == MODEL.price
        assert answer.escrow.run.cost is not None
        assert answer.escrow.run.cost.cost_pusd == rig.earned_pusd > 0
        assert answer.escrow.run.cost.provider == "Ollama"
        await pay()(stage)
        await hear(stage)
        proof = replace(chained(MODEL), proven_escrow_id=answer.escrow.escrow_id)
        bought = await stage.process.ask_completion.answer(proof)
        assert bought.kind is AnswerKind.COMPLETION
        await end(stage)
        await prove_sound(stage)
        ledger = stage.books.rows.ledger
        assert ledger.of(chart.COST_FAILED).net == pusd_from_text(wasted)
        assert stage.lasting.upstream.spent_pusd == pusd_from_text(wasted)
        assert -ledger.of(chart.upstream_credits(LOCAL)).net == rig.earned_pusd


@pytest.mark.parametrize(
    "fault",
    [
        OllamaFault.FAILS,
        OllamaFault.CUT,
        OllamaFault.CUT_AT_ONCE,
        OllamaFault.NO_USAGE,
        OllamaFault.ERROR_WITH_USAGE,
        OllamaFault.MODEL_NOT_FOUND,
    ],
)
async def test_no_link_answers(tmp_path: Path, fault: OllamaFault) -> None:
    """When the last one breaks as well nobody is charged, and only the first has cost anything."""
    async with local_stage(tmp_path) as (stage, rig):
        come_to(stage, first=Unknown(cost=WASTED))
        rig.other_side.faults.append(fault)
        with pytest.raises(CobotMeterError):
            await stage.process.ask_completion.answer(chained(MODEL))
        assert [one.progress for one in escrows(stage)] == [Progress.FAILED]
        assert [run.state for run in runs(stage)] == [RunState.FAILED] * 2
        await end(stage)
        await prove_sound(stage)
        assert stage.lasting.upstream.spent_pusd == pusd_from_text(WASTED)
        assert stage.books.rows.ledger.of(chart.COST_UNATTRIBUTED).net == 0


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_kill_anywhere_leaves_sound_books(tmp_path: Path, moment: Moment) -> None:
    """Killed at each commit: nothing runs twice, and what the meter holds is in the books."""
    for number in range(10):
        async with local_stage(tmp_path / f"{moment}-{number}") as (stage, rig):
            come_to(stage, first=Unknown(cost=WASTED))
            await killed_on_the_way(stage, Crash(moment=moment, commits=number), chained(MODEL))
            assert rig.other_side.posts <= len(runs(stage))
            booked = stage.books.rows.ledger.of(chart.upstream_credits(LOCAL)).net
            assert -booked == rig.meter.total_pusd
