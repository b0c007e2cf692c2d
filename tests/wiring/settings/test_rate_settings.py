"""Settings of the exchange rate: what is asked by default, and every mistake is one line."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.pricing.exchange_rates import RateTerms
from cobot_meter.wiring.settings.rate import RateSettings
from cobot_meter.wiring.settings.settings import read_settings

SOURCES = "COBOT_METER_RATE_SOURCES"
FIXED = "COBOT_METER_RATE_USD_PER_BTC"
LND = {
    "COBOT_METER_NODE": "lnd",
    "COBOT_METER_LND_TLS_CERT": "tls.cert",
    "COBOT_METER_LND_MACAROON": "our.macaroon",
}
MAINNET = LND | {
    "COBOT_METER_NETWORK": "mainnet",
    "COBOT_METER_UPSTREAM": "openrouter",
    "OPENROUTER_API_KEY": "a-key",
}


def rate_of(environ: dict[str, str]) -> RateSettings:
    """That section."""
    return read_settings(environ).rate


def refusal(environ: dict[str, str]) -> str:
    """The one line that stops the start."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings(environ)
    assert "\n" not in refused.value.message
    return refused.value.message


def test_development_has_a_static_rate() -> None:
    """Without settings nobody outside is asked."""
    rate = rate_of({})
    assert (rate.static_usd_micro_per_btc, rate.sources) == (10**11, {})


def test_mainnet_asks_four_services() -> None:
    """Real money is sold at the median of four by default, each at its public address."""
    rate = rate_of(MAINNET)
    assert rate.static_usd_micro_per_btc is None
    assert list(rate.sources) == ["coinbase", "kraken", "bitstamp", "mempool"]
    assert all(url.startswith("https://") for url in rate.sources.values())
    assert rate.terms == RateTerms()
    assert rate.interval_s == 60


@pytest.mark.parametrize("extra", [{SOURCES: "static"}, {SOURCES: "static", FIXED: "98000"}])
def test_a_static_rate_is_refused_on_mainnet(extra: dict[str, str]) -> None:
    """Even when it is said."""
    assert f"{SOURCES}=static is for development" in refusal(MAINNET | extra)


def test_a_rate_beside_sources_is_refused() -> None:
    """One of the two would be passed over silently."""
    assert f"{FIXED} is a static rate and {SOURCES} names others" in refusal(
        MAINNET | {FIXED: "98000"}
    )


def test_off_regtest_a_static_rate_must_be_said() -> None:
    """On signet the default figure is refused, and one that is set is taken."""
    signet = LND | {"COBOT_METER_NETWORK": "signet"}
    assert f"{FIXED} is missing" in refusal(signet)
    assert rate_of(signet | {FIXED: "98000"}).static_usd_micro_per_btc == 98_000_000_000


def test_sources_can_be_elsewhere() -> None:
    """`name=address` keeps the shape and moves the place; queries in it stay whole."""
    own = "mempool=http://10.0.0.1:8999/api/v1/prices?a=b"
    rate = rate_of({SOURCES: f" {own}, kraken ,coinbase"})
    assert rate.sources["mempool"] == "http://10.0.0.1:8999/api/v1/prices?a=b"
    assert list(rate.sources) == ["mempool", "kraken", "coinbase"]


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ("coinbase", "3 names at least, or static"),
        ("coinbase,kraken", "3 names at least, or static"),
        ("coinbase,kraken,kraken", "one service has one voice"),
        ("coinbase,kraken,binance", "static alone, or names of coinbase, kraken, bitstamp"),
        ("static,coinbase,kraken", "static alone"),
        ("coinbase,kraken,mempool=", "name=https://address"),
        ("coinbase,kraken,mempool=ftp://a.example/prices", "name=https://address"),
        ("coinbase,kraken,mempool=mempool.space", "name=https://address"),
        ("coinbase,kraken,mempool=http://[::1", "name=https://address"),
    ],
)
def test_wrong_sources_stop_the_start(sources: str, says: str) -> None:
    """Too few, twice the same, unknown ones and addresses that are none."""
    line = refusal({SOURCES: sources})
    assert says in line
    assert SOURCES in line


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RATE_INTERVAL_S", "0", "a whole number from 1 to 300"),
        ("RATE_INTERVAL_S", "301", "a whole number from 1 to 300"),
        ("RATE_MAX_AGE_S", "119", "at most half of COBOT_METER_RATE_MAX_AGE_S"),
        ("RATE_MAX_AGE_S", "3601", "a whole number from 2 to 3600"),
        ("RATE_OUTLIER_BPS", "0", "a whole number from 1 to 5000"),
        ("RATE_JUMP_BPS", "10001", "a whole number from 1 to 10000"),
        ("RATE_SETTLE_S", "-1", "a whole number from 0 to 3600"),
    ],
)
def test_wrong_bounds_stop_the_start(name: str, value: str, says: str) -> None:
    """Each with what would fit."""
    assert says in refusal({f"COBOT_METER_{name}": value})


def test_the_bounds_reach_the_judgement() -> None:
    """Seconds become milliseconds, and nothing is mixed up."""
    bounds = {"MAX_AGE_S": "300", "OUTLIER_BPS": "50", "JUMP_BPS": "500", "SETTLE_S": "7"}
    rate = rate_of({f"COBOT_METER_RATE_{name}": value for name, value in bounds.items()})
    assert rate.terms == RateTerms(
        max_age_ms=300_000, outlier_bps=50, jump_bps=500, settle_ms=7_000
    )
