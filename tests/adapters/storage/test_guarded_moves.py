"""The cap in SQL is the cap of the domain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.storage.sqlite.statements import write_statements
from cobot_meter.domain.callers import CapTerms

AMOUNTS = st.integers(min_value=0, max_value=2_100_000_000_000_000_000)
NET = st.one_of(st.none(), st.tuples(AMOUNTS, AMOUNTS))


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    """Accounts alone, without the constraints that would keep odd figures out."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        "CREATE TABLE account (code TEXT PRIMARY KEY, debits_posted, credits_posted)"
    )
    yield connection
    connection.close()


@given(settled=NET, lapsed=NET, newcomer=AMOUNTS, most=AMOUNTS)
def test_the_cap_in_sql_is_the_cap_of_the_domain(
    connection: sqlite3.Connection,
    settled: tuple[int, int] | None,
    lapsed: tuple[int, int] | None,
    newcomer: int,
    most: int,
) -> None:
    """Floor, weight and clamp agree for every pair of balances, negative and missing ones too."""
    connection.execute("DELETE FROM account")
    for code, counters in (("settled", settled), ("lapsed", lapsed)):
        if counters is not None:
            connection.execute("INSERT INTO account VALUES (?, ?, ?)", (code, *counters))
    values = (most, most, newcomer, "settled", "lapsed")
    ((found,),) = connection.execute(write_statements().cap.sql, values).fetchall()
    expected = CapTerms(newcomer_msat=newcomer, max_msat=most).cap_msat(
        settled_msat=_net(settled), lapsed_msat=_net(lapsed)
    )
    assert (found, type(found)) == (expected, int)


def _net(counters: tuple[int, int] | None) -> int:
    return 0 if counters is None else counters[0] - counters[1]
