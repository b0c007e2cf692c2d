"""One task that a stranger gave to the agent, and how far it is: all that a restart needs.

Must not know: files, HTTP or the agent.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cobot_meter.cobot.agent import Peer, Said
from cobot_pay.peers.blocks import Bill


class Milestone(enum.StrEnum):
    """What is done already; each is stored before the next begins."""

    ACCEPTED = "accepted"  # nothing is opened at the service yet, or its answer was lost
    WORKING = "working"
    ANSWERED = "answered"  # the answer is here, and not billed yet
    BILLED = "billed"  # the bill is made, and not sent yet
    WAITING = "waiting"  # the bill is sent
    PAID = "paid"  # the answer is not sent yet
    HANDED = "handed"  # the answer is sent, and the service not told yet
    ENDING = "ending"  # it came to nothing, and that is not said yet
    DELIVERED = "delivered"
    ENDED = "ended"


OVER = frozenset({Milestone.DELIVERED, Milestone.ENDED})
PAID_FOR = frozenset({Milestone.PAID, Milestone.HANDED, Milestone.DELIVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """`number` is ours and the same for the same message; `ref` is what its asker calls it.

    `stake_msat` is what is lost if nobody pays: the ceiling until the costs are known. `lasts_s` is
    how long the service keeps its task open.
    `spent_msat` is what its model calls came to, `tokens_max` the longest answer that still fits
    under the ceiling, 0 where that is not known to be short. `tool_begun` is the call whose tool
    was started and has said nothing yet. `notice` is what the peer is told at an end without an
    answer, `reminded` whether it was told of this one when it wrote again.
    """

    number: str
    peer: Peer
    message_id: str
    ref: str
    asked_at_s: int
    title: str
    ceiling_msat: int
    fee_msat: int
    least_msat: int
    stake_msat: int
    lasts_s: int
    messages: Sequence[Said]
    stage: Milestone = Milestone.ACCEPTED
    task_id: str = ""
    expires_at_s: int = 0
    rounds: int = 0
    spent_msat: int = 0
    tokens_max: int = 0
    warned: bool = False
    tool_begun: str = ""
    answer: str = ""
    bill: Bill | None = None
    notice: str = ""
    reminded: bool = False

    @property
    def fee_max_msat(self) -> int:
        """The most that the agent's own fee may come to."""
        return max(self.fee_msat, self.least_msat)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.stage in OVER

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


def commission_number(peer: Peer, message_id: str) -> str:
    """The same for the same message of the same peer, whatever its id is made of."""
    told = [peer.channel_type, peer.channel_id, peer.sender_id, message_id]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def ended(commission: Commission, notice: str) -> Commission:
    """It came to nothing: what its models cost is lost, and counts as such."""
    return replace(
        commission, stage=Milestone.ENDING, notice=notice, stake_msat=commission.spent_msat
    )


def read_commission(document: Mapping[str, Any]) -> Commission:
    """A commission as it was stored. Raises TypeError, ValueError and KeyError for others."""
    bill = document["bill"]
    given = {
        **document,
        "peer": Peer(**document["peer"]),
        "stage": Milestone(document["stage"]),
        "bill": None if bill is None else Bill(**bill),
    }
    return Commission(**given)
