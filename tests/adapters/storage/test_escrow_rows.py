"""An escrow comes back from its row as it went in, whatever is in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.storage.escrow_rows import (
    ESCROW_COLUMNS,
    FIXED_COLUMNS,
    MOVING_COLUMNS,
    MOVING_FIELDS,
    NAME_COLUMNS,
    SAID_OF,
    changed_values,
    columns_of,
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
from cobot_meter.domain.escrow.record import Cost, Escrow, Fallback, IssuedInvoice, Quote, due_at_ms
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import RATE_MAX, ExchangeRate
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.topups import Topup
from tests.contracts.books.books_samples import opened

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


# Of each field the values between which something is said of a row or not.
TELLING: dict[str, tuple[Any, ...]] = {
    "state": tuple(EscrowState),
    "lookup_at_ms": (None, 5),
    "price_msat": (0, 1_000),
    "credit_used_msat": (0, 1_000),
    "budget_held_pusd": (0, 9),
    "invoice": (
        None,
        IssuedInvoice(payment_request="lnbc1", amount_msat=1_000, expires_at_s=8),
    ),
    "settled_at_ms": (None, 6),
    "keep_until_ms": (None, 7),
    "quarantine": (None, "looked at"),
}


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


@given(before=ESCROWS, other=ESCROWS, changed=st.sets(st.sampled_from(MOVING_FIELDS)))
def test_what_changed_is_written_with_all_that_is_said_by_it(
    before: Escrow, other: Escrow, changed: set[str]
) -> None:
    """A row in which only the changed columns are written is the row of the changed escrow."""
    retention, names = Retention(), tuple(sorted(changed))
    after = replace(before, **{name: getattr(other, name) for name in names})
    written = changed_values(after, names, retention)
    row = moving_row(before) | dict(zip(columns_of(names), written, strict=True))
    assert row == moving_row(after)


def test_what_is_said_of_a_row_is_said_by_the_named_fields() -> None:
    """Whatever else stands in the row, no other field changes what is said of it."""
    sample, missed = opened("esc_1"), set()
    for values in product(*TELLING.values()):
        escrow = replace(sample, **dict(zip(TELLING, values, strict=True)))
        before = moving_row(escrow)
        for name, choices in TELLING.items():
            after = moving_row(replace(escrow, **{name: choices[0]}))
            missed |= {
                (column, name)
                for column, fields in SAID_OF.items()
                if before[column] != after[column] and name not in fields
            }
    assert missed == set()
    assert {name for fields in SAID_OF.values() for name in fields} <= TELLING.keys()


def moving_row(escrow: Escrow) -> dict[str, object]:
    """Everything that an event may change, by column."""
    names = zip(NAME_COLUMNS, named_values(escrow), strict=True)
    return dict(zip(MOVING_COLUMNS, moving_values(escrow, Retention()), strict=True)) | dict(names)


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
