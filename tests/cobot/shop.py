"""A seller's desk and loop on a fake agent and a fake service, and what it wrote to whom.

Must not know: cobot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cobot_meter.cobot.agent import Peer, Said
from cobot_meter.cobot.commission import Commission
from cobot_meter.cobot.front_desk import FrontDesk
from cobot_meter.cobot.selling import Selling
from cobot_meter.cobot.settings import SECTION, read_settings
from cobot_meter.cobot.shelf import Shelf
from cobot_meter.cobot.task_service import TaskService
from cobot_pay.peers.blocks import Ask, Block, read_block, with_block
from tests.cobot.fake_tasks import SELLER_KEY, TOOL, FakeTasks

NOW_S = 1_800_000_000
WITHIN_S = 5.0


def peer(name: str = "alice", channel: str = "filedrop") -> Peer:
    """Who writes."""
    return Peer(channel_type=channel, channel_id="inbox", sender_id=name, sender_name=name)


def ask(text: str, *, max_sat: int = 1_000, ref: str = "r1") -> str:
    """A message as a buyer's program writes it."""
    return with_block(text, Ask(ref=ref, max_msat=max_sat * 1_000))


@dataclass
class FakeAgent:
    """An agent with two tools and nothing to say of its own."""

    letters: list[tuple[str, str]] = field(default_factory=list)
    used: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)
    sends: bool = True
    why_not: str = ""
    use: Callable[[], str] = lambda: "the notes"

    async def conversation(self, message: str, peer: Peer) -> Sequence[Said]:
        return [
            {"role": "system", "content": f"You serve {peer.sender_name}."},
            {"role": "user", "content": message},
        ]

    async def may_call(self, messages: Sequence[Said], tools: Sequence[Said], peer: Peer) -> str:
        return self.why_not

    async def called(self, message: Said, document: Said) -> None:
        """Nobody counts here."""

    def tools(self, named: Collection[str]) -> Sequence[Said]:
        every = [{"type": "function", "function": {"name": name}} for name in (TOOL, "exec")]
        return [one for one in every if one["function"]["name"] in named]  # type: ignore[index]

    async def use_tool(self, name: str, arguments: Mapping[str, Any]) -> str:
        self.used.append((name, arguments))
        return self.use()

    async def outgoing(self, text: str, peer: Peer) -> str:
        return text.replace("SECRET", "")

    def send(self, peer: Peer, text: str, *, reply_to: str) -> bool:
        if self.sends:
            self.letters.append((peer.sender_id, text))
        return self.sends

    async def sent(self, peer: Peer, text: str) -> None:
        self.recalled.append(text)


def _never() -> bool:
    return False


class KillingShelf(Shelf):
    """Kills right after something was stored, if it is time."""

    kill_when: Callable[[], bool] = staticmethod(_never)

    def put(self, commission: Commission) -> None:
        super().put(commission)
        if self.kill_when():
            raise Killed


@dataclass
class Shop:
    """`settings` are those of cobot.yml; a second shop on the same folder is a restart."""

    folder: Path
    tasks: FakeTasks = field(default_factory=FakeTasks)
    agent: FakeAgent = field(default_factory=FakeAgent)
    settings: dict[str, Any] = field(default_factory=dict)
    now_s: int = NOW_S
    taken: list[Commission] = field(default_factory=list)
    owner: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the shelf, as at a start."""
        section = {
            "url": "http://service.example/v1",
            "api_key": SELLER_KEY,
            "poll_ms": 50,
            "folder": str(self.folder),
            **self.settings,
        }
        self.read = read_settings({SECTION: section})
        self.shelf = KillingShelf(self.folder, now_s=lambda: self.now_s)
        self.desk = FrontDesk(
            settings=self.read,
            shelf=self.shelf,
            agent=self.agent,
            now_s=lambda: self.now_s,
            taken=self.taken.append,
        )

    def again(self) -> Shop:
        """The same shop after a restart: only the folder and the service outlive it."""
        return Shop(folder=self.folder, tasks=self.tasks, settings=self.settings, now_s=self.now_s)

    async def write(self, text: str, *, who: str = "alice", number: int = 1) -> None:
        """A stranger writes."""
        await self.desk.receive(text, peer(who), f"m{number}")

    async def run(self, until: Callable[[], bool]) -> None:
        """Follow what is open until this holds, then stop as a kill does."""
        async with self.tasks.client() as http:
            selling = Selling(
                agent=self.agent,
                service=TaskService(self.read, http=http),
                shelf=self.shelf,
                settings=self.read,
                tell_owner=self.owner.append,
            )
            self.shelf.kill_when = until
            try:
                async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
                    for one in self.shelf.open():
                        group.create_task(selling.follow(one))
                    group.create_task(_kill_when(until))
            except* Killed:
                self.shelf.kill_when = _never

    async def run_until_letters(self, count: int) -> None:
        """Follow what is open until so many letters are written."""
        await self.run(lambda: len(self.agent.letters) >= count)

    def block(self, at: int = -1) -> Block | None:
        """The block of one letter."""
        return read_block(self.agent.letters[at][1])

    @property
    def texts(self) -> list[str]:
        """What was written, in order."""
        return [text for _, text in self.agent.letters]


class Killed(Exception):
    """The end of a run, in whatever stage it is."""


async def _kill_when(until: Callable[[], bool]) -> None:
    """For what is stored nowhere, such as a letter."""
    deadline_s = asyncio.get_running_loop().time() + WITHIN_S
    while asyncio.get_running_loop().time() < deadline_s:
        if until():
            raise Killed
        await asyncio.sleep(0.005)
