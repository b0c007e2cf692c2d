"""Anything in any order: asks, payments, lapses, late money, corrections, faults, kills, jumps.

The rules are those of `machine.py`, what must hold is in `watch.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.conftest import COUNTED
from tests.fakes.upstream_outcomes import Completes, Failed, Outcome, Refused
from tests.flows.rigs.machine import ShopMachine
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.shop import Shop, Tally
from tests.flows.rigs.twin_books import TwinShop
from tests.postgres.cluster import Cluster

Record = Callable[[str, object], None]
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def play(record_property: Record, played: settings, shop: type[Shop] = Shop) -> Tally:
    """Play shops as `played` says, and tell how much it was."""
    tally = Tally()
    # Hypothesis only calls it, but is typed to want a class.
    machine = cast("type[ShopMachine]", lambda: ShopMachine(tally, shop))
    run_state_machine_as_test(machine, settings=played)
    record_property(COUNTED, str(tally))
    print(tally)
    return tally


def test_anything_in_any_order(record_property: Record) -> None:
    """A few short shops, the same ones every time."""
    few = settings(SETTINGS, max_examples=50, stateful_step_count=30, derandomize=True)
    tally = play(record_property, few)
    assert tally.kills
    assert tally.kinds["completion_delivered"]
    assert tally.kinds["api_key_made"]
    assert tally.hung_up
    assert tally.live > tally.hung_up
    assert tally.kinds["api_key_revoked"]
    assert tally.kinds["completion_costed"]


FAILS = Failed(cost="0.0000100", lookups_before_record=1)
OVERSTATED = Completes(cost="0.0000100", lookups_before_record=-1, inline_cost="0.0000700")


@pytest.mark.parametrize("outcomes", [(FAILS, Refused(status=429)), (OVERSTATED, Completes())])
@pytest.mark.parametrize("moved", [True, False])
def test_what_stands_in_quarantine_while_costs_are_compared(
    outcomes: tuple[Outcome, Outcome], *, moved: bool
) -> None:
    """Found by the search: its cost is still to be looked up, and no comparison waits for it."""
    shop = ShopMachine(Tally())
    body = b'{"messages":["one"]}'
    shop.ask_in_a_chain(asker=(None, "203.0.113.7"), body=body, outcomes=outcomes, key=None)
    shop.disturb(disturbance="an escrow cannot be booked", pick=0)
    if moved:
        shop.disturb(disturbance="the clock is set a day forward", pick=0)
    shop.compare()
    shop.holds()
    shop.teardown()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_anything_in_any_order_at_length(record_property: Record) -> None:
    """A thousand shops of forty rules."""
    many = settings(SETTINGS, max_examples=1_000, stateful_step_count=40)
    tally = play(record_property, many)
    assert tally.shops >= 1_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_books_say_the_same(record_property: Record) -> None:
    """Every write and every read, in memory and in SQLite side by side: equal to the last row."""
    some = settings(SETTINGS, max_examples=100, stateful_step_count=40)
    play(record_property, some, TwinShop)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_postgresql_says_the_same(record_property: Record, cluster: Cluster, template: str) -> None:
    """The same beside PostgreSQL, in fewer shops: each has a database of its own."""

    class PostgresShop(TwinShop):
        def open_real(self, path: Path) -> AbstractAsyncContextManager[Books]:
            self.database = cluster.new_database(template)
            return open_postgres_books(self.database, retention=RETENTION)

        def open_reports(self) -> AbstractAsyncContextManager[LedgerReports]:
            return open_postgres_reports(self.database)

    some = settings(SETTINGS, max_examples=25, stateful_step_count=40)
    play(record_property, some, PostgresShop)
