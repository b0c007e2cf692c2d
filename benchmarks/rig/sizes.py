"""How much is measured: enough for a figure, or just enough to see that a benchmark runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`rounds` of each side in turn, and how much one round does.

    `thorough`: peers are installed, and the confirmations of every load are waited for.
    """

    rounds: int
    service_cycles: int
    naive_cycles: int
    in_flight: int
    many_in_flight: int
    waves: int
    upstream_ms: int
    waiters_first: int
    waiters: int
    sales: int
    big_journal_rows: int
    invoices: int
    payments: int
    fallback_asks: int
    slow_connections: int
    paid_alone: int
    paid_busy: int
    paid_many: int
    single_streams: int
    dripping_streams: int
    held_first: int
    held_streams: int
    booked_asks: int
    counted_asks: int
    thorough: bool


FULL = Size(
    rounds=5,
    service_cycles=1_000,
    naive_cycles=320,
    in_flight=32,
    many_in_flight=256,
    waves=10,
    upstream_ms=500,
    waiters_first=500,
    waiters=2_000,
    sales=512,
    big_journal_rows=1_000_000,
    invoices=400,
    payments=60,
    fallback_asks=2_000,
    slow_connections=1_000,
    paid_alone=300,
    paid_busy=1_600,
    paid_many=2_560,
    single_streams=12,
    dripping_streams=640,
    held_first=100,
    held_streams=500,
    booked_asks=4_000,
    counted_asks=320,
    thorough=True,
)
SMOKE = Size(
    rounds=1,
    service_cycles=4,
    naive_cycles=4,
    in_flight=2,
    many_in_flight=4,
    waves=2,
    upstream_ms=5,
    waiters_first=4,
    waiters=8,
    sales=4,
    big_journal_rows=2_000,
    invoices=8,
    payments=2,
    fallback_asks=8,
    slow_connections=20,
    paid_alone=4,
    paid_busy=8,
    paid_many=8,
    single_streams=2,
    dripping_streams=4,
    held_first=4,
    held_streams=8,
    booked_asks=40,
    counted_asks=8,
    thorough=False,
)
