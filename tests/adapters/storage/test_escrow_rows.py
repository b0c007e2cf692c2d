"""An escrow comes back from its row as it went in, whatever is in it."""

from __future__ import annotations

from cobot_meter.adapters.storage.escrow_rows import (
    ESCROW_COLUMNS,
    FIXED_COLUMNS,
    MOVING_COLUMNS,
    NAME_COLUMNS,
    escrow_from_row,
    fixed_values,
    moving_values,
    named_values,
)
from cobot_meter.adapters.storage.ledger_rows import (
    TOPUP_COLUMNS,
    topup_fixed_values,
    topup_from_row,
    topup_moving_values,
)
from cobot_meter.adapters.storage.tables import ESCROW, TOPUP
from cobot_meter.domain.escrow.record import Cost, Escrow, Fallback, Quote, due_at_ms
from cobot_meter.domain.money import RATE_MAX, ExchangeRate
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.topups import Topup
from hypothesis import given
from hypothesis import strategies as st

RATES = st.builds(
    ExchangeRate,
    usd_micro_per_btc=st.integers(min_value=1, max_value=RATE_MAX),
    source=st.text(),
    fetched_at_ms=st.integers(),
)
ESCROWS = st.builds(
    Escrow,
    quote=st.builds(Quote, rate=RATES),
    cost=st.none() | st.builds(Cost, provider=..., model=..., record_sha256=...),
    **dict.fromkeys(
        (
            "generation_id",
            "run",
            "lookup_at_ms",
            "payment_hash",
            "invoice",
            "settled_at_ms",
            "failure",
            "keep_until_ms",
            "requested_by",
            "continued_as",
        ),
        ...,
    ),
    fallback=st.none() | st.builds(Fallback, continues=...),
)


@given(escrow=ESCROWS)
def test_an_escrow_survives_its_row(escrow: Escrow) -> None:
    """Every field of every part has a column, and none is mistaken for another."""
    retention = Retention()
    moving = dict(zip(MOVING_COLUMNS, moving_values(escrow, retention), strict=True))
    assert moving.pop("occupies_ask") == int(escrow.occupies_ask)
    assert moving.pop("due_at_ms") == due_at_ms(escrow, retention)
    fixed = zip(FIXED_COLUMNS, fixed_values(escrow), strict=True)
    names = zip(NAME_COLUMNS, named_values(escrow), strict=True)
    columns = {**dict(fixed), **moving, **dict(names)}
    assert columns.keys() == set(ESCROW_COLUMNS)
    assert escrow_from_row(tuple(columns[name] for name in ESCROW_COLUMNS)) == escrow


@given(topup=st.from_type(Topup))
def test_a_topup_survives_its_row(topup: Topup) -> None:
    """Every field has a column."""
    row = (*topup_fixed_values(topup), *topup_moving_values(topup))
    assert topup_from_row(row) == topup


def test_the_table_has_the_columns_of_the_row() -> None:
    """In the same order, with the number of the entry that opened it as the last."""
    row = (*FIXED_COLUMNS, *MOVING_COLUMNS, *NAME_COLUMNS, "opened_sequence")
    assert tuple(ESCROW.c.keys()) == row
    assert tuple(TOPUP.c.keys()) == (*TOPUP_COLUMNS, "opened_sequence")
