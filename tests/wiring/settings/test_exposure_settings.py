"""What may be lost is one day, and everybody's part of it a share of that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.money import AMOUNT_MAX, usd_text
from cobot_meter.wiring.settings.settings import read_settings


@given(
    day_pusd=st.integers(min_value=0, max_value=AMOUNT_MAX),
    newcomers_bps=st.integers(min_value=0, max_value=2_500),
    address_bps=st.integers(min_value=0, max_value=1_000),
)
def test_every_bound_is_a_share_of_the_day(
    day_pusd: int, newcomers_bps: int, address_bps: int
) -> None:
    """An address at most a tenth of the newcomers, newcomers a quarter of the day, none lost."""
    exposure = read_settings(
        {
            "COBOT_METER_UNPAID_DAY_USD": usd_text(day_pusd),
            "COBOT_METER_NEWCOMERS_SHARE_BPS": str(newcomers_bps),
            "COBOT_METER_ADDRESS_SHARE_BPS": str(address_bps),
        }
    ).exposure
    assert 10 * exposure.address_day_pusd <= exposure.newcomers_day_pusd
    assert 4 * exposure.newcomers_day_pusd <= day_pusd
    assert exposure.newcomers_day_pusd + exposure.proven_day_pusd == day_pusd


def test_the_shares_of_a_service_without_settings() -> None:
    """A dollar a day: a quarter of it for newcomers, a tenth of that behind one address."""
    exposure = read_settings({}).exposure
    assert (exposure.newcomers_day_pusd, exposure.address_day_pusd) == (25 * 10**10, 25 * 10**9)
    assert exposure.address_day_pusd // exposure.ask_least_pusd == 250
