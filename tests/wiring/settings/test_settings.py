"""Settings: what they mean, and that every mistake stops the start with one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.settings import read_settings, setting_names
from cobot_meter.wiring.settings.values import Secret


def test_no_settings_give_the_embedded_service_on_loopback() -> None:
    """With an empty environment everything is embedded, at the documented addresses."""
    settings = read_settings({})
    assert settings.face.listen.url == "http://127.0.0.1:8402"
    assert settings.upstream.base_url == "http://127.0.0.1:8403/api/v1"
    assert settings.node.listen.url == "http://127.0.0.1:8404"
    assert settings.exposure.cap.newcomer_msat == 200_000
    assert settings.exposure.newcomers_day_pusd + settings.exposure.proven_day_pusd == 10**12
    assert settings.rate.static_usd_micro_per_btc == 10**11


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("COBOT_METER_LISTEN", "8402", "an address and port"),
        ("COBOT_METER_LISTEN", "127.0.0.1:99999", "an address and port"),
        ("COBOT_METER_MARKUP_BPS", "ten", "whole number"),
        ("COBOT_METER_MARKUP_BPS", "-1", "whole number"),
        ("COBOT_METER_MARKUP_BPS", "\u0661\u0660", "U+0661 ARABIC-INDIC DIGIT ONE at character 1"),
        ("COBOT_METER_RATE_USD_PER_BTC", "0", "a price in USD"),
        ("COBOT_METER_RATE_USD_PER_BTC", "1e5", "an amount of USD"),
        ("COBOT_METER_UNPAID_DAY_USD", "NaN", "an amount of USD"),
        ("COBOT_METER_NEWCOMERS_SHARE_BPS", "2501", "from 0 to 2500"),
        ("COBOT_METER_ADDRESS_SHARE_BPS", "1001", "from 0 to 1000"),
        ("COBOT_METER_ADDRESS_DAY_SAT", "400", "use COBOT_METER_UNPAID_DAY_USD"),
        ("COBOT_METER_NEWCOMERS_DAY_USD", "0.25", "use COBOT_METER_UNPAID_DAY_USD"),
        ("COBOT_METER_PROVEN_DAY_USD", "0.75", "use COBOT_METER_UNPAID_DAY_USD"),
        ("COBOT_METER_UPSTREAM", "openai", "one of simulator, openrouter"),
        ("COBOT_METER_TRUSTED_PROXIES", "10.0.0.1/8", "networks such as"),
        ("COBOT_METER_DRAIN_S", "soon", "a number of seconds"),
        ("COBOT_METER_DATA_DIR", " ", "unset it"),
        ("COBOT_METER_MARKUP_BSP", "10", "did you mean COBOT_METER_MARKUP_BPS?"),
        ("COBOT_METER_NETWORK", "mainnet", "regtest only"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str, says: str) -> None:
    """Every refusal is a single line with the variable's name and what would fit."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings({name: value})
    assert says in refused.value.message
    assert name in refused.value.message
    assert "\n" not in refused.value.message


LND = {
    "COBOT_METER_NODE": "lnd",
    "COBOT_METER_LND_TLS_CERT": "tls.cert",
    "COBOT_METER_LND_MACAROON": "our.macaroon",
}


def test_an_lnd_is_named_by_address_and_files() -> None:
    """Everything that reaches it stands in the settings, on whatever network."""
    lnd = read_settings(LND | {"COBOT_METER_LND_ADDRESS": "[::1]:10010"}).node.lnd
    assert lnd is not None
    assert (lnd.address, lnd.network) == ("[::1]:10010", "regtest")
    assert (str(lnd.tls_cert_path), str(lnd.macaroon_path)) == ("tls.cert", "our.macaroon")


@pytest.mark.parametrize("missing", ["COBOT_METER_LND_TLS_CERT", "COBOT_METER_LND_MACAROON"])
def test_an_lnd_needs_both_files(missing: str) -> None:
    """The variable that is missing is named, with what it is for."""
    with pytest.raises(SettingInvalid, match=f"{missing} is missing"):
        read_settings({name: value for name, value in LND.items() if name != missing})


def test_settings_of_lnd_are_for_lnd() -> None:
    """An address beside the development node is a mistake, and is not passed over."""
    with pytest.raises(SettingInvalid, match="COBOT_METER_NODE"):
        read_settings({"COBOT_METER_LND_ADDRESS": "127.0.0.1:10009"})


def test_openrouter_without_a_key_does_not_start() -> None:
    """The real upstream needs its key; the message says how to go on without one."""
    with pytest.raises(SettingInvalid, match="OPENROUTER_API_KEY is missing"):
        read_settings({"COBOT_METER_UPSTREAM": "openrouter"})


def test_the_upstream_key_never_shows_itself() -> None:
    """Neither repr nor str of settings contains the key."""
    settings = read_settings(
        LND
        | {"COBOT_METER_NETWORK": "mainnet", "COBOT_METER_UPSTREAM": "openrouter"}
        | {"OPENROUTER_API_KEY": "sk-canary"}
    )
    assert "sk-canary" not in repr(settings)
    assert "sk-canary" not in str(Secret("sk-canary"))
    assert settings.upstream.api_key.reveal() == "sk-canary"


def test_every_setting_is_explained_and_nothing_else_is() -> None:
    """docs/settings.md has one row for each variable, and no row for one that is gone."""
    guide = Path(__file__).resolve().parents[3] / "docs" / "settings.md"
    rows = re.findall(r"^\| `(\w+)` \|", guide.read_text(encoding="utf-8"), re.MULTILINE)
    keys = {"OPENROUTER_API_KEY", "OPENROUTER_API_KEY_FILE"}
    assert sorted(rows) == sorted({*setting_names(), *keys})
