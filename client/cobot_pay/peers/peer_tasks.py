"""Tasks given to other agents: asked, billed, paid within the budget, answered, and told.

What money is refused for is told by this code, whatever the model says of it. Must not know: which
program the agent is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cobot_pay.errors import BudgetExceeded, ChallengeRefused, L402Error, PaymentFailed
from cobot_pay.peers.asked import AskedFiles, Course, Line, PeerTask
from cobot_pay.peers.bill_payer import BillPayer
from cobot_pay.peers.blocks import (
    Ask,
    Bill,
    Block,
    Delivered,
    Notice,
    answer_in,
    sentences,
    with_block,
)

REPLY_WITHIN_S = 3_600  # a seller of ours takes no longer for a task, unless its owner says so
_MSAT_PER_SAT = 1_000
_WAIT_MIN_S, _WAIT_MAX_S = 0.5, 60.0
_LOOK_MAX_S, _MINUTE_S = 30.0, 60
_TEXT_MAX = 20_000
_TASK_SHOWN = 80
_LISTED_MAX = 100

Send = Callable[[Line, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTerms:
    """Whom the agent may ask, by the name that it uses for each, and for how much at most.

    A paid answer that does not come over the channel is fetched from the service after
    `fetch_after_s`. A peer that has sent neither bill nor refusal within `reply_within_s` is not
    waited for any more; 0 waits without end.
    """

    peers: Mapping[str, Line]
    task_max_msat: int
    fetch_after_s: int = 10
    reply_within_s: int = REPLY_WITHIN_S


class PeerTasks:
    """All tasks that this agent gave to others."""

    def __init__(
        self,
        *,
        files: AskedFiles,
        payer: BillPayer,
        terms: PeerTerms,
        send: Send,
        now_s: Callable[[], int],
        reference: Callable[[], str],
    ) -> None:
        """`send` writes to a line and says whether that was taken."""
        self._files = files
        self._payer = payer
        self._terms = terms
        self._send = send
        self._now_s = now_s
        self._reference = reference

    def ask(self, peer: str, task: str, max_msat: int, *, user: Line) -> str:
        """Ask a peer; a sentence for the model. Nothing is asked that the budget cannot pay."""
        line = self._terms.peers.get(peer)
        if line is None:
            known = ", ".join(sorted(self._terms.peers)) or "nobody"
            return f"Nobody of that name may be asked; there is {known}."
        if not task.strip() or len(task) > _TEXT_MAX:
            return f"A task is a text of 1 to {_TEXT_MAX:,} characters."
        max_msat = min(max_msat, self._terms.task_max_msat)
        why_not = self._payer.why_not(max_msat) if max_msat > 0 else "nothing may be paid for it"
        if why_not:
            self._send(user, f"I did not ask {peer}: {why_not}.")
            return f"{peer} was not asked, and the user was told why: {why_not}."
        asked = PeerTask(
            ref=self._reference(),
            peer=line,
            user=user,
            task=task,
            max_msat=max_msat,
            asked_at_s=self._now_s(),
        )
        self._files.put(asked)
        if not self._send(line, with_block(task, Ask(ref=asked.ref, max_msat=max_msat))):
            self._files.put(replace(asked, course=Course.DONE))
            return f"{peer} cannot be reached just now."
        return (
            f"{peer} was asked, for at most {_sat(max_msat)}. The answer comes later, by itself, "
            "as a message to the user: do not ask again and do not wait for it."
        )

    def hear(self, sender: Line, block: Block, message: str) -> PeerTask | None:
        """What a peer's program says of a task of ours; the task where there is work for `follow`.

        Of what was never asked, or asked of somebody else, nothing is believed.
        """
        asked = self._files.get(block.ref)
        if asked is None or (asked.peer.channel_type, asked.peer.name) != (
            sender.channel_type,
            sender.name,
        ):
            return None
        match block:
            case Bill() if asked.course is Course.ASKED:
                billed = replace(asked, course=Course.BILLED, bill=block)
                self._files.put(billed)
                return billed
            case Delivered():
                self._done(asked, self._answered(asked, answer_in(message) or sentences(message)))
            case Notice(over=True) if asked.course is not Course.PAID:
                self._done(asked, f"{asked.peer.name} says:\n\n{sentences(message)}")
            case _:
                pass
        return None

    def open(self) -> list[PeerTask]:
        """What `follow` is for: bills that are not paid, and paid ones without an answer."""
        return [one for one in self._files.open() if one.course is not Course.ASKED]

    async def watch_silence(self) -> None:
        """Look again and again for peers that have not replied in time. Raises OSError."""
        within_s = self._terms.reply_within_s
        while within_s:
            self.end_silent()
            await asyncio.sleep(min(_LOOK_MAX_S, within_s / 2))

    def end_silent(self) -> None:
        """End what nobody has replied to in time, once its user was told. Raises OSError.

        A bill that comes later is of no task of ours, so nothing is paid for what the user may have
        asked of somebody else by then.
        """
        within_s = self._terms.reply_within_s
        for asked in self._files.open():
            silent_s = self._now_s() - asked.asked_at_s
            if not within_s or asked.course is not Course.ASKED or silent_s < within_s:
                continue
            peer = asked.peer.name
            text = (
                f"{peer} has not replied within {_span(within_s)} to the task that I gave it: "
                f"{_shown(asked.task)} Nothing was paid, and if its bill still comes I do not pay "
                f"it. Ask again if you want it all the same, or ask somebody else; whether {peer} "
                "is running, its owner knows."
            )
            if self._send(asked.user, text):
                self._files.put(replace(asked, course=Course.DONE))

    async def follow(self, asked: PeerTask) -> None:
        """Pay its bill and see to it that the answer comes. Raises OSError."""
        wait_s = _WAIT_MIN_S
        while (now := self._files.get(asked.ref)) is not None:
            following = await self._step(now)
            if following is not now and self._files.get(asked.ref) is not None:
                self._files.put(following)
                if following.course is not now.course:
                    wait_s = _WAIT_MIN_S
                    continue
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _WAIT_MAX_S)

    async def _step(self, asked: PeerTask) -> PeerTask:
        if asked.bill is None:
            return asked
        try:
            authorization = await self._payer.pay(asked.bill, max_msat=asked.max_msat)
        except L402Error as fault:
            return self._unpaid(asked, asked.bill, fault)
        if self._files.get(asked.ref) is None:
            text = (
                f"I paid {asked.peer.name}'s bill as it ended; `cobot-pay receipts` has the proof."
            )
            self._send(asked.user, text)
        elif asked.course is Course.BILLED:
            return replace(asked, course=Course.PAID, paid_at_s=self._now_s())
        elif self._now_s() - asked.paid_at_s >= self._terms.fetch_after_s:
            answer = await self._payer.answer_of(asked.bill, authorization)
            if answer and self._files.get(asked.ref) is not None:
                self._done(asked, self._answered(asked, answer))
        return asked

    def _unpaid(self, asked: PeerTask, bill: Bill, fault: L402Error) -> PeerTask:
        """What is refused or over ends; what may still be paid is tried again."""
        peer = asked.peer.name
        if isinstance(fault, BudgetExceeded | ChallengeRefused):
            self._send(asked.user, f"I do not pay {peer}'s bill: {fault}. There is no answer.")
            return replace(asked, course=Course.DONE)
        if isinstance(fault, PaymentFailed) and self._now_s() > bill.expires_at:
            self._send(asked.user, f"{peer}'s bill is over: {fault}.")
            return replace(asked, course=Course.DONE)
        return self._told(asked, f"{peer}'s bill is not paid yet: {fault}.")

    def _answered(self, asked: PeerTask, answer: str) -> str:
        cost = f" (paid {_sat(asked.bill.amount_msat)})" if asked.bill else ""
        return f"{asked.peer.name} answered{cost}:\n\n{answer}"

    def _told(self, asked: PeerTask, text: str) -> PeerTask:
        """The user hears each new reason once."""
        if asked.told == text:
            return asked
        self._send(asked.user, text)
        return replace(asked, told=text)

    def _done(self, asked: PeerTask, text: str) -> None:
        """The user first: a kill in between tells it twice, and never not at all."""
        self._send(asked.user, text)
        self._files.put(replace(asked, course=Course.DONE))


def _sat(msat: int) -> str:
    whole, rest = divmod(msat, _MSAT_PER_SAT)
    return f"{whole:,}.{rest:03d} sat" if rest else f"{whole:,} sat"


def _span(seconds: int) -> str:
    """In minutes where it is some of them."""
    minutes = seconds // _MINUTE_S
    return f"{minutes} minutes" if minutes > 1 else f"{seconds} seconds"


def _shown(task: str) -> str:
    """Enough of it to know which one it was, in one line."""
    line = " ".join(task.split())
    return f"“{line}”." if len(line) <= _TASK_SHOWN else f"“{line[:_TASK_SHOWN]}…”."
