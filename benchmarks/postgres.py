"""PostgreSQL's door against a hand-tuned function that writes the same rows, call by call.

Sixteen connections on either side: four books of four workers with 64 callers, and sixteen loops
that each call the function for one transition after the other. The function does what cannot be
left out, and nothing of what the door adds: no guard, no order of locks, no subtransaction, and
every value worked out before the clock starts.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

import asyncpg
import orjson

from benchmarks.ledger_sales import STEPS, Sale, Sales
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.storage.postgres.batches import Batch
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.schema import upgrade_postgres
from cobot_meter.adapters.storage.row_spec import RowSpec
from cobot_meter.adapters.storage.table_specs import ESCROW_SPEC, RUN_SPEC
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.retention import Retention
from tests.postgres.cluster import Cluster, binaries, running_cluster

NAME = "postgres"
CONNECTIONS = 16
BOOKS = 4
CALLERS = 64
TUNED_BAR = 0.5
OPERATOR_BAR = 0.8
HOT_BAR = 0.25
RETENTION = Retention()
COLUMNS = ("", "transitions/s")

TUNED = """
CREATE FUNCTION tuned(j journal, opens BOOLEAN, e escrow, e_moved BOOLEAN, r run, r_moved BOOLEAN,
  t transfer[], opened account[], moved account[], legs operator_leg[], wrapped BYTEA, asked BYTEA,
  answer BYTEA) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE entry BIGINT;
BEGIN
  INSERT INTO journal (key, kind, subject_id, caller_id, at_ms, facts)
    VALUES (j.key, j.kind, j.subject_id, j.caller_id, j.at_ms, j.facts)
    RETURNING sequence INTO entry;
  IF opens THEN
    e.opened_sequence := entry;
    r.opened_sequence := entry;
    INSERT INTO escrow VALUES (e.*);
    INSERT INTO run VALUES (r.*);
    INSERT INTO account SELECT * FROM unnest(opened) ON CONFLICT DO NOTHING;
    INSERT INTO body VALUES (e.escrow_id, wrapped, asked, NULL);
  ELSE
    IF e_moved THEN UPDATE escrow SET {escrow} WHERE escrow_id = e.escrow_id; END IF;
    IF r_moved THEN UPDATE run SET {run} WHERE run_id = r.run_id; END IF;
    IF answer IS NOT NULL THEN
      UPDATE body SET completion = answer, request = NULL WHERE escrow_id = e.escrow_id;
    END IF;
  END IF;
  INSERT INTO transfer SELECT entry, line, kind, debit, credit, commodity, amount, hold_id, held
    FROM unnest(t);
  UPDATE account AS a SET debits_posted = a.debits_posted + m.debits_posted,
    credits_posted = a.credits_posted + m.credits_posted,
    debits_pending = a.debits_pending + m.debits_pending,
    credits_pending = a.credits_pending + m.credits_pending
    FROM (SELECT * FROM unnest(moved) ORDER BY code) AS m WHERE a.code = m.code;
  INSERT INTO operator_leg SELECT * FROM unnest(legs);
