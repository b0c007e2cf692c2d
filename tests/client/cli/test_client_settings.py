"""The file that says how much may be spent, and where."""

from __future__ import annotations

from pathlib import Path

from cobot_pay.cli.settings import read_client_settings
from cobot_pay.spending.limits import DEFAULT, NONE, Amounts, Limits

CONFIG = """
wallet = "dev:http://127.0.0.1:8404"

[budget]
request_sat = 100
day_sat = 5000
day_usd = 2.5

[budget.each_host]
hour_sat = 200

[budget.hosts."b.example"]
day_usd = "0.10"
"""


def test_limits_are_read_for_all_hosts_for_each_and_by_name(tmp_path: Path) -> None:
    """In sat and USD; a host by its name has its own limits in place of those of each."""
    (tmp_path / "config.toml").write_text(CONFIG)
    settings = read_client_settings({}, str(tmp_path))
    limits = settings.limits
    assert settings.wallet == "dev:http://127.0.0.1:8404"
    assert limits.all_hosts == Limits(
        msat=Amounts(request=100_000, day=5_000_000), micro_usd=Amounts(day=2_500_000)
    )
    assert limits.of_host("a.example") == Limits(msat=Amounts(hour=200_000))
    assert limits.of_host("b.example") == Limits(micro_usd=Amounts(day=100_000))


def test_without_a_file_there_are_limits_all_the_same(tmp_path: Path) -> None:
    """Nobody who sets nothing spends without bounds."""
    settings = read_client_settings({"COBOT_PAY_HOME": str(tmp_path)}, None)
    assert settings.limits.all_hosts == DEFAULT
    assert settings.limits.of_host("a.example") == NONE
    assert settings.book == tmp_path / "payments.sqlite"


def test_the_environment_names_the_wallet_before_the_file(tmp_path: Path) -> None:
    """A secret need not stand in a file."""
    (tmp_path / "config.toml").write_text(CONFIG)
    assert read_client_settings({"COBOT_PAY_WALLET": "lnd:x"}, str(tmp_path)).wallet == "lnd:x"
