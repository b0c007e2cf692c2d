"""The plugin with which a cobot gives paid tasks to others: `plugins.external: [cobot_pay.peers]`.

The model may ask whom the owner named, for at most what the owner set; bills are paid by this code,
within the budget, and for what was asked alone. Wallet and limits are those of `cobot-pay`: one
folder, `~/.cobot-pay`. Must not know: how a bill is held against its invoice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cobot.plugins.base import Plugin, PluginMeta
from cobot.plugins.communication import OutgoingMessage
from cobot.plugins.interfaces import ToolProvider

from cobot_pay import wall_clock
from cobot_pay.cli.settings import BadSettings, read_client_settings
from cobot_pay.cli.wallets import open_wallet
from cobot_pay.peers.asked import AskedFiles, Line, PeerTask
from cobot_pay.peers.bill_payer import BillPayer
from cobot_pay.peers.blocks import Ask, read_block
from cobot_pay.peers.peer_tasks import REPLY_WITHIN_S, PeerTasks, PeerTerms
from cobot_pay.spending.stored_budget import StoredBudget

SECTION = "meter-peers"
TOOL = "ask_peer"
TASK_SAT = 100
_SETTINGS = ("peers", "task_sat", "services", "home", "folder", "fetch_after_s", "reply_within_s")
_MSAT_PER_SAT = 1_000
_NOBODY = Line(channel_type="", channel_id="", name="")
_ASKER: ContextVar[Line] = ContextVar("asker", default=_NOBODY)


class PeersPlugin(Plugin, ToolProvider):  # type: ignore[misc] # cobot is not there to be checked
    """Asks other agents, pays their bills, and brings their answers to the user."""

    meta = PluginMeta(
        id=SECTION,
        version="1.0.0",
        capabilities=["tools", "loop"],
        dependencies=["config", "communication", "loop"],
        priority=40,
        implements={"loop.on_message": "on_message"},
    )

    def __init__(self) -> None:
        """Nothing is read or opened yet."""
        self._terms: PeerTerms | None = None
        self._tasks: PeerTasks | None = None
        self._section: Mapping[str, Any] = {}
        self._billed: list[PeerTask] = []
        self._something_billed = asyncio.Event()

    def configure(self, config: dict[str, Any]) -> None:
        """Read the settings. Raises BadSettings with a sentence."""
        section = config.get(SECTION)
        self._section = section if isinstance(section, Mapping) else {}
        self._terms = read_terms(self._section)

    async def start(self) -> None:
        """Open the budget and the wallet. Raises BadSettings."""
        if self._terms is None:
            return
        settings = read_client_settings({}, _text(self._section, "home") or None)
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        payer = BillPayer(
            wallet=open_wallet(settings.wallet),
            budget=StoredBudget(settings.book, limits=settings.limits, for_key=True),
            services=_names(self._section, "services", "URLs of services"),
        )
        self._tasks = PeerTasks(
            files=AskedFiles(_folder(self._section)),
            payer=payer,
            terms=self._terms,
            send=self._send,
            now_s=wall_clock.now_s,
            reference=lambda: secrets.token_hex(8),
        )
        self.log_info(f"May ask {', '.join(sorted(self._terms.peers)) or 'nobody'}")

    async def stop(self) -> None:
        """Nothing to do: all is stored as it happens."""

    async def run(self) -> None:
        """Pay what is billed, see that what is paid for comes, and end what nobody replies to."""
        if self._tasks is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tasks.watch_silence())
            self._billed = self._tasks.open()
            while True:
                for asked in self._billed:
                    group.create_task(self._tasks.follow(asked))
                self._billed = []
                self._something_billed.clear()
                await self._something_billed.wait()

    async def on_message(self, ctx: dict[str, Any]) -> dict[str, Any]:
        """Keep what peers' programs say from the model; remember who asks in this turn."""
        told = [ctx.get(name) for name in ("channel_type", "channel_id", "sender_id", "message")]
        if self._tasks is None or not all(isinstance(one, str) for one in told):
            return ctx
        channel_type, channel_id, sender, message = map(str, told)
        line = Line(channel_type=channel_type, channel_id=channel_id, name=sender)
        block = read_block(message)
        if block is None or isinstance(block, Ask):
            _ASKER.set(line)
            return ctx
        ctx["abort"] = True
        billed = self._tasks.hear(line, block, message)
        if billed is not None:
            self._billed.append(billed)
            self._something_billed.set()
        return ctx

    def get_definitions(self) -> list[dict[str, Any]]:
        """One tool, for the peers that the owner named."""
        if self._terms is None or not self._terms.peers:
            return []
        most_sat = self._terms.task_max_msat // _MSAT_PER_SAT
        properties = {
            "peer": {"type": "string", "enum": sorted(self._terms.peers)},
            "task": {"type": "string", "description": "What it should do, complete in itself"},
            "max_sat": {"type": "integer", "minimum": 1, "maximum": most_sat},
        }
        function = {
            "name": TOOL,
            "description": (
                "Give a task to another agent, for pay. Its bill is paid within the budget, and "
                "its answer comes to the user later."
            ),
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": ["peer", "task", "max_sat"],
            },
        }
        return [{"type": "function", "function": function}]

    def execute(self, tool_name: str, args: dict[str, Any]) -> str:
        """Ask; whatever the model says, within the owner's limits."""
        peer, task, max_sat = args.get("peer"), args.get("task"), args.get("max_sat")
        if tool_name != TOOL or self._tasks is None:
            return f"Error: Unknown tool '{tool_name}'"
        if not isinstance(peer, str) or not isinstance(task, str) or type(max_sat) is not int:
            return "Error: peer and task are texts, max_sat is a whole number."
        return self._tasks.ask(peer, task, max_sat * _MSAT_PER_SAT, user=_ASKER.get())

    @property
    def restart_requested(self) -> bool:
        """Never."""
        return False

    def _send(self, line: Line, text: str) -> bool:
        if line == _NOBODY or line.channel_type == "stdin":
            self.log_info(text)
            return True
        message = OutgoingMessage(
            channel_type=line.channel_type,
            channel_id=line.channel_id,
            content=text,
            metadata={"recipient": line.name},
        )
        return bool(self._registry.get("communication").send(message))


