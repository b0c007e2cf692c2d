"""Credit and keys of the real service, bought, spent and managed with `cobot-pay`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_pay.cli.main import main
from cobot_pay.spending.stored_budget import StoredBudget
from tests.end_to_end.live import MODEL, Live

pytestmark = pytest.mark.slow


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    """A service and a simulator as processes, and the service's play money in the wallet."""
    live = Live(tmp_path)
    await live.start()
    monkeypatch.setenv("COBOT_PAY_WALLET", f"dev:{live.node}")
    yield live
    await live.aclose()


async def test_a_key_is_bought_spent_topped_up_and_managed(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each shape that the client reads is the one that the service writes."""
    home = tmp_path / "home"

    async def run(*words: str) -> str:
        assert await asyncio.to_thread(main, ["--home", str(home), *words]) == 0
        return capsys.readouterr().out

    key = (
        await run("topup", live.face, "100", "--key", "--name", "one", "--limit-sat", "90")
    ).strip()
    budget = StoredBudget(home / "payments.sqlite")
    assert budget.key_at(live.face) == key
    assert "bridges" in await run("ask", live.face, "About bridges.", "--model", MODEL)
    assert budget.spent_today_msat == 100_000
    await run("topup", live.face, "20")
    credit_msat = int((await run("balance", live.face)).split()[-2].replace(",", ""))
    assert 110_000 < credit_msat < 120_000
    made = (await run("keys", live.face, "create", "--name", "two")).strip()
    listed = (await run("keys", live.face)).splitlines()
    assert [line.split()[-1] for line in listed] == ["two", "one"]
    rotated = (await run("keys", live.face, "rotate", listed[0].split()[0])).strip()
    assert rotated not in {key, made}
    await run("keys", live.face, "revoke", listed[1].split()[0])
    assert "revoked" in (await run("keys", live.face)).splitlines()[1]
    assert "boats" in await run("ask", live.face, "About boats.", "--model", MODEL)
    assert len(budget.receipts()) == 2
