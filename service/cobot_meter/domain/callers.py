"""Callers: standing, and the exposure caps that follow from it.

Must not know: credentials, HTTP, or where the figures are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.money import BASIS_POINTS

SETTLED_SHARE = 10
LAPSED_WEIGHT = 2
# In 1/100 %: what newcomers may have of the day, and one address of what newcomers have.
NEWCOMERS_BPS_MAX = 2_500
ADDRESS_BPS_MAX = 1_000
# A body that is kept takes room: for each so many bytes of it an ask counts once more.
LEAST_PER_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class CapTerms:
    """clamp(newcomer + settled / 10 - 2 x lapsed, 0, max), all in msat."""

    newcomer_msat: int = 200_000
    max_msat: int = 100_000_000

    def cap_msat(self, *, settled_msat: int, lapsed_msat: int) -> int:
        """The cap on what a caller may have open and unpaid."""
        earned = self.newcomer_msat + settled_msat // SETTLED_SHARE - LAPSED_WEIGHT * lapsed_msat
        return min(max(earned, 0), self.max_msat)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureTerms:
    """How much the operator risks: per caller, per address and day, and per day in all.

    A newcomer has settled less than `newcomer_until_msat` of completions. The budgets bound
    unpaid upstream spend of one UTC day in pico-USD; newcomers and proven callers share none, and
    an address has a part of the newcomers'. `ask_least_pusd` is what an ask that nobody pays for
    counts at least, for the run, the rows and the room on disk that it takes. `key_losses_day_pusd`
    is what answers that broke off may have cost on one UTC day before an API key's asks are
    refused. The overruns bound what sales may cost beyond a reservation that grows, a request's and
    those of one UTC day.
    """

    cap: CapTerms
    newcomer_until_msat: int = 200_000
    address_day_pusd: int = 25_000_000_000
    newcomers_day_pusd: int = 250_000_000_000
    proven_day_pusd: int = 750_000_000_000
    ask_least_pusd: int = 100_000_000
    key_losses_day_pusd: int = 1_000_000_000_000
    overrun_request_pusd: int = 250_000_000_000
    overrun_day_pusd: int = 1_000_000_000_000

    @classmethod
    def shares_of(
        cls,
        day_pusd: int,
        *,
        cap: CapTerms,
        newcomer_until_msat: int,
        newcomers_bps: int = NEWCOMERS_BPS_MAX,
        address_bps: int = ADDRESS_BPS_MAX,
        ask_least_pusd: int = 100_000_000,
    ) -> ExposureTerms:
        """The terms under which a day loses at most `day_pusd`, whoever asks for whatever.

        Newcomers have `newcomers_bps` of it, an address `address_bps` of theirs, both in 1/100 %,
        and proven callers the rest.
        """
        newcomers_pusd = day_pusd * min(newcomers_bps, NEWCOMERS_BPS_MAX) // BASIS_POINTS
        return cls(
            cap=cap,
            newcomer_until_msat=newcomer_until_msat,
            address_day_pusd=newcomers_pusd * min(address_bps, ADDRESS_BPS_MAX) // BASIS_POINTS,
            newcomers_day_pusd=newcomers_pusd,
            proven_day_pusd=day_pusd - newcomers_pusd,
            ask_least_pusd=ask_least_pusd,
        )

    def is_newcomer(self, settled_msat: int) -> bool:
        """Whether the address guard and the newcomers' share of the budget apply."""
        return settled_msat < self.newcomer_until_msat

    def least_pusd(self, body_bytes: int) -> int:
        """What an ask with a body of this size counts at least while nobody has paid for it."""
        return self.ask_least_pusd * (1 + body_bytes // LEAST_PER_BYTES)

    def day_budget_pusd(self, *, newcomer: bool) -> int:
        """The day's budget of the caller's group."""
        return self.newcomers_day_pusd if newcomer else self.proven_day_pusd


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerStanding:
    """A caller as the ledger knows it; zeros for one it has never seen. Amounts in msat.

    `available_msat` is spendable credit (pending debits taken off), `open_msat` what is reserved
    or invoiced and unpaid, `credited_msat` all credit ever given, `spent_credit_msat` all used.
    `key_losses_pusd` is that of the API key which asks, on the day for which it was looked up.
    """

    caller_id: str
    available_msat: int = 0
    open_msat: int = 0
    settled_msat: int = 0
    lapsed_msat: int = 0
    credited_msat: int = 0
    spent_credit_msat: int = 0
    blocked: bool = False
    cap_override_msat: int | None = None
    key_losses_pusd: int = 0

    def cap_msat(self, terms: CapTerms) -> int:
        """The operator's word, else the formula."""
        if self.cap_override_msat is not None:
            return self.cap_override_msat
        return terms.cap_msat(settled_msat=self.settled_msat, lapsed_msat=self.lapsed_msat)
