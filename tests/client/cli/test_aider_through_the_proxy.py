"""`aider`, unmodified and with no key of ours, buys from a service through `cobot-pay proxy`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.cli.proxied_service import open_proxied_service
from tests.end_to_end.agents.foreign_agents import AIDER, Setting, ask_aider, needed
from tests.end_to_end.agents.test_agents_on_a_key import TOKENS

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


async def test_aider_buys_without_knowing_it(tmp_path: Path) -> None:
    """It streams through the proxy, which pays for it; the key that it sends is nobody's."""
    needed(AIDER)
    async with open_proxied_service(tmp_path) as base:
        setting = Setting(base_url=base, key="none")
        told = await ask_aider(tmp_path / "aider", setting, "Something about bridges.")
    assert TOKENS.search(told), told
    budget = StoredBudget(tmp_path / "home" / "payments.sqlite")
    assert budget.spent_today_msat >= 1_000
    assert budget.reserved_msat == 0