END $$
"""
SUMMED = ("debits_", "credits_")
CALL = (
    "SELECT tuned($1::journal, $2, $3::escrow, $4, $5::run, $6, $7::transfer[], $8::account[], "
    "$9::account[], $10::operator_leg[], $11, $12, $13)"
)
Call = tuple[Any, ...]


def measure(size: Size) -> str:
    """The tables of this benchmark, or one line that says why there are none."""
    if binaries() is None:
        return "Left out: PostgreSQL is not installed."
    with running_cluster() as cluster:
        return asyncio.run(_measure(size, cluster))


async def _measure(size: Size, cluster: Cluster) -> str:
    kinds: dict[str, Callable[[Sales], Sales]] = {
        "door, callers and nodes spread": lambda sales: _with(sales, many_nodes=True),
        "door, callers spread, one node": lambda sales: sales,
        "door, one caller": lambda sales: _with(sales, caller_id="c_hot"),
    }
    template = cluster.new_database()
    await upgrade_postgres(template)
    name = template.rpartition("/")[2]
    rates: dict[str, list[float]] = {kind: [] for kind in (*kinds, "tuned function")}
    for number in range(size.rounds + 1):
        for kind, chosen in kinds.items():
            made = chosen(_sales()).make(size.sales)
            per_s = await _door(cluster.new_database(name), made)
            rates[kind] += [per_s] if number else []
        per_s = await _tuned(cluster.new_database(name), _sales().make(size.sales))
        rates["tuned function"] += [per_s] if number else []
    spread_all, one_node, hot = (rates[kind] for kind in kinds)
    found = (
        ("door / tuned function", ratios(one_node, rates["tuned function"]), TUNED_BAR),
        ("one operator account / many", ratios(one_node, spread_all), OPERATOR_BAR),
        ("one caller / many", ratios(hot, one_node), HOT_BAR),
    )
    rows = [(kind, spread(per_s)) for kind, per_s in rates.items()]
    told = "; ".join(f"{what} {spread(each, 2)}" for what, each, _ in found)
    return "\n\n".join(
        (
            table(COLUMNS, rows),
            f"Ratios by round: {told}",
            bars([Bar(what=what, value=median(each), limit=limit, at_most=False)
                  for what, each, limit in found]),
        )
    )  # fmt: skip


def _sales() -> Sales:
    clock = SystemClock()
    return Sales(KeyedIdentifiers(preimage_key=secrets.token_bytes(32), clock=clock), clock)


def _with(sales: Sales, *, caller_id: str | None = None, many_nodes: bool = False) -> Sales:
    sales.caller_id, sales.many_nodes = caller_id, many_nodes
    return sales


async def _door(url: str, sales: Sequence[Sale]) -> float:
    async with AsyncExitStack() as stack:
        opening = (open_postgres_books(url, retention=RETENTION) for _ in range(BOOKS))
        books = [await stack.enter_async_context(each) for each in opening]
        waiting = iter(enumerate(sales))

        async def sell() -> None:
            for number, sale in waiting:
                for transition in sale:
                    await books[number % BOOKS].apply(transition)

        return await _per_s((sell() for _ in range(CALLERS)), len(sales) * STEPS)


async def _tuned(url: str, sales: Sequence[Sale]) -> float:
    pool = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool:
        moving = {
            table: await pool.fetchval(
                "SELECT string_agg(attname || ' = ' || $2 || attname, ', ') FROM pg_attribute "
                "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped "
                "AND attname <> 'opened_sequence'", table, given)
            for table, given in (("escrow", "e."), ("run", "r."))
        }  # fmt: skip
        await pool.execute(TUNED.format(**moving))
        shapes = {
            table: [row[0] for row in await pool.fetch(
                "SELECT attname::TEXT FROM pg_attribute WHERE attrelid = $1::regclass "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum", table)]
            for table in ("journal", "escrow", "run", "transfer", "account", "operator_leg")
        }  # fmt: skip
        made = iter([[_call(transition, shapes) for transition in sale] for sale in sales])

        async def loop() -> None:
            async with pool.acquire() as connection:
                for calls in made:
                    for call in calls:
                        await connection.execute(CALL, *call)

        return await _per_s((loop() for _ in range(CONNECTIONS)), len(sales) * STEPS)


def _call(transition: Any, shapes: dict[str, list[str]]) -> Call:  # noqa: ANN401
    """The values of one call, taken from what the door would send."""
    batch = Batch(RETENTION)
    batch.add(transition)
    document = orjson.loads(batch.text())[0]
    counters = {"dp": "debits_posted", "cp": "credits_posted", "dn": "debits_pending",
                "cn": "credits_pending"}  # fmt: skip

    def shaped(table: str, row: dict[str, Any]) -> tuple[Any, ...]:
        named = {counters.get(name, name): value for name, value in row.items()}
        return tuple(named.get(name, 0 if name.startswith(SUMMED) else None)
                     for name in shapes[table])  # fmt: skip

    bodies, blobs = document.get("bodies", {}), batch.blobs
    kept = [blobs[at - 1] if (at := bodies.get(name)) else None
            for name in ("wrapped_key", "request", "completion")]  # fmt: skip
    return (
        shaped("journal", document),
        transition.opens,
        shaped("escrow", _whole(ESCROW_SPEC, transition.escrow)),
        bool(transition.changed),
        shaped("run", _whole(RUN_SPEC, transition.escrow.run)),
        bool(transition.runs) and not transition.opens,
        [shaped("transfer", {"sequence": 0, **one}) for one in document["transfers"]],
        [shaped("account", one) for one in document["accounts"]],
        [shaped("account", one) for one in document["steps"]],
        [shaped("operator_leg", one) for one in document["legs"]],
        *kept,
    )


def _whole(spec: RowSpec[Any], value: object) -> dict[str, Any]:
    columns, values = spec.opening
    return dict(zip(columns, values(value, RETENTION), strict=True))


async def _per_s(work: Iterable[Awaitable[None]], count: int) -> float:
    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for one in work:
            tasks.create_task(one)  # type: ignore[arg-type]
    return count / (time.perf_counter() - began_s)
