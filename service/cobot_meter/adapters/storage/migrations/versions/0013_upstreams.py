"""A run names its upstream, and each upstream has an account `upstream/<name>/credits` of its own.

Until here there was one account for all, under the name of the gateway. Whose a run was is told by
the model that it was quoted for: a local model's id begins with its upstream's name and a slash,
every other model was the gateway's, for there was no third. What a run booked goes to its upstream,
and what no generation explained to the gateway, whose figure it was found in.

The names are those of then, written out: wiring may change its own. Rows of `transfer` refuse every
change, so the trigger is away for the one statement that names their accounts anew, in the same
transaction. No entry of the journal and no amount changes, and on the way down the accounts are one
again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

GATEWAY, LOCAL = "openrouter", "ollama"
BEFORE = "openrouter/credits"
AT_GATEWAY, AT_LOCAL = f"upstream/{GATEWAY}/credits", f"upstream/{LOCAL}/credits"
COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
# What stands in a counter's column, and what each one carried over beside it counts.
CARRY = 10**18
# SQLite adds up in 63 bits: the billions and the rest are added up apart.
BILLION = 10**9

UPSTREAM_OF_RUN = f"""
CASE WHEN (SELECT substr(escrow.model, 1, {len(LOCAL) + 1}) FROM escrow
  WHERE escrow.escrow_id = run.escrow_id) = '{LOCAL}/' THEN '{LOCAL}' ELSE '{GATEWAY}' END
"""  # noqa: S608 - names of ours
ACCOUNT_OF_ENTRY = f"""
CASE WHEN EXISTS (SELECT 1 FROM journal JOIN run ON run.run_id = journal.subject_id
  WHERE journal.sequence = transfer.sequence AND run.upstream = '{LOCAL}')
  THEN '{AT_LOCAL}' ELSE '{AT_GATEWAY}' END
"""  # noqa: S608 - names of ours
NAMED_ANEW = """
UPDATE transfer SET debit = CASE WHEN debit IN ({old}) THEN {new} ELSE debit END,
  credit = CASE WHEN credit IN ({old}) THEN {new} ELSE credit END
WHERE debit IN ({old}) OR credit IN ({old})
"""
MOVED = f"""
SELECT coalesce(sum(CASE WHEN debit = :code THEN amount / {BILLION} END), 0),
  coalesce(sum(CASE WHEN debit = :code THEN amount % {BILLION} END), 0),
  coalesce(sum(CASE WHEN credit = :code THEN amount / {BILLION} END), 0),
  coalesce(sum(CASE WHEN credit = :code THEN amount % {BILLION} END), 0)
FROM transfer WHERE debit = :code OR credit = :code
"""  # noqa: S608 - a number of ours
NEWER = f"""
SELECT (SELECT count(*) FROM run WHERE upstream <> {UPSTREAM_OF_RUN})
  + (SELECT count(*) FROM account WHERE code LIKE 'upstream/%/credits'
    AND code NOT IN ('{AT_GATEWAY}', '{AT_LOCAL}'))
"""  # noqa: S608 - names of ours
INSERT_ONLY = """
CREATE TRIGGER transfer_refuses_update BEFORE UPDATE ON transfer
BEGIN SELECT RAISE(ABORT, 'transfer is insert-only'); END
"""
Totals = tuple[int, ...]


def upgrade() -> None:
    """The one account is parted by the runs that booked there."""
    op.execute("ALTER TABLE run ADD COLUMN upstream TEXT DEFAULT '' NOT NULL")
    op.execute(f"UPDATE run SET upstream = {UPSTREAM_OF_RUN}")  # noqa: S608 - names of ours
    _name_anew((BEFORE,), ACCOUNT_OF_ENTRY)
    found = _taken(BEFORE)
    local = _moved(AT_LOCAL)
    if found is not None:
        _put(AT_GATEWAY, tuple(all_of - own for all_of, own in zip(found, local, strict=True)))
    if any(local):
        _put(AT_LOCAL, local)


def downgrade() -> None:
    """One account for all. Refuses what it could not part again."""
    newer = op.get_bind().execute(sa.text(NEWER)).scalar()
    if newer:
        message = (
            f"{newer} runs or accounts are of upstreams that no schema before 0013 can tell apart, "
            "so restore a copy from before the upgrade"
        )
        raise ValueError(message)
    _name_anew((AT_GATEWAY, AT_LOCAL), f"'{BEFORE}'")
    found = [one for one in map(_taken, (AT_GATEWAY, AT_LOCAL)) if one is not None]
    if found:
        _put(BEFORE, tuple(map(sum, zip(*found, strict=True))))
    op.drop_column("run", "upstream")


def _name_anew(old: tuple[str, ...], new: str) -> None:
    postgresql = _on_postgresql()
    switched = "ALTER TABLE transfer {} TRIGGER transfer_is_insert_only"
    op.execute(switched.format("DISABLE") if postgresql else "DROP TRIGGER transfer_refuses_update")
    op.execute(NAMED_ANEW.format(old=", ".join(f"'{code}'" for code in old), new=new))
    op.execute(switched.format("ENABLE") if postgresql else INSERT_ONLY)


def _taken(code: str) -> Totals | None:
    """What the account came to, legs that were not rolled up yet included; its row is gone then."""
    bind, asked = op.get_bind(), {"code": code}
    if _on_postgresql():
        bind.execute(sa.text("SELECT added_up_legs(:code)"), asked)
    columns = ", ".join((*COUNTERS, *(f"{name}_carried" for name in COUNTERS)))
    where = "FROM account WHERE code = :code"
    row = bind.execute(sa.text(f"SELECT {columns} {where}"), asked).first()
    if row is None:
        return None
    bind.execute(sa.text(f"DELETE {where}"), asked)
    kept, carried = row[: len(COUNTERS)], row[len(COUNTERS) :]
    return tuple(left + CARRY * over for left, over in zip(kept, carried, strict=True))


def _moved(code: str) -> Totals:
    """What the transfers of an account add up to: costs are never pending."""
    row = op.get_bind().execute(sa.text(MOVED), {"code": code}).one()
    debit, debit_rest, credit, credit_rest = map(int, row)
    return (debit * BILLION + debit_rest, credit * BILLION + credit_rest, 0, 0)


def _put(code: str, totals: Totals) -> None:
    values: dict[str, str | int] = {"code": code}
    for name, total in zip(COUNTERS, totals, strict=True):
        values[f"{name}_carried"], values[name] = divmod(total, CARRY)
    names = ", ".join(values)
    given = ", ".join(f":{name}" for name in values)
    op.get_bind().execute(
        sa.text(
            f"INSERT INTO account (commodity, nature, exact, {names}) "  # noqa: S608 - ours
            f"VALUES ('pusd', 'asset', 0, {given})"
        ),
        values,
    )


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