def read_terms(section: Mapping[str, Any]) -> PeerTerms:
    """Whom the owner lets the agent ask, and for how much. Raises BadSettings."""
    unknown = sorted(set(map(str, section)) - set(_SETTINGS))
    if unknown:
        raise BadSettings(f"{SECTION}.{unknown[0]} is no setting; there are {', '.join(_SETTINGS)}")
    peers: dict[str, Line] = {}
    for name in _names(section, "peers", "peers as channel:name, such as filedrop:bob"):
        channel, _, peer = name.partition(":")
        if not channel or not peer:
            raise BadSettings(f"{SECTION}.peers names peers as channel:name, not {name!r}")
        peers[peer] = Line(channel_type=channel, channel_id=peer, name=peer)
    return PeerTerms(
        peers=peers,
        task_max_msat=_whole(section, "task_sat", TASK_SAT) * _MSAT_PER_SAT,
        fetch_after_s=_whole(section, "fetch_after_s", 10),
        reply_within_s=_whole(section, "reply_within_s", REPLY_WITHIN_S),
    )


def _text(section: Mapping[str, Any], name: str) -> str:
    value = section.get(name, "")
    if not isinstance(value, str):
        raise BadSettings(f"{SECTION}.{name} must be a text")
    return value


def _folder(section: Mapping[str, Any]) -> Path:
    return Path(_text(section, "folder") or "~/.cobot/meter-peers").expanduser()


def _names(section: Mapping[str, Any], name: str, what: str) -> list[str]:
    value = section.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadSettings(f"{SECTION}.{name} must be a list of {what}")
    return value


def _whole(section: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = section.get(name, otherwise)
    if type(value) is not int or not 0 <= value <= 100_000_000:  # noqa: PLR2004 - a bitcoin
        raise BadSettings(f"{SECTION}.{name} must be a whole number of 0 or more")
    return value


def create_plugin() -> PeersPlugin:
    """What cobot looks for."""
    return PeersPlugin()
