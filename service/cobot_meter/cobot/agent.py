"""What selling needs of the agent whose work is sold. Must not know: which program that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Said = Mapping[str, Any]  # one message of a conversation with a model, as the API has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who wrote, and where an answer goes. The words are the channel's own."""

    channel_type: str
    channel_id: str
    sender_id: str
    sender_name: str

    @property
    def name(self) -> str:
        """Who this is, as settings name it: `filedrop:alice`."""
        return f"{self.channel_type}:{self.sender_id}"


class SoldAgent(Protocol):
    """What the agent would do for a friend, step by step."""

    async def conversation(self, message: str, peer: Peer) -> Sequence[Said]:
        """What a model is shown for this message: who the agent is, what was said before, it."""

    async def may_call(self, messages: Sequence[Said], tools: Sequence[Said], peer: Peer) -> str:
        """Why a model may not be called now; empty when it may."""

    async def called(self, message: Said, document: Said) -> None:
        """A model answered."""

    def tools(self, named: Collection[str]) -> Sequence[Said]:
        """The definitions of the tools of these names."""

    async def use_tool(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Use a tool; what it says."""

    async def outgoing(self, text: str, peer: Peer) -> str:
        """The text as it may leave the agent; empty when it may not."""

    def send(self, peer: Peer, text: str, *, reply_to: str) -> bool:
        """Whether the channel took a message to this peer."""

    async def sent(self, peer: Peer, text: str) -> None:
        """An answer went out."""
