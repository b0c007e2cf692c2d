"""A buyer's desk: one seller, and a folder from which `cobot-pay` buys there, word by word."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cobot_pay.cli.main import main
from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.account.key_seller import KeySeller


@dataclass
class Desk:
    """A seller, and a folder from which it is bought."""

    url: str
    seller: KeySeller
    home: Path
    capture: pytest.CaptureFixture[str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    async def run(self, *words: str) -> tuple[int, str, str]:
        """One command: its status, what it printed and what it said beside it."""
        status = await asyncio.to_thread(main, ["--home", str(self.home), *words])
        printed = self.capture.readouterr()
        return status, printed.out, printed.err

    @property
    def budget(self) -> StoredBudget:
        """As any process opens it."""
        return StoredBudget(self.home / "payments.sqlite")
