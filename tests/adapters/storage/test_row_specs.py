"""A stored field is one line: whatever writes and reads a row follows its spec."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import orjson
import pytest

from cobot_meter.adapters.storage.postgres.row_writer import (
    WRITER_NOW,
    row_writer,
    writer_body,
)
from cobot_meter.adapters.storage.postgres.schema import check_schema, upgrade_postgres
from cobot_meter.adapters.storage.row_spec import (
    Derived,
    Joined,
    Kind,
    RowSpec,
    choice,
    flag,
    key,
    maybe_number,
    maybe_part,
    maybe_words,
    moved_by,
    number,
    part,
    words,
)
from cobot_meter.adapters.storage.sqlite.statements import move_row, open_row, row_by_key
from cobot_meter.adapters.storage.table_specs import (
    ESCROW_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
    VERSIONED_SPECS,
)
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.errors import Broken, SettingInvalid
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.retention import Retention
from tests.architecture.source_tree import python_files, tree
from tests.conftest import COUNTED

RETENTION = Retention()
STORAGE = "service/cobot_meter/adapters/storage"
SPECS = "table_specs.py"
# Indexes, and queries that find rows by a column or tell something of it.
LOOKED_FOR = {"tables.py", "read_queries.py", "keyed_reads.py", "report_queries.py", "reports.py"}
FILES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A part that is always there."""

    name: str
    fragile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A part that comes later."""

    signed_by: str
    weight: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A row of a table that nothing but these tests has."""

    parcel_id: str
    label: Label
    version: int
    state: EscrowState
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedParcel(Parcel):
    """The same with one more field."""

    tracked_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Van:
    """A row of a table of its own."""

    van_id: str
    number: int
    km: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """A row that has one of another table."""

    parcel_id: str
    version: int
    van_id: str
    drive: int
    van: Van


VAN_SPEC = RowSpec("van", Van, fixed=(key("van_id"), number("number"), number("km")))
DRIVEN_SPEC = RowSpec(
    "parcel",
    Driven,
    fixed=(key("parcel_id"), words("van_id")),
    moving=(number("version"), number("drive")),
    derived=(
        Derived(
            column="km",
            kind=Kind.NUMBER,
            says=lambda driven, _: driven.van.km,
            looks_at=frozenset({"van"}),
        ),
    ),
    joined=(
        Joined(attribute="van", spec=VAN_SPEC, on=(("van_id", "van_id"), ("drive", "number"))),
    ),
)
FIXED = (key("parcel_id"), part("label", Label, words("label_name", "name"), flag("fragile")))
MOVING = (
    choice("state", EscrowState),
    number("version"),
    maybe_part("receipt", Receipt, words("signed_by"), maybe_number("weight")),
)
PARCEL_SPEC = RowSpec("parcel", Parcel, fixed=FIXED, moving=MOVING)
TRACKED_SPEC = RowSpec(
    "parcel", TrackedParcel, fixed=FIXED, moving=(*MOVING, maybe_number("tracked_at_ms"))
)
TABLE = """
CREATE TABLE parcel (parcel_id TEXT PRIMARY KEY, label_name TEXT, fragile INTEGER, state TEXT,
version BIGINT, signed_by TEXT, weight BIGINT, opened_sequence BIGINT)
"""
ONE_MORE = "ALTER TABLE parcel ADD COLUMN tracked_at_ms BIGINT"

FIRST = Parcel(
    parcel_id="p_1",
    label=Label(name="to the north", fragile=True),
    version=1,
    state=EscrowState.RUNNING,
)
TRACKED = TrackedParcel(
    parcel_id="p_2",
    label=Label(name="to the south", fragile=False),
    version=1,
    state=EscrowState.RUNNING,
)
CHANGED = ("state", "version", "receipt", "tracked_at_ms")
ARRIVED = replace(
    TRACKED,
    version=2,
    state=EscrowState.RELEASED,
    receipt=Receipt(signed_by="M. Müller", weight=None),
    tracked_at_ms=7,
)


