"""What four public price services answer, read into integers.

Each reader takes the raw JSON bytes of one answer, which anybody may have written, and gives the
price of a bitcoin or raises ValueError with half a sentence. Must not know: HTTP, or who asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from cobot_meter.domain import outside
from cobot_meter.domain.money import usd_micro_from_text

_PRICE_TEXT_MAX = 40
_MS = 1_000


class _NumberText(str):
    """The digits of one JSON number, as they were written."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"says {constant}")


_EXACT = json.JSONDecoder(parse_float=_NumberText, parse_int=_NumberText, parse_constant=_refuse)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedRate:
    """The price in 1e-6 USD, and the service's own time for it where it tells one."""

    usd_micro_per_btc: int
    said_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateService:
    """One public service: where it answers, and how that is read."""

    url: str
    read: Callable[[bytes], QuotedRate]


def coinbase(body: bytes) -> QuotedRate:
    """`{"data": {"amount": "64123.45", "base": "BTC", "currency": "USD"}}`."""
    data = _object(_object(_loads(body)).get("data"))
    if data.get("base") != "BTC" or data.get("currency") != "USD":
        raise ValueError("gives no price of BTC in USD")
    return QuotedRate(usd_micro_per_btc=_price(data.get("amount")))


def kraken(body: bytes) -> QuotedRate:
    """`{"error": [], "result": {"XXBTZUSD": {"c": ["64123.40000", "0.01"]}}}`: the last trade."""
    document = _object(_loads(body))
    if document.get("error") != []:
        raise ValueError("reports an error")
    pair = _object(_object(document.get("result")).get("XXBTZUSD"))
    last = pair.get("c")
    if not isinstance(last, list) or not last:
        raise ValueError("gives no last trade")
    return QuotedRate(usd_micro_per_btc=_price(last[0]))


def bitstamp(body: bytes) -> QuotedRate:
    """`{"last": "64123", "timestamp": "1700000000"}`."""
    document = _object(_loads(body))
    return QuotedRate(
        usd_micro_per_btc=_price(document.get("last")),
        said_at_ms=_time_ms(document.get("timestamp")),
    )


def mempool(body: bytes) -> QuotedRate:
    """`{"time": 1700000000, "USD": 64123}`; one that has no price says -1."""
    document = _object(_loads(body))
    return QuotedRate(
        usd_micro_per_btc=_price(document.get("USD")), said_at_ms=_time_ms(document.get("time"))
    )


def known_services() -> Mapping[str, RateService]:
    """Every service by its name, as settings and stored rates write it."""
    return {
        "coinbase": RateService(
            url="https://api.coinbase.com/v2/prices/BTC-USD/spot", read=coinbase
        ),
        "kraken": RateService(
            url="https://api.kraken.com/0/public/Ticker?pair=XBTUSD", read=kraken
        ),
        "bitstamp": RateService(
            url="https://www.bitstamp.net/api/v2/ticker/btcusd/", read=bitstamp
        ),
        "mempool": RateService(url="https://mempool.space/api/v1/prices", read=mempool),
    }


def _loads(body: bytes) -> object:
    try:
        return _EXACT.decode(body.decode())
    except json.JSONDecodeError:
        raise ValueError("gives no JSON") from None
    except UnicodeDecodeError:
        raise ValueError("gives no text") from None
    except RecursionError:
        raise ValueError("nests too deeply") from None


def _object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise ValueError("answers in another shape")


def _price(value: object) -> int:
    """Numbers and texts that stand for one, since services write either."""
    if not isinstance(value, str) or len(value) > _PRICE_TEXT_MAX:
        raise ValueError("gives no price")
    try:
        return usd_micro_from_text(value)
    except ValueError:
        raise ValueError("gives no sane price") from None


def _time_ms(value: object) -> int:
    said_at_ms = outside.time_ms(value, unit_ms=_MS)
    if said_at_ms is None:
        raise ValueError("gives no time")
    return said_at_ms
