"""Books that take no extension: the answer ends there; what they took after all is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.ports.books import Applied, Books
from tests.flows.answer.test_growing_crashes import keyed
from tests.flows.rigs.growing import long_answer
from tests.flows.rigs.process import Process
from tests.flows.rigs.stories import end
from tests.flows.sale.test_crash_points import prove_sound, staged

# As often as a flow tries what somebody could tell again.
TRIES = 4


class Busy:
    """They take no extension for a while; or take it, and cannot say so."""

    def __init__(self, books: Books, *, written: bool) -> None:
        self._books = books
        self._written = written
        self.left = TRIES

    async def apply(self, transition: Transition) -> Applied:
        if transition.kind == "reservation_extended" and self.left:
            self.left -= 1
            if self._written:
                await self._books.apply(transition)
            raise BooksBusy("they are busy")
        return await self._books.apply(transition)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every read of the port
        return getattr(self._books, name)


@pytest.mark.parametrize("written", [True, False])
async def test_an_extension_that_nobody_heard_of_is_resolved_too(
    tmp_path: Path, *, written: bool
) -> None:
    """The answer is cut and sold at its cost, and what is reserved is what the books say."""
    async with staged(tmp_path / "node") as stage:
        ask = await keyed(stage, long_answer(cut_cost="0.002"))
        busy = Busy(stage.lasting.books, written=written)
        stage.lasting.books = cast("Books", busy)
        await stage.process.kill()
        stage.process = Process(stage.lasting)
        await stage.process.start()
        answer = await stage.process.ask_completion.answer(ask)
        await stage.process.runs.finish()
        assert answer.kind is AnswerKind.COMPLETION
        assert orjson.loads(answer.body)["choices"][0]["finish_reason"] == "length"
        assert busy.left == 0
        assert stage.escrow.progress is Progress.RELEASED
        assert stage.escrow.extensions == 1
        await end(stage)
        await prove_sound(stage)