@pytest.fixture
def parcels() -> Iterator[sqlite3.Connection]:
    """A table from before the new field, with a row in it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(TABLE)
        values = PARCEL_SPEC.opening.values(FIRST, RETENTION)
        connection.execute(open_row(PARCEL_SPEC).sql, (*values, 1))
        yield connection


def found(connection: sqlite3.Connection, parcel_id: str) -> TrackedParcel:
    """The row as the longer spec reads it."""
    row = connection.execute(row_by_key(TRACKED_SPEC).sql, (parcel_id,)).fetchone()
    return TRACKED_SPEC.decode(row)


def test_one_more_line_is_written_and_read_in_sqlite(parcels: sqlite3.Connection) -> None:
    """Rows from before read as None there, new ones as they went in and as they moved."""
    parcels.execute(ONE_MORE)
    opened = TRACKED_SPEC.opening.values(TRACKED, RETENTION)
    parcels.execute(open_row(TRACKED_SPEC).sql, (*opened, 2))
    assert found(parcels, "p_1").tracked_at_ms is None
    assert found(parcels, "p_1").label == FIRST.label
    assert found(parcels, "p_2") == TRACKED
    moved = moved_by(TRACKED_SPEC, CHANGED).values(ARRIVED, RETENTION)
    move = move_row(TRACKED_SPEC, CHANGED).sql
    assert parcels.execute(move, (*moved, "p_2", 1)).rowcount == 1
    assert found(parcels, "p_2") == ARRIVED
    assert parcels.execute(move, (*moved, "p_2", 1)).rowcount == 0


async def test_one_more_line_is_written_and_read_in_postgresql(database: str) -> None:
    """The function that is made of the longer spec writes the new column."""
    connection = await asyncpg.connect(database)
    try:
        for statement in (TABLE, row_writer((PARCEL_SPEC,)), ONE_MORE):
            await connection.execute(statement)
        await connection.execute("SELECT write_rows($1::TEXT::JSONB, 1)", told(FIRST))
        await connection.execute(row_writer((TRACKED_SPEC,)))
        for parcel in (TRACKED, ARRIVED):
            await connection.execute("SELECT write_rows($1::TEXT::JSONB, 2)", told(parcel))
        names = ", ".join(TRACKED_SPEC.columns)
        rows = await connection.fetch(f"SELECT {names} FROM parcel ORDER BY 1")  # noqa: S608
        assert [TRACKED_SPEC.decode(tuple(row)).label for row in rows] == [
            FIRST.label,
            TRACKED.label,
        ]
        assert TRACKED_SPEC.decode(tuple(rows[1])) == ARRIVED
        with pytest.raises(asyncpg.PostgresError, match="p_2"):
            await connection.execute("SELECT write_rows($1::TEXT::JSONB, 3)", told(ARRIVED))
    finally:
        await connection.close()


def told(parcel: Parcel) -> str:
    """One row as the function is told of it: when it moves, of what changed alone."""
    spec = TRACKED_SPEC if isinstance(parcel, TrackedParcel) else PARCEL_SPEC
    columns, values = spec.opening if parcel.version == 1 else spec.moved(CHANGED)
    row = dict(zip(columns, values(parcel, RETENTION), strict=True))
    told = {"table": spec.table, "key": parcel.parcel_id, "version": parcel.version, "values": row}
    return orjson.dumps([told]).decode()


async def test_the_function_in_the_database_is_the_one_that_the_specs_make(database: str) -> None:
    """Of another version it is refused at the start, and made anew by an upgrade."""
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval(WRITER_NOW) == writer_body()
        await connection.execute(row_writer((TOPUP_SPEC,)))
        with pytest.raises(SettingInvalid, match="db upgrade"):
            await check_schema(database)
        await upgrade_postgres(database)
        await check_schema(database)
        assert await connection.fetchval(WRITER_NOW) == writer_body()
    finally:
        await connection.close()


def test_a_row_is_read_with_the_one_that_is_joined_to_it(parcels: sqlite3.Connection) -> None:
    """Each is written by its own spec, and what the domain says of both follows either."""
    parcels.execute("CREATE TABLE van (van_id TEXT, number BIGINT, km BIGINT)")
    first, second = (Van(van_id="v_1", number=drive, km=70 * drive) for drive in (1, 2))
    for van in (first, second):
        parcels.execute(open_row(VAN_SPEC).sql, VAN_SPEC.opening.values(van, RETENTION))
    parcels.execute("ALTER TABLE parcel ADD COLUMN van_id TEXT")
    parcels.execute("ALTER TABLE parcel ADD COLUMN drive BIGINT")
    parcels.execute("ALTER TABLE parcel ADD COLUMN km BIGINT")
    driven = Driven(parcel_id="p_3", version=1, van_id="v_1", drive=2, van=second)
    parcels.execute(open_row(DRIVEN_SPEC).sql, (*DRIVEN_SPEC.opening.values(driven, RETENTION), 3))
    row = parcels.execute(row_by_key(DRIVEN_SPEC).sql, ("p_3",)).fetchone()
    assert DRIVEN_SPEC.decode(row) == driven
    assert DRIVEN_SPEC.moved(("van",)).columns == ("km",)
    assert DRIVEN_SPEC.moved(("van",)).values(driven, RETENTION) == [140]


def test_a_column_that_only_falls_is_written_no_sooner_than_it_does() -> None:
    """While it stands, the database has nothing to do for its indexes."""
    spec = RowSpec(
        "parcel",
        Parcel,
        fixed=FIXED,
        moving=MOVING,
        derived=(
            Derived(
                column="on_its_way",
                kind=Kind.FLAG,
                says=lambda parcel, _: int(parcel.version < ARRIVED.version),
                looks_at=frozenset({"version"}),
                falls=True,
            ),
        ),
    )
    on_its_way, arrived = FIRST, replace(FIRST, version=ARRIVED.version)
    assert spec.still_up(on_its_way, RETENTION) == ("on_its_way",)
    assert spec.still_up(arrived, RETENTION) == ()
    assert "on_its_way" not in moved_by(spec, CHANGED[:-1], ("on_its_way",)).columns
    assert "on_its_way" not in move_row(spec, CHANGED[:-1], ("on_its_way",)).sql
    assert moved_by(spec, CHANGED[:-1], ()).columns[-1] == "on_its_way"
    assert moved_by(spec, CHANGED[:-1], ()).values(arrived, RETENTION)[-1] == 0


def test_a_field_without_a_line_is_refused_when_the_spec_is_made() -> None:
    """It would be missing in whatever is read."""
    with pytest.raises(Broken, match="TrackedParcel and its spec differ in tracked_at_ms"):
        RowSpec("parcel", TrackedParcel, fixed=FIXED, moving=MOVING)
    with pytest.raises(Broken, match="Parcel and its spec differ in colour"):
        RowSpec("parcel", Parcel, fixed=FIXED, moving=(*MOVING, maybe_words("colour")))


def test_a_part_whose_first_column_may_be_null_is_refused() -> None:
    """It would be read as absent although it is there."""
    with pytest.raises(Broken, match="weight may be NULL in a receipt that is there"):
        maybe_part("receipt", Receipt, maybe_number("weight"), words("signed_by"))


def test_a_value_checks_itself_when_it_is_read() -> None:
    """What a value refuses when it is made it refuses from a row too."""
    columns = (*ESCROW_SPEC.columns, *RUN_SPEC.columns)
    row: list[Any] = [None] * len(columns)
    place = dict(zip(columns, range(len(row)), strict=True))
    for name, said in (("state", "running"), ("billing_mode", "escrow")):
        row[place[name]] = said
    row[place["rate_usd_micro_per_btc"]] = 0
    with pytest.raises(ValueError, match="rate"):
        ESCROW_SPEC.decode(tuple(row))
    row[place["state"]] = "sold"
    with pytest.raises(ValueError, match="'sold' is not a valid EscrowState"):
        ESCROW_SPEC.decode(tuple(row))


def test_what_writes_and_decodes_rows_names_no_column(
    record_property: Callable[[str, object], None],
) -> None:
    """A field of one table alone is named by its line, and beyond it by indexes and queries only.

    With the field in the domain, the events that set it and a migration, a new stored field that
    nothing looks for is a matter of four files.
    """
    files = [name for name in python_files(STORAGE) if "/migrations/" not in name]
    columns = [column.name for table in METADATA.tables.values() for column in table.c]
    most = 0
    for spec in VERSIONED_SPECS:
        for column in spec.columns:
            if columns.count(column) == 1 and column != spec.key:
                found = {name.rpartition("/")[2] for name in files if names(name, column)}
                assert SPECS in found, column
                assert found - {SPECS} <= LOOKED_FOR, column
                assert len(found) <= FILES_MAX, column
                most = max(most, len(found))
    record_property(COUNTED, f"files of storage that name one stored field: at most {most}")
    assert most > 1  # one that is looked for


def test_a_column_that_is_named_elsewhere_would_be_noticed() -> None:
    """Attributes, keywords and texts are seen, and docstrings are not."""
    queries = f"{STORAGE}/read_queries.py"
    assert names(queries, "opened_sequence")
    assert names(queries, "lookup_at_ms")
    assert not names(queries, "partial")  # its docstring has the word


def names(file: str, column: str) -> bool:
    """Whether the code of a file names the column."""
    word = re.compile(rf"\b{column}\b")
    return any(word.search(name) for name in names_in(file))


def names_in(file: str) -> Iterator[str]:
    """Attributes, keywords and texts of a file, but for its docstrings."""
    nodes = list(ast.walk(tree(file)))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        match node:
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)) if id(node) not in docs:
                yield text
