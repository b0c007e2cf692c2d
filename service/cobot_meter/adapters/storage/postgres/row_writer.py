"""PostgreSQL's function that writes the rows of a transition, made of their specs.

Each row is JSON: its table, key and version, and the columns that are written with their values.
Version 1 opens it, any other follows the one before. A column that is not among the values keeps
what it holds; those that no event may change are left out of the statement, so that their indexes
know that nothing changed. The plans of its statements are kept: a statement made for each set of
columns would be planned each time, at twice the CPU. The function belongs to the version of the
program and to no revision of the tables: `upgrade_postgres` makes it anew where it is another.

Must not know: connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cobot_meter.adapters.storage.row_spec import OPENED_SEQUENCE, RowSpec
from cobot_meter.adapters.storage.table_specs import VERSIONED_SPECS

WRITER_NOW = "SELECT prosrc FROM pg_proc WHERE oid = to_regproc('write_rows')"


def row_writer(specs: Sequence[RowSpec[Any]] = VERSIONED_SPECS) -> str:
    """What makes the function, in place of the one that may be there."""
    return (
        "CREATE OR REPLACE FUNCTION write_rows(given JSONB, entry BIGINT) RETURNS VOID "
        f"LANGUAGE plpgsql AS $${writer_body(specs)}$$"
    )


def writer_body(specs: Sequence[RowSpec[Any]] = VERSIONED_SPECS) -> str:
    """The text of the function, as the database keeps it."""
    rows = " ".join(f"{spec.table}_row {spec.table};" for spec in specs)
    return f"""
DECLARE one JSONB; before BIGINT; {rows}
BEGIN
  FOR one IN SELECT * FROM jsonb_array_elements(given) LOOP
    before := (one->>'version')::BIGINT - 1;
    CASE one->>'table'{"".join(map(_case, specs))}
    END CASE;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'CM001', MESSAGE = one->>'key';
    END IF;
  END LOOP;
END """  # noqa: S608 - names of ours


def _case(spec: RowSpec[Any]) -> str:
    """How a row of one table is written."""
    table, moving = spec.table, spec.moved(spec.fields).columns
    return f"""
    WHEN '{table}' THEN
      IF before = 0 THEN
        {table}_row := jsonb_populate_record(NULL::{table}, one->'values');
        {table}_row.{OPENED_SEQUENCE} := entry;
        INSERT INTO {table} VALUES ({table}_row.*) ON CONFLICT DO NOTHING;
      ELSE
        UPDATE {table} AS was SET ({", ".join(moving)}) = (
          SELECT {", ".join(f"fresh.{name}" for name in moving)}
          FROM jsonb_populate_record(was, one->'values') AS fresh)
        WHERE was.{spec.key} = one->>'key' AND was.version = before;
      END IF;"""  # noqa: S608 - names of ours
