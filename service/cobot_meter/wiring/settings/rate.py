"""Settings of the exchange rate: a static one, or the median of several services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cobot_meter.adapters.rates.rate_answers import known_services
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.pricing.exchange_rates import RateTerms
from cobot_meter.wiring.settings.node import MAINNET, REGTEST
from cobot_meter.wiring.settings.values import Values, url_fault

STATIC = "static"
SOURCES_MIN = 3
_MS = 1_000
_NAMES = "RATE_SOURCES"
_FIXED = "RATE_USD_PER_BTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """`sources` are addresses by the services' names; without any the rate is static."""

    static_usd_micro_per_btc: int | None
    sources: Mapping[str, str] = field(default_factory=dict)
    interval_s: int
    terms: RateTerms


def read_rate(values: Values, network: str) -> RateSettings:
    """The settings of the exchange rate.

    Raises SettingInvalid for sources that are unknown or too few, and a static one on mainnet.
    A default would sell real money at a price of ours: off regtest a static rate must be said.
    """
    given = values.words(_NAMES) or ((STATIC,) if network != MAINNET else tuple(known_services()))
    static = given == (STATIC,)
    if static and network == MAINNET:
        message = (
            f"{values.full(_NAMES)}={STATIC} is for development: {MAINNET} needs at least "
            f"{SOURCES_MIN} of {', '.join(known_services())}"
        )
        raise SettingInvalid(message)
    interval_s = values.integer("RATE_INTERVAL_S", 60, at_least=1, at_most=300)
    max_age_s = values.integer("RATE_MAX_AGE_S", 600, at_least=2, at_most=3_600)
    if 2 * interval_s > max_age_s:
        wanted = f"at most half of {values.full('RATE_MAX_AGE_S')}, so that one look may fail"
        values.refuse("RATE_INTERVAL_S", str(interval_s), wanted)
    return RateSettings(
        static_usd_micro_per_btc=_static(values, network, wanted=static),
        sources={} if static else _sources(values, given),
        interval_s=interval_s,
        terms=RateTerms(
            max_age_ms=_MS * max_age_s,
            outlier_bps=values.integer("RATE_OUTLIER_BPS", 200, at_least=1, at_most=5_000),
            jump_bps=values.integer("RATE_JUMP_BPS", 1_000, at_least=1, at_most=10_000),
            settle_ms=_MS * values.integer("RATE_SETTLE_S", 120, at_most=3_600),
        ),
    )


def _static(values: Values, network: str, *, wanted: bool) -> int | None:
    if not wanted:
        if values.given(_FIXED):
            message = (
                f"{values.full(_FIXED)} is a static rate and {values.full(_NAMES)} names others: "
                "set one of the two"
            )
            raise SettingInvalid(message)
        return None
    if network != REGTEST:
        values.required(_FIXED, f"today's price of a bitcoin in USD ({network})")
    return values.usd_micro(_FIXED, "100000")


def _sources(values: Values, given: tuple[str, ...]) -> Mapping[str, str]:
    known, sources = known_services(), dict[str, str]()
    for word in given:
        name, stands, url = word.partition("=")
        if name not in known:
            wanted = f"{STATIC} alone, or names of {', '.join(known)}"
            values.refuse(_NAMES, name, wanted)
        if name in sources:
            values.refuse(_NAMES, name, "names that differ: one service has one voice")
        if stands and url_fault(url, with_query=True):
            values.refuse(_NAMES, url, "names, each alone or as name=https://address")
        sources[name] = url if stands else known[name].url
    if len(sources) < SOURCES_MIN:
        values.refuse(_NAMES, ",".join(sources), f"{SOURCES_MIN} names at least, or {STATIC}")
    return sources
