"""Settings that are dangerous together: refused, until the operator says so aloud."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.risks import WORDS
from cobot_meter.wiring.settings.settings import read_settings

LND = {
    "NODE": "lnd",
    "LND_TLS_CERT": "tls.cert",
    "LND_MACAROON": "our.macaroon",
}
MAINNET = LND | {"NETWORK": "mainnet"}
OPENROUTER = {"UPSTREAM": "openrouter", "OPENROUTER_API_KEY": "sk-stand-in"}
REAL_KEY = "sk-or-v1-" + "0123456789abcdef" * 4
LOCAL = {"UPSTREAM_URL": "http://127.0.0.1:9/api/v1"}

DANGEROUS = [
    ("play-money", OPENROUTER),
    ("play-money", OPENROUTER | LND),
    ("play-money", OPENROUTER | LND | {"NETWORK": "signet", "RATE_USD_PER_BTC": "90000"}),
    ("play-money", OPENROUTER | LOCAL | {"OPENROUTER_API_KEY": REAL_KEY}),
    ("simulated-answers", MAINNET),
    ("plain-upstream", OPENROUTER | MAINNET | {"UPSTREAM_URL": "http://gateway.example/v1"}),
    ("plain-upstream", OPENROUTER | MAINNET | {"UPSTREAM_URL": "http://10.0.0.1/v1"}),
    (
        "plain-rate",
        OPENROUTER
        | MAINNET
        | {"RATE_SOURCES": "coinbase,kraken,mempool=http://10.0.0.1:8999/prices"},
    ),
    ("any-proxy", {"TRUSTED_PROXIES": "0.0.0.0/0"}),
    ("any-proxy", {"TRUSTED_PROXIES": "10.0.0.0/8, ::/0"}),
    ("any-proxy", {"TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}),
    ("any-proxy", {"TRUSTED_PROXIES": "::ffff:0:0/96"}),
    ("any-proxy", {"TRUSTED_PROXIES": "2000::/3"}),
    ("no-public-url", {"LISTEN": "0.0.0.0:8402"}),
    ("no-public-url", {"LISTEN": "[::]:8402"}),
    ("no-public-url", {"LISTEN": "[::ffff:0.0.0.0]:8402"}),
    ("no-public-url", {"LISTEN": "0.0.0.0:8402", "PUBLIC_URL": "http://0.0.0.0:8402"}),
    ("open-control", {"SIMULATOR_LISTEN": "0.0.0.0:8403"}),
    ("open-control", {"SIMULATOR_LISTEN": "192.168.1.2:8403"}),
    ("open-control", {"SIMULATOR_LISTEN": "shop.example:8403"}),
    ("open-wallet", {"NODE_LISTEN": "[::]:8404"}),
    ("open-wallet", {"NODE_LISTEN": "10.1.1.1:8404"}),
]
HARMLESS = [
    {},
    OPENROUTER | LOCAL,
    OPENROUTER | LOCAL | LND,
    OPENROUTER | MAINNET,
    OPENROUTER | MAINNET | LOCAL | {"OPENROUTER_API_KEY": REAL_KEY},
    OPENROUTER | MAINNET | {"RATE_SOURCES": "coinbase,kraken,mempool=http://127.0.0.1:8999/prices"},
    {"RATE_SOURCES": "coinbase,kraken,mempool=http://10.0.0.1:8999/prices"},
    {"TRUSTED_PROXIES": "10.0.0.0/8,fc00::/7,::1,::ffff:10.0.0.0/104"},
    {"LISTEN": "0.0.0.0:8402", "PUBLIC_URL": "https://shop.example"},
    {"LISTEN": "192.168.1.2:8402"},
    {"SIMULATOR_LISTEN": "localhost:8403", "NODE_LISTEN": "[::1]:8404"},
    {"SIMULATOR_LISTEN": "127.9.9.9:8403"},
]


def environ_of(chosen: dict[str, str]) -> dict[str, str]:
    """The variables with their prefix."""
    keyed = {"OPENROUTER_API_KEY"}
    return {name if name in keyed else f"COBOT_METER_{name}": chosen[name] for name in chosen}


@pytest.mark.parametrize(("word", "chosen"), DANGEROUS)
def test_a_dangerous_pair_stops_the_start_until_it_is_said(
    word: str, chosen: dict[str, str]
) -> None:
    """The sentence names a variable and the word; with the word the start goes on."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings(environ_of(chosen))
    message = refused.value.message
    assert message.endswith(f", or say COBOT_METER_ACCEPTED_RISKS={word}")
    assert "\n" not in message
    assert REAL_KEY not in message
    accepted = read_settings(environ_of(chosen | {"ACCEPTED_RISKS": word}))
    assert word in {risk.word for risk in accepted.risks}


@pytest.mark.parametrize("chosen", HARMLESS)
def test_what_is_not_dangerous_starts(chosen: dict[str, str]) -> None:
    """The settings of the README, of a test and of a real service run no risk."""
    assert read_settings(environ_of(chosen)).risks == ()


def test_every_risk_is_tried_here() -> None:
    """Each word there is has a dangerous pair above."""
    assert {word for word, _ in DANGEROUS} == set(WORDS)


def test_one_word_accepts_one_risk_only() -> None:
    """The other one still stops the start."""
    both = {"LISTEN": "0.0.0.0:1", "NODE_LISTEN": "0.0.0.0:2", "ACCEPTED_RISKS": "open-wallet"}
    with pytest.raises(SettingInvalid, match="no-public-url"):
        read_settings(environ_of(both))
    read_settings(environ_of(both | {"ACCEPTED_RISKS": "open-wallet, no-public-url"}))


def test_a_word_that_means_nothing_is_refused() -> None:
    """It would be a silent nothing."""
    with pytest.raises(SettingInvalid, match="must be words of play-money"):
        read_settings({"COBOT_METER_ACCEPTED_RISKS": "everything"})
