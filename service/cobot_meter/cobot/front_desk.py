"""A stranger's message at the door: taken as a commission, or answered with a sentence.

No model is called here, so nothing that a message says can talk anybody out of anything.
Must not know: the service, or how work is done.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from cobot_meter.cobot.agent import Peer, SoldAgent
from cobot_meter.cobot.commission import Commission, Milestone, commission_number
from cobot_meter.cobot.letters import (
    REASON_BUSY,
    REASON_CAP,
    REASON_TOO_LITTLE,
    REASON_TOO_LONG,
    STILL_OPEN,
    STILL_WORKING,
    TOO_LONG,
    UNPAID,
    bill_letter,
    notice_letter,
    price_letter,
)
from cobot_meter.cobot.settings import MSAT_PER_SAT, SellerSettings
from cobot_meter.cobot.shelf import Shelf
from cobot_pay.peers.blocks import Ask, Block, read_block, sentences

TASK_CHARACTERS_MAX = 50_000
REPEAT_S = 600  # a stranger without a program for this hears the same refusal no oftener
_TOLD_MAX = 1_000
_TITLE_MAX = 200
_PRICES = re.compile(r"(your )?(prices|price list)[?.!]?", re.IGNORECASE)
_DROP_HEAD = re.compile(r"\A\[FileDrop from [^\n]*\n\n")
# A name becomes a path where messages are files: nothing that leads elsewhere is answered.
_ADDRESSABLE = re.compile(r"[^\s/\\.][^\s/\\]{0,199}")
_AT_WORK = frozenset({Milestone.ACCEPTED, Milestone.WORKING, Milestone.ANSWERED})


class FrontDesk:
    """Takes what strangers write."""

    def __init__(
        self,
        *,
        settings: SellerSettings,
        shelf: Shelf,
        agent: SoldAgent,
        now_s: Callable[[], int],
        taken: Callable[[Commission], None],
    ) -> None:
        """`taken` hears of each new commission, which is stored by then."""
        self._settings = settings
        self._shelf = shelf
        self._agent = agent
        self._now_s = now_s
        self._taken = taken
        self._told_at_s: OrderedDict[str, int] = OrderedDict()

    async def receive(self, message: str, peer: Peer, message_id: str) -> None:
        """Take it or say why not. Raises OSError where it cannot be stored."""
        block = read_block(message)
        if not is_addressable(peer) or not (block is None or isinstance(block, Ask)):
            return
        number = commission_number(peer, message_id)
        if self._shelf.get(number) is not None:
            return  # the channel brought it twice
        task = _DROP_HEAD.sub("", sentences(message)).strip()
        refusal = self._refusal(task, block, peer)
        if refusal:
            self._say(peer, refusal, reply_to=message_id, always=block is not None)
        elif not self._has_open(peer, block, reply_to=message_id):
            await self._take(task, block, peer, (number, message_id))

    def _refusal(self, task: str, block: Block | None, peer: Peer) -> str:
        """Why this is no commission, as a letter; empty where it is one."""
        ref = block.ref if block else ""
        prices = self._settings.prices
        if len(task) > TASK_CHARACTERS_MAX:
            return notice_letter(TOO_LONG, ref=ref, reason=REASON_TOO_LONG)
        if not task or _PRICES.fullmatch(task):
            return price_letter(prices, ref=ref)
        ceiling_msat = self._ceiling_msat(task, block)
        if ceiling_msat < MSAT_PER_SAT:
            text = f"That is less than I work for.\n{prices.lines()}\nNothing is owed."
            return notice_letter(text, ref=ref, reason=REASON_TOO_LITTLE)
        if self._open_of(peer) is not None:
            return ""
        committed_msat = self._shelf.unpaid_today_msat() + ceiling_msat
        at_work = sum(one.stage in _AT_WORK for one in self._shelf.open())
        if committed_msat > self._settings.unpaid_day_msat or at_work >= self._settings.at_once:
            return notice_letter(self._settings.refusal, ref=ref, reason=REASON_CAP)
        return ""

    def _ceiling_msat(self, task: str, block: Block | None) -> int:
        """What its models may cost: never so much that the bill is more than was allowed."""
        ceiling_msat = self._settings.ceiling_msat
        if isinstance(block, Ask):
            least_msat = self._settings.prices.least_msat(task)
            ceiling_msat = min(ceiling_msat, block.max_msat - least_msat)
        return ceiling_msat // MSAT_PER_SAT * MSAT_PER_SAT

    def _has_open(self, peer: Peer, block: Block | None, *, reply_to: str) -> bool:
        """One task at a time for each stranger: it hears of the open one, a person only once."""
        found = self._open_of(peer)
        if found is None:
            return False
        if block is not None:
            letter = notice_letter(STILL_OPEN, ref=block.ref, reason=REASON_BUSY)
            self._say(peer, letter, reply_to=reply_to, always=True)
        elif not found.reminded:
            self._shelf.put(replace(found, reminded=True))
            self._say(peer, _reminder(found), reply_to=reply_to, always=True)
        return True

    def _open_of(self, peer: Peer) -> Commission | None:
        return next((one for one in self._shelf.open() if one.peer.name == peer.name), None)

    async def _take(
        self, task: str, block: Block | None, peer: Peer, names: tuple[str, str]
    ) -> None:
        number, message_id = names
        ceiling_msat = self._ceiling_msat(task, block)
        commission = Commission(
            number=number,
            peer=peer,
            message_id=message_id,
            ref=block.ref if block else "",
            asked_at_s=self._now_s(),
            title=f"a task of {peer.name}"[:_TITLE_MAX],
            ceiling_msat=ceiling_msat,
            fee_msat=self._settings.prices.fee_of(task),
            least_msat=self._settings.prices.least_msat(task),
            stake_msat=ceiling_msat,
            lasts_s=self._settings.expires_in_s,
            messages=[*await self._agent.conversation(task, peer)],
        )
        self._shelf.put(commission)
        self._taken(commission)

    def _say(self, peer: Peer, letter: str, *, reply_to: str, always: bool) -> None:
        """Send it; to whom no program speaks for, not again and again: two agents would go on."""
        now_s = self._now_s()
        if not always and now_s - self._told_at_s.get(peer.name, -REPEAT_S) < REPEAT_S:
            return
        self._told_at_s[peer.name] = now_s
        self._told_at_s.move_to_end(peer.name)
        while len(self._told_at_s) > _TOLD_MAX:
            self._told_at_s.popitem(last=False)
        self._agent.send(peer, letter, reply_to=reply_to)


def _reminder(found: Commission) -> str:
    if found.stage is Milestone.WAITING and found.bill is not None:
        return f"{UNPAID}\n\n{bill_letter(found.bill)}"
    return notice_letter(STILL_WORKING, ref=found.ref, reason=REASON_BUSY, over=False)


def is_addressable(peer: Peer) -> bool:
    """Whether an answer to this name goes to a peer and nowhere else."""
    return _ADDRESSABLE.fullmatch(peer.sender_id) is not None
