"""An escrow comes back from its row as it went in, whatever is in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.storage.row_spec import OPENED_SEQUENCE, RowSpec, moved_by
from cobot_meter.adapters.storage.table_specs import (
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
    VERSIONED_SPECS,
)
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.escrow.record import (
    Escrow,
    Fallback,
    IssuedInvoice,
    Quote,
)
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.money import RATE_MAX, ExchangeRate
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.record import Cost, Run, due_of_run
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.record import Topup
from tests.contracts.books.books_samples import opened

RATES = st.builds(
    ExchangeRate,
    usd_micro_per_btc=st.integers(min_value=1, max_value=RATE_MAX),
    source=st.text(),
    fetched_at_ms=st.integers(),
)
V = TypeVar("V", Escrow, Run)
RUNS = st.builds(
    Run,
    cost=st.none() | st.builds(Cost, provider=..., model=..., record_sha256=...),
    **dict.fromkeys(
        (
            *("requested_by", "generation_id", "summary", "cost_account", "lookup_at_ms"),
            *("failure", "parked", "instead"),
        ),
        ...,
    ),
)
ESCROWS = st.builds(
    Escrow,
    quote=st.builds(Quote, rate=RATES),
    run=RUNS,
    **dict.fromkeys(
        (
            "payment_hash",
            "invoice",
            "settled_at_ms",
            "failure",
            "keep_until_ms",
            "continued_as",
        ),
        ...,
    ),
    fallback=st.none() | st.builds(Fallback, continues=...),
)


# Of each field the values between which something is said of a row or not.
TELLING: dict[RowSpec[Any], dict[str, tuple[Any, ...]]] = {
    ESCROW_SPEC: {
        "state": tuple(EscrowState),
        "price_msat": (0, 1_000),
        "credit_used_msat": (0, 1_000),
        "invoice": (
            None,
            IssuedInvoice(payment_request="lnbc1", amount_msat=1_000, expires_at_s=8),
        ),
        "settled_at_ms": (None, 6),
        "keep_until_ms": (None, 7),
        "quarantine": (None, "looked at"),
    },
    RUN_SPEC: {
        "state": tuple(RunState),
        "lookup_at_ms": (None, 5),
        "budget_held_pusd": (0, 9),
        "parked": (False, True),
    },
}
SAMPLES: dict[RowSpec[Any], Any] = {ESCROW_SPEC: opened("esc_1"), RUN_SPEC: opened("esc_1").run}


@given(escrow=ESCROWS)
def test_an_escrow_survives_its_rows(escrow: Escrow) -> None:
    """Every field of every part has a column, and none is mistaken for another."""
    columns, runs = opened_row(ESCROW_SPEC, escrow), opened_row(RUN_SPEC, escrow.run)
    assert columns.pop("occupies_ask") == int(escrow.occupies_ask)
    assert columns.pop("due_at_ms") == due_at_ms(escrow)
    assert runs.pop("due_at_ms") == due_of_run(escrow.run, Retention())
    assert columns.keys() == set(ESCROW_SPEC.columns)
    assert runs.keys() == set(RUN_SPEC.columns)
    read = (
        *(columns[name] for name in ESCROW_SPEC.columns),
        *(runs[name] for name in RUN_SPEC.columns),
    )
    assert ESCROW_SPEC.decode(read) == escrow


@given(before=RUNS, other=RUNS, changed=st.sets(st.sampled_from(RUN_SPEC.fields)))
def test_of_a_run_too_only_what_changed_is_written(
    before: Run, other: Run, changed: set[str]
) -> None:
    """A row in which only the changed columns are written is the row of the changed run."""
    assert_moved(RUN_SPEC, before, other, changed)


@given(
    before=ESCROWS,
    other=ESCROWS,
    changed=st.sets(st.sampled_from(ESCROW_SPEC.fields)),
)
def test_what_changed_is_written_with_all_that_is_said_by_it(
    before: Escrow, other: Escrow, changed: set[str]
) -> None:
    """A row in which only the changed columns are written is the row of the changed escrow."""
    assert_moved(ESCROW_SPEC, before, other, changed)


def assert_moved(spec: RowSpec[V], before: V, other: V, changed: set[str]) -> None:
    """What is written of the changed fields makes the one row of the other."""
    names = tuple(sorted(changed))
    after = replace(before, **{name: getattr(other, name) for name in names})
    columns, values = moved_by(spec, names)
    written = dict(zip(columns, values(after, Retention()), strict=True))
    assert opened_row(spec, before) | written == opened_row(spec, after)


@pytest.mark.parametrize("spec", TELLING, ids=lambda spec: spec.table)
def test_what_is_said_of_a_row_is_said_by_the_named_fields(spec: RowSpec[Any]) -> None:
    """Whatever else stands in the row, no other field changes what is said of it."""
    telling, missed = TELLING[spec], set()
    said = {one.column: one.looks_at for one in spec.derived}
    for values in product(*telling.values()):
        value: Any = replace(SAMPLES[spec], **dict(zip(telling, values, strict=True)))
        before = opened_row(spec, value)
        for name, choices in telling.items():
            after = opened_row(spec, replace(value, **{name: choices[0]}))
            missed |= {
                (column, name)
                for column, fields in said.items()
                if before[column] != after[column] and name not in fields
            }
    assert missed == set()
    assert {name for fields in said.values() for name in fields} - {"run"} <= telling.keys()


def opened_row(spec: RowSpec[Any], value: object) -> dict[str, object]:
    """Everything that is stored of it, by column."""
    columns, values = spec.opening
    return dict(zip(columns, values(value, Retention()), strict=True))


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
