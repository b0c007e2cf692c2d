"""Operator accounts for decades, and books that know the secret they were begun with.

What a counter of an operator account cannot hold is carried over into a column beside it, in
units of 1e18: a lifetime's total has no end, and each column stays far from its own. PostgreSQL's
roll-up does so too, account by account where one of them cannot take what is added. SQLite's books
keep a mark of their secret as PostgreSQL's have done since 0004.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"

COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
CARRY = 10**18
FIRST_DOOR = Path(__file__).with_name("0002_postgresql_door.sql")
BETWEEN = re.compile(r"^-- -+$", re.MULTILINE)
MARK = """
CREATE TABLE secret_mark (
  number INTEGER NOT NULL CONSTRAINT ck_secret_mark_number CHECK (number = 1),
  mark TEXT NOT NULL,
  CONSTRAINT pk_secret_mark PRIMARY KEY (number)
)
"""


def upgrade() -> None:
    """What stands in an operator account today is carried over at once."""
    for name in COUNTERS:
        op.execute(
            f"ALTER TABLE account ADD COLUMN {name}_carried BIGINT DEFAULT 0 NOT NULL "
            f"CONSTRAINT ck_account_{name}_carried CHECK ({name}_carried >= 0)"
        )
    sets = (f"{name}_carried = {name} / {CARRY}, {name} = {name} % {CARRY}" for name in COUNTERS)
    op.execute(f"UPDATE account SET {', '.join(sets)} WHERE exact = 0")  # noqa: S608 - names of ours
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION roll_up_legs()")
        for statement in (_view(), _added_up(), ROLL_UP):
            op.get_bind().exec_driver_sql(statement)
    else:
        op.execute(MARK)


def downgrade() -> None:
    """Counters are whole again; where one is larger than a column, the database refuses."""
    postgresql = op.get_context().dialect.name == "postgresql"
    if postgresql:
        op.execute("SELECT roll_up_legs()")
    sets = (f"{name} = {name} + {CARRY} * {name}_carried" for name in COUNTERS)
    op.execute(f"UPDATE account SET {', '.join(sets)} WHERE exact = 0")  # noqa: S608 - names of ours
    if postgresql:
        op.execute("DROP FUNCTION roll_up_legs(), added_up_legs(TEXT)")
        op.execute("DROP VIEW account_now")
    else:
        op.execute("DROP TABLE secret_mark")
    for name in COUNTERS:
        op.execute(f"ALTER TABLE account DROP COLUMN {name}_carried")
    if postgresql:
        for statement in BETWEEN.split(FIRST_DOOR.read_text(encoding="utf-8"))[1:]:
            if "VIEW account_now" in statement or "FUNCTION roll_up_legs" in statement:
                op.get_bind().exec_driver_sql(statement)


def _left(total: str) -> str:
    """Of a sum, what stays in the column: Python's `%`, in numbers without an end."""
    return f"mod(mod({total}, {CARRY}) + {CARRY}, {CARRY})"


def _over(total: str) -> str:
    """Of a sum, how often it is carried over: Python's `//`."""
    return f"(({total} - {_left(total)}) / {CARRY})"


def _view() -> str:
    carried = ", ".join(f"{name}_carried" for name in COUNTERS)
    names = ", ".join(COUNTERS)
    left = ", ".join(f"{_left(f'sum({name})')}::BIGINT" for name in COUNTERS)
    over = ", ".join(
        f"(sum({name}_carried) + {_over(f'sum({name})')})::BIGINT" for name in COUNTERS
    )
    return f"""
CREATE OR REPLACE VIEW account_now AS
SELECT code, commodity, nature, exact, {names}, {carried} FROM account WHERE exact = 1
UNION ALL
SELECT code, min(commodity), min(nature), 0, {left}, {over}
FROM (
  SELECT code, commodity, nature, {names}, {carried} FROM account WHERE exact = 0
  UNION ALL SELECT code, commodity, nature, {names}, 0, 0, 0, 0 FROM operator_leg
) AS legs GROUP BY code
"""  # noqa: S608 - names of ours


def _added_up() -> str:
    """One statement that takes the legs of one account, or of all, and adds them to the rows."""
    sums = ", ".join(f"sum({name}) AS {name}" for name in COUNTERS)
    totals = {name: f"(account.{name} + sums.{name})" for name in COUNTERS}
    sets = ", ".join(
        f"{name} = {_left(total)}::BIGINT, "
        f"{name}_carried = (account.{name}_carried + {_over(total)})::BIGINT"
        for name, total in totals.items()
    )
    return f"""
CREATE FUNCTION added_up_legs(only_code TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  -- What is proposed for insertion must pass the checks by itself, and a sum of legs may be
  -- negative: the row is there first, empty. Legs whose row is not there yet stay.
  INSERT INTO account (code, commodity, nature, exact, debits_posted, credits_posted,
    debits_pending, credits_pending)
  SELECT code, min(commodity), min(nature), 0, 0, 0, 0, 0 FROM operator_leg
  WHERE only_code IS NULL OR code = only_code GROUP BY code
  ORDER BY code ON CONFLICT (code) DO NOTHING;
  WITH gone AS (
    DELETE FROM operator_leg AS leg USING account
    WHERE account.code = leg.code AND (only_code IS NULL OR leg.code = only_code) RETURNING leg.*
  ),
  sums AS (SELECT code, {sums} FROM gone GROUP BY code)
  UPDATE account SET {sets} FROM sums WHERE account.code = sums.code;
END $$
"""  # noqa: S608 - names of ours


ROLL_UP = """
CREATE FUNCTION roll_up_legs() RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE account_code TEXT; faults TEXT := '';
BEGIN
  IF NOT pg_try_advisory_xact_lock(8403) THEN RETURN ''; END IF;
  BEGIN
    PERFORM added_up_legs(NULL);
  EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
    -- One account cannot take what is added to it: the others are rolled up all the same.
    FOR account_code IN SELECT DISTINCT code FROM operator_leg ORDER BY code LOOP
      BEGIN
        PERFORM added_up_legs(account_code);
      EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
        faults := faults || account_code || ': ' || SQLERRM || '; ';
      END;
    END LOOP;
  END;
  WITH gone AS (DELETE FROM journal_leg RETURNING entries)
  INSERT INTO tally SELECT 'journal', sum(entries) FROM gone HAVING count(*) > 0
  ON CONFLICT (name) DO UPDATE SET entries = tally.entries + excluded.entries;
  RETURN faults;
END $$
"""
