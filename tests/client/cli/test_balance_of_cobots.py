"""`cobot-pay balance` where a cobot spends from the same file, within limits of its own."""

from __future__ import annotations

from pathlib import Path

from cobot_pay.cobot.opening import open_purse
from cobot_pay.cobot.settings import read_meter_settings
from tests.client.cli.desk import Desk


async def test_the_limits_of_a_cobot_stand_beside_our_own(desk: Desk) -> None:
    """Those of its cobot.yml, from when it started; one in USD once a rate was heard."""
    block = {"url": desk.url, "model": "a/b", "wallet": "development", "home": str(desk.home)}
    limits = {"budget_sat_day": 300, "budget_usd_day": 1}
    settings = read_meter_settings({"cobot-meter": {**block, **limits}})
    open_purse(settings, folder=Path("/srv/ada"), wallet_plugins=())
    status, out, err = await desk.run("balance")
    assert status == 0
    assert "day: 50,000,000 of 50,000,000 msat left (0 spent, 0 in flight)" in out
    ours = "day of the cobot in /srv/ada"
    assert f"{ours}: 300,000 of 300,000 msat left (0 spent, 0 in flight)" in out
    assert "day_usd" not in out
    assert "the cobot in /srv/ada has the limits that it started with at 20" in err
    await desk.run("ask", desk.url, "About bridges.")
    (paid,) = desk.budget.receipts()
    _, out, _ = await desk.run("balance")
    assert f"{ours}: {300_000 - paid.amount_msat:,} of 300,000 msat left" in out
