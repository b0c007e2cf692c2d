"""Where the scenarios are played: a whole service in this event loop, and an Ollama beside it.

Must not know: any scenario.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cobot_meter.cli.demo.demo import demo_settings, until_ready
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.logs import set_up_logs
from cobot_meter.wiring.settings.settings import Settings
from tests.fakes.servers.ollama_server import MODEL_NAME, FakeOllama, fake_ollama


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs, with the settings it runs on, and the model of this machine."""

    running: Running
    settings: Settings
    ollama: FakeOllama

    @property
    def simulator(self) -> str:
        """The address of the simulated OpenRouter."""
        return (self.running.simulator or self.settings.upstream.simulator_listen).url


@contextlib.asynccontextmanager
async def open_stage(folder: Path, *, anywhere: bool = True, **more: str) -> AsyncIterator[Stage]:
    """Everything up and ready to sell. `more` are settings without their prefix."""
    async with fake_ollama() as ollama:
        here = {
            "OLLAMA_URL": ollama.url,
            "OLLAMA_MODELS": f"{MODEL_NAME} 8192 0.02 0.04",
            "PRIVATE_MODEL": f"ollama/{MODEL_NAME}",
        }
        settings = demo_settings(folder, anywhere, **here, **more)
        set_up_logs(settings.run.log_level)
        async with running_service(settings) as running:
            await until_ready(running)
            yield Stage(running=running, settings=settings, ollama=ollama)
