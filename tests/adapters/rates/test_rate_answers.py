"""Four shapes are read to the last micro-USD, and what anybody may write instead is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.rates.rate_answers import known_services
from tests.fakes.servers.rate_services import NAMES, answer_of

AT_S = 1_700_000_000


def read(name: str, body: bytes) -> tuple[int, int | None]:
    """The price and its time, as that service's reader finds them."""
    answer = known_services()[name].read(body)
    return answer.usd_micro_per_btc, answer.said_at_ms


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("usd", "usd_micro"),
    [
        ("64123.45", 64_123_450_000),
        ("64123", 64_123_000_000),
        ("64123.40000", 64_123_400_000),
        ("64123.4567899", 64_123_456_789),
        ("9e4", 90_000_000_000),
    ],
)
def test_a_price_is_read_to_the_micro_usd(name: str, usd: str, usd_micro: int) -> None:
    """Every shape gives the same integer for the same digits, and nothing is rounded up."""
    assert read(name, answer_of(name, usd, at_s=AT_S))[0] == usd_micro


def test_services_that_date_their_price_are_read_with_it() -> None:
    """Bitstamp and mempool tell a time, the others do not."""
    told = {name: read(name, answer_of(name, "64000", at_s=AT_S))[1] for name in NAMES}
    dated = AT_S * 1_000
    assert told == {"bitstamp": dated, "coinbase": None, "kraken": None, "mempool": dated}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "usd",
    [
        *("NaN", "Infinity", "-Infinity", "1e400", "1e99999999", "-1", "-0.01", "0", "0.0"),
        *("1e-7", "null", "true", "[]", "{}", "9223372.04", "9" * 41, "1e-4000"),
    ],
)
def test_a_price_that_is_none_is_refused(name: str, usd: str) -> None:
    """Not a number, infinite, absurd, negative, zero or no number at all: no price."""
    with pytest.raises(ValueError, match=r"gives no|says"):
        read(name, answer_of(name, usd, at_s=AT_S))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Just a moment...</body></html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"64000"',
        b"[" * 60_000,
        b'{"data": 1, "result": 2, "last": null, "USD": "x"}',
        b'{"data": {"amount": "64000"}, "error": [], "result": {"XXBTZUSD": {"c": []}}}',
    ],
)
def test_another_shape_is_refused(name: str, body: bytes) -> None:
    """HTML, broken text, deep nesting and other documents are no price, and no other fault."""
    with pytest.raises(ValueError, match=r"gives|answers|nests|reports"):
        read(name, body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("coinbase", b'{"data":{"amount":"64000","base":"BTC","currency":"EUR"}}'),
        ("coinbase", b'{"data":{"amount":"64000","base":"BCH","currency":"USD"}}'),
        ("kraken", b'{"error":[],"result":{"XXBTZEUR":{"c":["64000","1"]}}}'),
        ("kraken", b'{"error":["EService:Busy"],"result":{"XXBTZUSD":{"c":["64000","1"]}}}'),
        ("mempool", b'{"time":1700000000,"EUR":64000}'),
        ("mempool", b'{"time":-1,"USD":64000}'),
        ("mempool", b'{"USD":64000}'),
        ("bitstamp", b'{"last":"64000","timestamp":"now"}'),
        ("bitstamp", b'{"last":"64000","timestamp":"170000000000"}'),
    ],
)
def test_another_currency_an_error_or_no_time_is_refused(name: str, body: bytes) -> None:
    """A price of something else, beside an error or of an unknown time does not count."""
    with pytest.raises(ValueError, match=r"gives|answers|reports"):
        read(name, body)


@given(name=st.sampled_from(NAMES), body=st.binary(max_size=200))
def test_noise_is_refused_and_nothing_else_happens(name: str, body: bytes) -> None:
    """No bytes bring out another exception than ValueError."""
    with pytest.raises(ValueError, match=r"."):
        read(name, body)


@given(name=st.sampled_from(NAMES), usd=st.text(max_size=50))
def test_any_text_for_a_price_is_read_or_refused(name: str, usd: str) -> None:
    """What is read is above zero and within the bounds of money."""
    try:
        body = answer_of(name, usd, at_s=AT_S)
        usd_micro, _ = read(name, body)
    except ValueError:
        return
    assert 0 < usd_micro < 2**63
