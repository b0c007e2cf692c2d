"""Whoever is asked for a sale: the models of a chain one after the other, or a panel all at once.

Must not know: what an answer costs, or what becomes of the sale after it was answered.
"""

from __future__ import annotations

from cobot_meter.domain.errors import Conflict
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.run.states import RunState
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.fall_back import FallBack
from cobot_meter.flows.sale.run_completion import RunCompletion
from cobot_meter.flows.sale.run_panel import RunPanel
from cobot_meter.ports.escrow_runs import AnswerListener, JustOpened


class AskModels:
    """The part of the driver that spends."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        fall_back: FallBack,
        run_completion: RunCompletion,
        run_panel: RunPanel,
    ) -> None:
        """Holds nothing of its own."""
        self._ledger = ledger
        self._fall_back = fall_back
        self._run_completion = run_completion
        self._run_panel = run_panel

    async def just_opened(self, opened: JustOpened) -> Escrow:
        """The sale once what was opened a moment ago has been answered, or has failed."""
        begun = [run.run_id for run in opened.escrow.runs]
        try:
            if opened.escrow.mode is Mode.PANEL:
                return await self._run_panel.just_opened(opened)
            return await self._run_through(opened, begun)
        finally:
            for one in begun:
                self._fall_back.over(one)

    async def resumed(self, escrow: Escrow, listener: AnswerListener) -> Escrow:
        """A sale that was opened before: what is still to be sent is sent, and heard by `listener`.

        What was sent by nobody who is alive has an outcome that nobody knows. The same escrow where
        nobody is to be asked.
        """
        if escrow.mode is Mode.PANEL and escrow.state is EscrowState.RUNNING:
            return await self._run_panel.resumed(escrow)
        match escrow.run.state:
            case RunState.OPENED:
                return await self._run_completion.opened(escrow, listener)
            case RunState.REQUESTED:
                return await self._run_completion.orphaned(escrow)
            case _:
                return escrow

    async def _run_through(self, opened: JustOpened, begun: list[str]) -> Escrow:
        """Down the chain to the attempt that answers, or the last; `begun` gains every run."""
        escrow = opened.escrow
        try:
            attempted = await self._run_completion.just_opened(opened)
            while (following := await self._fall_back.next_run(attempted)) is not None:
                begun.append(following.escrow.run.run_id)
                attempted = await self._run_completion.just_opened(following)
            escrow, ended = attempted.escrow, attempted.ended
            return await self._ledger.record(escrow, ended, lasting=True) if ended else escrow
        except Conflict:
            return await self._ledger.escrow(escrow.escrow_id)
