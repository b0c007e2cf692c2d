"""What a cobot's owner writes, and what a wrong line is answered with."""

from __future__ import annotations

import pytest

from cobot_pay.cli.settings import BadSettings
from cobot_pay.cobot.settings import machine_zone, read_meter_settings

GOOD = {"url": "http://127.0.0.1:8402/v1", "model": "a/b", "wallet": "development"}


def test_the_block_of_the_documents_is_read() -> None:
    """A dollar a day, and the usual limits in sat where none are written."""
    settings = read_meter_settings({"cobot-meter": {**GOOD, "budget_usd_day": 1}})
    assert settings.seller.url == "http://127.0.0.1:8402"
    assert settings.models == ("a/b",)
    assert settings.wallet == "dev:http://127.0.0.1:8404"
    assert settings.limits.all_hosts.micro_usd.day == 1_000_000
    assert settings.limits.all_hosts.msat.day == 50_000_000
    assert settings.call_msat == 1_000_000


def test_hints_become_headers() -> None:
    """Whatever a service understands of them."""
    block = {**GOOD, "task": "code", "privacy": "high", "downgrade": "yes"}
    assert read_meter_settings({"cobot-meter": block}).hints == {
        "X-Cobot-Task": "code",
        "X-Cobot-Privacy": "high",
        "X-Cobot-Downgrade": "yes",
    }


def test_the_daily_limit_is_a_budget_of_the_key_where_that_is_wanted() -> None:
    """In the zone that is written, else in this machine's; not unless it is said."""
    keyed = {**GOOD, "api_key": "sk-cobot-x", "zone": "Europe/Berlin"}
    assert read_meter_settings({"cobot-meter": keyed}).key_budget_zone == ""
    wanted = read_meter_settings({"cobot-meter": {**keyed, "budget_on_key": True}})
    assert wanted.key_budget_zone == "Europe/Berlin"
    del keyed["zone"]
    here = read_meter_settings({"cobot-meter": {**keyed, "budget_on_key": True}})
    assert here.key_budget_zone == machine_zone() != ""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": ""}, "url is missing"),
        ({"model": []}, "asked in turn"),
        ({"wallet": "cash"}, "development, lnd, nwc or cobot"),
        ({"wallet": "lnd"}, "address: HOST:PORT"),
        ({"wallet": "nwc"}, "nostr\\+walletconnect"),
        ({"budget_sat_day": -1}, "budget_sat_day is a number of 0 or more"),
        ({"api_key": "${COBOT_NO_SUCH_VARIABLE}"}, "names a variable"),
        ({"task": "a\r\nX-Evil: 1"}, "short plain word"),
        ({"timeout_s": True}, "number of seconds"),
        ({"timeout_s": float("nan")}, "number of seconds"),
        ({"others": "b.example"}, "list of addresses"),
        ({"budget": 1}, "not `budget`"),
        ({"budget_on_key": "yes", "api_key": "sk"}, "budget_on_key is true or false"),
        ({"budget_on_key": True}, "so it needs an `api_key`"),
        ({"zone": "Mars/Base"}, "by its IANA name"),
        ({"zone": "../../etc/passwd"}, "by its IANA name"),
        ({"zone": 2}, "by its IANA name"),
    ],
)
def test_a_wrong_line_is_one_sentence(wrong: dict[str, object], says: str) -> None:
    """It names the line and what to write instead."""
    with pytest.raises(BadSettings, match=says):
        read_meter_settings({"cobot-meter": {**GOOD, **wrong}})


def test_no_block_is_told_what_to_write() -> None:
    """The whole block stands in the sentence."""
    with pytest.raises(BadSettings, match=r"cobot-meter: \{url"):
        read_meter_settings({})
