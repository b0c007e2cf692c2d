"""What may be spent in one request, one hour and one day, in msat and in millionths of a USD.

Hours and days are those of UTC, so that a refusal can say when its limit resets. Must not know:
where it is kept what was spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cobot_pay.errors import ChallengeRefused, Committed

HOUR_S, DAY_S = 3_600, 86_400
ALL_HOSTS = ""
PERIODS = {"hour": HOUR_S, "day": DAY_S}

_MSAT_PER_BTC = 100_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """One limit for each span; None sets none."""

    request: int | None = None
    hour: int | None = None
    day: int | None = None

    def of(self, span: str) -> int | None:
        """The limit of `request`, `hour` or `day`."""
        return {"request": self.request, "hour": self.hour, "day": self.day}[span]

    @property
    def is_set(self) -> bool:
        """Whether there is any limit here."""
        return any(one is not None for one in (self.request, self.hour, self.day))


UNLIMITED = Amounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds for one host, or for all of them together."""

    msat: Amounts = UNLIMITED
    micro_usd: Amounts = UNLIMITED

    @property
    def is_set(self) -> bool:
        """Whether there is any limit here."""
        return self.msat.is_set or self.micro_usd.is_set

    @property
    def in_msat(self) -> Limits:
        """These limits without those in USD."""
        return Limits(msat=self.msat)


# What the two widest spread paying clients allow when nobody says otherwise, an hour and a day.
DEFAULT = Limits(msat=Amounts(request=1_000_000, hour=10_000_000, day=50_000_000))
NONE = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """All limits of one budget: those over all hosts, those of each host, those of a host by name.

    A host is named with its port where that is not its scheme's own: `b.example`, `127.0.0.1:8402`.
    What stands in `hosts` takes the place of `each_host` there.
    """

    all_hosts: Limits = DEFAULT
    each_host: Limits = NONE
    hosts: Mapping[str, Limits] = field(default_factory=dict)

    def of_host(self, host: str) -> Limits:
        """What holds for one host beside the limits over all."""
        return self.hosts.get(host, self.each_host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was paid within one span, and what is being paid now or may have been."""

    msat: int = 0
    micro_usd: int = 0
    in_flight_msat: int = 0
    in_flight_micro_usd: int = 0


NOTHING_SPENT = Spent()


def began_s(now_s: int, period: str) -> int:
    """When the current UTC hour or day began, in Unix seconds."""
    return now_s - now_s % PERIODS[period]


def committed(
    limits: Limits,
    *,
    host: str,
    spent: Mapping[str, Spent],
    micro_usd_per_btc: int | None,
    now_s: int,
) -> Iterator[Committed]:
    """How each limit stands, all in msat: those in USD at the rate that the answer names.

    `spent` is by span. Raises ChallengeRefused where a limit is in USD and there is no rate.
    """
    if limits.micro_usd.is_set and micro_usd_per_btc is None:
        raise ChallengeRefused(
            "the budget has a limit in USD and the answer names no exchange rate "
            "(escrow.cost.rate.btc_usd): nothing was paid; give this host a limit in sat instead"
        )
    for span in ("request", *PERIODS):
        name = "per_request" if span == "request" else span
        resets_at_s = began_s(now_s, span) + PERIODS[span] if span in PERIODS else None
        found = spent.get(span, NOTHING_SPENT)
        limit_msat = limits.msat.of(span)
        if limit_msat is not None:
            yield Committed(
                limit=name,
                limit_msat=limit_msat,
                spent_msat=found.msat,
                in_flight_msat=found.in_flight_msat,
                host=host,
                resets_at_s=resets_at_s,
            )
        limit_micro_usd = limits.micro_usd.of(span)
        if limit_micro_usd is not None and micro_usd_per_btc is not None:
            yield Committed(
                limit=f"{name}_usd",
                limit_msat=limit_micro_usd * _MSAT_PER_BTC // micro_usd_per_btc,
                spent_msat=_msat_up(found.micro_usd, micro_usd_per_btc),
                in_flight_msat=_msat_up(found.in_flight_micro_usd, micro_usd_per_btc),
                host=host,
                resets_at_s=resets_at_s,
            )


def micro_usd_of(amount_msat: int, micro_usd_per_btc: int | None) -> int:
    """What an amount is worth in millionths of a USD, rounded up; 0 without a rate."""
    if micro_usd_per_btc is None:
        return 0
    return -(-amount_msat * micro_usd_per_btc // _MSAT_PER_BTC)


def _msat_up(micro_usd: int, micro_usd_per_btc: int) -> int:
    return -(-micro_usd * _MSAT_PER_BTC // micro_usd_per_btc)
