"""An escrow comes back from its row as it went in, whatever is in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.storage.row_spec import OPENED_SEQUENCE, moved_by
from cobot_meter.adapters.storage.table_specs import (
    ESCROW_SPEC,
    NODE_SPEC,
    TOPUP_SPEC,
    VERSIONED_SPECS,
)
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.escrow.record import Cost, Escrow, Fallback, IssuedInvoice, Quote, due_at_ms
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.invoices import AdoptedNode
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
    columns = opened_row(escrow)
    assert columns.pop("occupies_ask") == int(escrow.occupies_ask)
    assert columns.pop("due_at_ms") == due_at_ms(escrow, retention)
    assert columns.keys() == set(ESCROW_SPEC.columns)
    assert ESCROW_SPEC.decode(tuple(columns[name] for name in ESCROW_SPEC.columns)) == escrow


@given(before=ESCROWS, other=ESCROWS, changed=st.sets(st.sampled_from(ESCROW_SPEC.fields)))
def test_what_changed_is_written_with_all_that_is_said_by_it(
    before: Escrow, other: Escrow, changed: set[str]
) -> None:
    """A row in which only the changed columns are written is the row of the changed escrow."""
    names = tuple(sorted(changed))
    after = replace(before, **{name: getattr(other, name) for name in names})
    columns, values = moved_by(ESCROW_SPEC, names)
    written = dict(zip(columns, values(after, Retention()), strict=True))
    assert opened_row(before) | written == opened_row(after)


def test_what_is_said_of_a_row_is_said_by_the_named_fields() -> None:
    """Whatever else stands in the row, no other field changes what is said of it."""
    sample, missed = opened("esc_1"), set()
    said = {one.column: one.looks_at for one in ESCROW_SPEC.derived}
    for values in product(*TELLING.values()):
        escrow = replace(sample, **dict(zip(TELLING, values, strict=True)))
        before = opened_row(escrow)
        for name, choices in TELLING.items():
            after = opened_row(replace(escrow, **{name: choices[0]}))
            missed |= {
                (column, name)
                for column, fields in said.items()
                if before[column] != after[column] and name not in fields
            }
    assert missed == set()
    assert {name for fields in said.values() for name in fields} <= TELLING.keys()


def opened_row(escrow: Escrow) -> dict[str, object]:
    """Everything that is stored of it, by column."""
    columns, values = ESCROW_SPEC.opening
    return dict(zip(columns, values(escrow, Retention()), strict=True))


@given(topup=st.from_type(Topup))
def test_a_topup_survives_its_row(topup: Topup) -> None:
    """Every field has a column."""
    columns, values = TOPUP_SPEC.opening
    row = dict(zip(columns, values(topup, Retention()), strict=True))
    assert TOPUP_SPEC.decode(tuple(row[name] for name in TOPUP_SPEC.columns)) == topup


@given(node=st.from_type(AdoptedNode))
def test_an_adopted_node_survives_its_row(node: AdoptedNode) -> None:
    """A row without a version is encoded and decoded alike."""
    columns, values = NODE_SPEC.opening
    row = dict(zip(columns, values(node, Retention()), strict=True))
    assert NODE_SPEC.decode(tuple(row[name] for name in NODE_SPEC.columns)) == node


def test_a_table_has_what_its_spec_writes_and_the_entry_that_opened_the_row() -> None:
    """No column is written that is not there, and none is there that nothing writes."""
    for spec in VERSIONED_SPECS:
        written = {*spec.opening.columns, OPENED_SEQUENCE}
        assert set(METADATA.tables[spec.table].c.keys()) == written
        assert set(moved_by(spec, None).columns) < set(spec.opening.columns) - {spec.key}
    assert set(METADATA.tables[NODE_SPEC.table].c.keys()) == set(NODE_SPEC.opening.columns)
