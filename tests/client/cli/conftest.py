"""Fixtures of the tests of `cobot-pay`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.account.key_seller import KeySeller
from tests.client.cli.desk import Desk
from tests.fakes.servers.serving import serving


@pytest.fixture
async def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """With the wallet of the seller's own node, set in the environment."""
    seller = KeySeller()
    async with serving(seller.app()) as url:
        monkeypatch.setenv("COBOT_PAY_WALLET", f"dev:{url}")
        desk = Desk(url, seller, tmp_path / "home", capsys)
        yield desk
        for process in desk.processes:
            process.kill()
            process.communicate()
