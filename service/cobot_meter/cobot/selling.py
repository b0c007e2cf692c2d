"""A commission from the message to its end: opened, worked at, billed, paid, answered.

Each stage is stored before the next begins, and each may be done twice: the service finds again
what it did before. The answer leaves only when the service says that it is paid for.
Must not know: files, or what kind of agent works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from cobot_meter.cobot.agent import SoldAgent
from cobot_meter.cobot.commission import Commission, Milestone, ended
from cobot_meter.cobot.letters import (
    INTERRUPTED,
    LATE,
    REASON_FAILED,
    REASON_UNPAID,
    SERVICE_AWAY,
    answer_letter,
    bill_letter,
    notice_letter,
)
from cobot_meter.cobot.settings import SellerSettings
from cobot_meter.cobot.shelf import Shelf
from cobot_meter.cobot.task_rounds import TaskRounds
from cobot_meter.cobot.task_service import Away, OpenedTask, Refused, TaskService

OPEN_STATE = "open"
PAID_STATES = frozenset({"settled", "released"})
DEAD_STATES = frozenset({"failed", "canceled", "expired", "refunded", "lapsed"})
_WAIT_MIN_S, _WAIT_MAX_S = 0.2, 30.0
_MODELS_CALLED = frozenset({Milestone.ACCEPTED, Milestone.WORKING})

Step = Callable[[Commission], Awaitable[Commission]]


class Selling:
    """Follows commissions; of each, one at a time."""

    def __init__(
        self,
        *,
        agent: SoldAgent,
        service: TaskService,
        shelf: Shelf,
        settings: SellerSettings,
        tell_owner: Callable[[str], None],
    ) -> None:
        """`tell_owner` writes to the agent's log."""
        self._agent = agent
        self._service = service
        self._shelf = shelf
        self._settings = settings
        self._tell_owner = tell_owner
        self._rounds = TaskRounds(agent=agent, service=service, settings=settings, keep=shelf.put)
        self._keys: dict[str, str] = {}  # of the tasks at work; never stored
        self._steps: Mapping[Milestone, Step] = {
            Milestone.ACCEPTED: self._open,
            Milestone.WORKING: self._work,
            Milestone.ANSWERED: self._bill,
            Milestone.BILLED: self._send_bill,
            Milestone.WAITING: self._look,
            Milestone.PAID: self._send_answer,
            Milestone.HANDED: self._tell_service,
            Milestone.ENDING: self._say_why,
        }

    async def follow(self, commission: Commission) -> None:
        """Until nothing is left to do. Raises OSError where it cannot be stored."""
        away_s = 0.0
        wait_s = _WAIT_MIN_S
        while not commission.over:
            try:
                following = await self._steps[commission.stage](commission)
            except Away as fault:
                await asyncio.sleep(wait_s)
                away_s += wait_s
                wait_s = min(wait_s * 2, _WAIT_MAX_S)
                following = self._without_service(commission, away_s, str(fault))
            except Refused as refused:
                self._tell_owner(f"the service refused {commission.stage}: {refused}")
                following = ended(commission, _why(commission))
            else:
                away_s, wait_s = 0.0, _WAIT_MIN_S
                if following is commission:
                    await asyncio.sleep(self._settings.poll_s)
            if following is not commission:
                self._shelf.put(following)
            # Whoever wrote meanwhile may have been reminded of it.
            commission = self._shelf.get(following.number) or following
        self._keys.pop(commission.number, None)

    def _without_service(self, commission: Commission, away_s: float, why: str) -> Commission:
        """Work that nothing was billed for yet is not waited for without end."""
        if commission.stage in _MODELS_CALLED and away_s >= self._settings.patience_s:
            self._tell_owner(f"gave a task of {commission.peer.name} up: {why}")
            return ended(commission, SERVICE_AWAY)
        return commission

    async def _open(self, commission: Commission) -> Commission:
        task = await self._opened(commission)
        return replace(
            commission,
            stage=Milestone.WORKING,
            task_id=task.task_id,
            expires_at_s=task.expires_at_s,
        )

    async def _opened(self, commission: Commission) -> OpenedTask:
        task = await self._service.open(commission)
        self._keys[commission.number] = task.key
        return task

    async def _work(self, commission: Commission) -> Commission:
        if commission.number not in self._keys:
            task = await self._opened(commission)  # after a restart: the same one, found again
            if task.state != OPEN_STATE:
                return ended(commission, INTERRUPTED)
        return await self._rounds.step(commission, self._keys[commission.number])

    async def _bill(self, commission: Commission) -> Commission:
        spent_msat = await self._service.spent_msat(commission)
        fee_msat = max(commission.fee_msat, commission.least_msat - spent_msat)
        if spent_msat + fee_msat == 0:  # no invoice can be made of nothing
            await self._give_up(commission)
            return replace(commission, stage=Milestone.PAID)
        bill = await self._service.close(commission, fee_msat=fee_msat)
        return replace(commission, stage=Milestone.BILLED, bill=bill, stake_msat=bill.total_msat)

    async def _send_bill(self, commission: Commission) -> Commission:
        if commission.bill is None or not self._send(commission, bill_letter(commission.bill)):
            return commission
        return replace(commission, stage=Milestone.WAITING)

    async def _look(self, commission: Commission) -> Commission:
        state = await self._service.state(commission)
        if state in PAID_STATES:
            return replace(commission, stage=Milestone.PAID)
        if state in DEAD_STATES:
            return replace(commission, stage=Milestone.ENDING, notice=LATE)
        return commission

    async def _send_answer(self, commission: Commission) -> Commission:
        if not self._send(commission, answer_letter(commission)):
            return commission
        await self._agent.sent(commission.peer, commission.answer)
        following = Milestone.DELIVERED if commission.bill is None else Milestone.HANDED
        return replace(commission, stage=following)

    async def _tell_service(self, commission: Commission) -> Commission:
        """So that the sale is released and the fee is earned, though the buyer never went there."""
        try:
            await self._service.delivered(commission)
        except Refused as refused:
            self._tell_owner(f"{commission.task_id} was answered, but not released: {refused}")
        return replace(commission, stage=Milestone.DELIVERED)

    async def _say_why(self, commission: Commission) -> Commission:
        if commission.task_id and commission.bill is None:
            await self._give_up(commission)
        reason = REASON_FAILED if commission.bill is None else REASON_UNPAID
        letter = notice_letter(commission.notice, ref=commission.ref, reason=reason)
        if not self._send(commission, letter):
            self._tell_owner(f"{commission.peer.name} could not be told: {commission.notice}")
        return replace(commission, stage=Milestone.ENDED)

    async def _give_up(self, commission: Commission) -> None:
        """What the service does not hear of now, it ends by itself when the task's time is over."""
        try:
            await self._service.give_up(commission)
        except (Away, Refused) as fault:
            self._tell_owner(f"the task {commission.task_id} ends by its time: {fault}")

    def _send(self, commission: Commission, letter: str) -> bool:
        return self._agent.send(commission.peer, letter, reply_to=commission.message_id)


def _why(commission: Commission) -> str:
    return SERVICE_AWAY if commission.stage is Milestone.ACCEPTED else INTERRUPTED
