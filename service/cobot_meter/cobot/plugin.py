"""The seller's plugin: loaded by `plugins.external: [cobot_meter.cobot]`, set up in `meter-seller`.

A message of a stranger is taken out of the agent's own loop before that answers it, and followed in
a loop beside it. What friends write goes on as ever. Must not know: how anything of it is done.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from cobot.plugins.base import Plugin, PluginMeta

from cobot_meter.cobot.agent import Peer
from cobot_meter.cobot.cobot_agent import CobotAgent
from cobot_meter.cobot.commission import Commission
from cobot_meter.cobot.front_desk import FrontDesk
from cobot_meter.cobot.selling import Selling
from cobot_meter.cobot.settings import OWN_CHANNELS, SECTION, SellerSettings, read_settings
from cobot_meter.cobot.shelf import Shelf
from cobot_meter.cobot.task_service import TaskService, task_client
from cobot_pay import wall_clock
from cobot_pay.peers.blocks import Ask, read_block

BUYER_PLUGIN = "meter-peers"  # reads bills and answers, where the agent buys too
UNPAID_TURN = "This message came from a stranger, whose work is done for pay and not in this mode."

# Set for the turn of a message that the loop may answer itself.
_FRIENDLY: ContextVar[bool] = ContextVar("friendly", default=False)


class SellerPlugin(Plugin):  # type: ignore[misc] # cobot is not installed where types are checked
    """Sells the agent's work to strangers."""

    meta = PluginMeta(
        id=SECTION,
        version="1.0.0",
        capabilities=["loop"],
        dependencies=["config", "communication", "loop"],
        priority=60,
        implements={"loop.on_message": "on_message", "loop.before_llm": "before_llm"},
    )

    def __init__(self) -> None:
        """Nothing is read or opened yet."""
        self._settings: SellerSettings | None = None
        self._agent: CobotAgent | None = None
        self._shelf: Shelf | None = None
        self._desk: FrontDesk | None = None
        self._taken: list[Commission] = []
        self._something_taken = asyncio.Event()

    def configure(self, config: dict[str, Any]) -> None:
        """Read the settings: an agent that would serve strangers for nothing does not start."""
        self._settings = read_settings(config)

    async def start(self) -> None:
        """Open what is kept on the disk; cobot calls this in a loop that may end at once."""
        if self._settings is None:
            return
        self._agent = CobotAgent(self, model=self._settings.model)
        self._shelf = Shelf(self._settings.folder, now_s=wall_clock.now_s)
        self._desk = FrontDesk(
            settings=self._settings,
            shelf=self._shelf,
            agent=self._agent,
            now_s=wall_clock.now_s,
            taken=self._take,
        )
        self.log_info(f"Sells its work; {len(self._shelf.open())} task(s) open")

    async def stop(self) -> None:
        """Nothing to do: all is stored as it happens."""

    async def run(self) -> None:
        """Follow what is open, and each commission as it is taken."""
        if self._settings is None or self._agent is None or self._shelf is None:
            return
        _FRIENDLY.set(True)  # what is followed here is paid for
        async with task_client() as http, asyncio.TaskGroup() as group:
            selling = Selling(
                agent=self._agent,
                service=TaskService(self._settings, http=http),
                shelf=self._shelf,
                settings=self._settings,
                tell_owner=self.log_warn,
            )
            # What was taken before is among the open ones.
            self._taken = self._shelf.open()
            while True:
                for commission in self._taken:
                    group.create_task(selling.follow(commission))
                self._taken = []
                self._something_taken.clear()
                await self._something_taken.wait()

    async def on_message(self, ctx: dict[str, Any]) -> dict[str, Any]:
        """Take a stranger's message away from the loop, whatever becomes of it."""
        told = _peer_of(ctx)
        if told is not None and self._settings is not None and self._settings.is_friend(told):
            _FRIENDLY.set(True)
            return ctx
        message = ctx.get("message")
        if self._is_for_the_buyer(message):
            return ctx
        ctx["abort"] = True  # first: a fault from here on must not leave it to the loop
        if told is not None and isinstance(message, str) and self._desk is not None:
            await self._desk.receive(message, told, str(ctx.get("event_id", "")))
        return ctx

    async def before_llm(self, ctx: dict[str, Any]) -> dict[str, Any]:
        """No model and no tool for a stranger's turn that reached the loop some other way."""
        if not _FRIENDLY.get() and ctx.get("channel_type") not in (*OWN_CHANNELS, "", None):
            ctx["abort"] = True
            ctx["abort_message"] = UNPAID_TURN
        return ctx

    def _is_for_the_buyer(self, message: object) -> bool:
        if self._registry.get(BUYER_PLUGIN) is None or not isinstance(message, str):
            return False
        block = read_block(message)
        return block is not None and not isinstance(block, Ask)

    def _take(self, commission: Commission) -> None:
        self._taken.append(commission)
        self._something_taken.set()


def _peer_of(ctx: dict[str, Any]) -> Peer | None:
    """Who wrote; None where a channel passed on something that is no name."""
    names = ("channel_type", "channel_id", "sender_id", "sender")
    told = [ctx.get(name) for name in names]
    if not all(isinstance(one, str) for one in told):
        return None
    channel_type, channel_id, sender_id, sender = map(str, told)
    return Peer(
        channel_type=channel_type, channel_id=channel_id, sender_id=sender_id, sender_name=sender
    )


def create_plugin() -> SellerPlugin:
    """What cobot looks for."""
    return SellerPlugin()
