"""Where the scenarios are played: a whole service in this event loop, and an Ollama beside it.

Must not know: any scenario.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.demo.demo import demo_settings, until_ready
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.logs import set_up_logs
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import Settings
from examples.caller import Caller
from tests.fakes.servers.ollama_server import MODEL_NAME, FakeOllama, fake_ollama

MINUTE_MS = 61_000
ANYWHERE = True  # on free ports: a service of one's own may have the usual ones


class HurriedClock(SystemClock):
    """The machine's clock, which whoever waits for the last figures may put forward."""

    def __init__(self) -> None:
        """The machine's own time."""
        self._ahead_ms = 0

    def let_a_minute_pass(self) -> None:
        """By the wall and in between: whatever is due within it is due now."""
        self._ahead_ms += MINUTE_MS

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return super().now_ms() + self._ahead_ms

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment."""
        return super().monotonic_ms() + self._ahead_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs, and the model of this machine; `chosen` are settings without their prefix."""

    running: Running
    settings: Settings
    ollama: FakeOllama
    clock: HurriedClock
    chosen: Mapping[str, str]

    @property
    def face(self) -> str:
        """Where the service is."""
        return self.running.face.url

    @property
    def simulator(self) -> Address:
        """Where the simulated OpenRouter is."""
        return self.running.simulator or self.settings.upstream.simulator_listen

    def caller(self) -> Caller:
        """Somebody new, with a wallet of play money, who says nothing yet."""
        return Caller(self.face, wallet=self.running.play_wallet_url, say=_unsaid)

    async def set_faults(self, faults: Mapping[str, object]) -> None:
        """What goes wrong at the simulator, in its own words (docs/simulator.md)."""
        await self._control("faults", faults)

    async def give_answers(self, by_model: Mapping[str, Mapping[str, str]]) -> None:
        """What models say to certain questions, none of which a simulator could answer."""
        await self._control("answers", by_model)

    async def _control(self, what: str, document: Mapping[str, object]) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            told = await http.post(f"{self.simulator.url}/control/{what}", json=document)
            told.raise_for_status()


@contextlib.asynccontextmanager
async def open_stage(folder: Path, **more: str) -> AsyncIterator[Stage]:
    """Everything up and ready to sell. `more` are settings without their prefix."""
    async with fake_ollama() as ollama:
        here = {
            "OLLAMA_URL": ollama.url,
            "OLLAMA_MODELS": f"{MODEL_NAME} 8192 0.02 0.04",
            "PRIVATE_MODEL": f"ollama/{MODEL_NAME}",
            "INVOICE_EXPIRY_S": "600",
        }
        chosen = {**here, **more}
        settings = demo_settings(folder, ANYWHERE, **chosen)
        set_up_logs(settings.run.log_level)
        clock = HurriedClock()
        async with running_service(settings, clock=clock) as running:
            await until_ready(running)
            yield Stage(
                running=running, settings=settings, ollama=ollama, clock=clock, chosen=chosen
            )


def _unsaid(step: str, words: str) -> None:
    """Nobody listens."""
