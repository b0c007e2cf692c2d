"""Every keyed read that requests, driver and sweeps make, compiled once from Core.

Each finds its rows by a key or walks the few rows of a partial index in order, up to a limit. The
reads of reports are in `reports.py`. Must not know: connections, threads or row shapes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    ColumnElement,
    LargeBinary,
    Select,
    Table,
    Text,
    TextClause,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from cobot_meter.adapters.storage.row_spec import RowSpec
from cobot_meter.adapters.storage.sql_text import Statement, compiled, dialect_of, with_legs
from cobot_meter.adapters.storage.table_specs import (
    API_KEY_SPEC,
    ESCROW_SPEC,
    NODE_SPEC,
    RUN_SPEC,
    TOPUP_SPEC,
)
from cobot_meter.adapters.storage.tables import (
    ACCOUNT,
    API_KEY,
    BODY,
    CALLER,
    COUNTERS,
    ESCROW,
    GOES_ON,
    IN_FLIGHT,
    INVOICED,
    JOURNAL,
    KEYED,
    METADATA,
    NODE_ADOPTION,
    OCCUPIED_NAMELESS,
    OPEN_TASK,
    QUARANTINED,
    RUN,
    RUN_GOES_ON,
    SEALED_BY_DAY,
    SEALED_WITH,
    SETTLE_CURSOR,
    SOLD_RUN,
    TALLY,
    TASK,
    TOPUP,
    TOPUP_INVOICED,
    TOPUP_OPEN,
    UNCONFIRMED,
    UNEXPLAINED,
    UNFINISHED,
    selected,
)

ESCAPE = "/"
# Joined so, a sale is read with every run of it and not only with the one that it lives by.
EACH_RUN = ("escrow_id",)
# Ids of a sale's later runs are its own, this, and a number; the next character ends them.
NUMBERED, NUMBERED_END = ".", "/"
# So many accounts of budgets are read with one statement.
BUDGETS_READ = 8
_ZERO: ColumnElement[int] = literal_column("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStatements:
    """The keyed reads; the names of their parameters say what finds the rows."""

    escrow: Statement
    escrow_of_run: Statement
    runs_of: Statement
    topup: Statement
    api_key: Statement
    api_key_of_secret: Statement
    api_keys_of: Statement
    key_spending: Statement
    budget_sheets: Statement
    budget_spending: Statement
    bodies: Statement
    escrow_of_payment: Statement
    topup_of_payment: Statement
    latest_ask: Statement
    asks_from_address: Statement
    open_nameless_ask: Statement
    ask_of_idempotency_key: Statement
    escrow_of_generation: Statement
    open_topup: Statement
    standing: Statement
    open_escrows: Statement
    open_tasks: Statement
    due_escrows: Statement
    due_runs: Statement
    unfinished: Statement
    open_escrow_invoices: Statement
    open_topup_invoices: Statement
    settle_cursor: Statement
    node: Statement
    quiet: Statement
    unexplained: Statement
    tally: Statement
    quarantined_escrows: Statement
    quarantined_topups: Statement
    entry_facts: Statement
    latest_entry: Statement
    next_body_key: Statement


@functools.cache
def read_statements(database: str = "sqlite") -> ReadStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    columns = ESCROW.c
    limited = ("limit",)
    return ReadStatements(
        **{name: sql(clause, *names) for name, (clause, names) in _single_rows().items()},
        budget_sheets=sql(_budget_sheets(), "name_0", "name_1"),
        budget_spending=sql(_budget_spending(), *(f"code_{n}" for n in range(BUDGETS_READ))),
        standing=sql(_standing(), "caller_id", *(f"code_{number}" for number in range(5))),
        open_escrows=sql(
            _limited(_escrows(_is(columns.caller_id), text(INVOICED)), columns.opened_sequence),
            "caller_id", *limited,
        ),
        open_tasks=sql(
            _limited(_escrows(_is(columns.seller_id), text(OPEN_TASK)), columns.opened_sequence),
            "seller_id", *limited,
        ),
        asks_from_address=sql(
            _limited(_escrows(_is(columns.address_key)), columns.opened_sequence.desc()),
            "address_key", *limited,
        ),
        due_escrows=sql(_due(ESCROW), "now_ms", "after_ms", "after", *limited),
        due_runs=sql(_due_runs(), "now_ms", "after_ms", "after", *limited),
        unfinished=sql(
            _limited(_above(ESCROW, UNFINISHED, "escrow_id"), columns.escrow_id), "after", *limited
        ),
        open_escrow_invoices=sql(
            _limited(_above(ESCROW, INVOICED, "escrow_id", "payment_hash"), columns.escrow_id),
            "after", *limited,
        ),
        open_topup_invoices=sql(
            _limited(_above(TOPUP, TOPUP_INVOICED, "topup_id", "payment_hash"), TOPUP.c.topup_id),
            "after", *limited,
        ),
        quiet=with_legs(
            sql(
                _quiet(),
                *("in_flight_at", "awaited_at", "credits", "carried", "comparisons", "baseline"),
                *("unattributed", "unattributed_carried", "unconfirmed_at"),
            ),
            database,
        ),
        unexplained=sql(
            _limited(
                selected(ESCROW_SPEC, by=EACH_RUN).where(
                    text(UNEXPLAINED), text(RUN_GOES_ON), RUN.c.opened_sequence > _ZERO,
                    _is(RUN.c.upstream),
                ),
                RUN.c.opened_sequence,
            ),
            "upstream", *limited,
        ),
        quarantined_escrows=sql(_quarantined(ESCROW_SPEC), "after", *limited),
        quarantined_topups=sql(_quarantined(TOPUP_SPEC), "after", *limited),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subjects:
    """Escrows or top-ups; the last column of each read is the number by which they are ordered.

    `listed` is the condition of those that a page has.
    """

    table: Table
    spec: RowSpec[Any]
    listed: str

    def page(self, *, in_state: bool = False) -> Select[Any]:
        """Those that are listed, below a number."""
        found = self.rows().where(self.table.c.opened_sequence < bindparam("before"))
        if in_state:
            found = found.where(self.table.c.state == bindparam("state"))
        return found.where(text(self.listed))

    def like(self) -> Select[Any]:
        """Those of an id or payment hash of this pattern."""
        name, payment_hash = self.table.primary_key.columns[0], self.table.c.payment_hash
        alike = (name.like(bindparam("id"), escape=ESCAPE),)
        return self.rows().where(or_(*alike, payment_hash.like(bindparam("hash"), escape=ESCAPE)))

    def rows(self) -> Select[Any]:
        """The newest first, up to a limit."""
        sequence = self.table.c.opened_sequence
        newest = selected(self.spec).add_columns(sequence).order_by(sequence.desc())
        newest = newest.limit(bindparam("limit"))
        return newest.offset(literal_column("0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectStatements:
    """Reads of escrows and of top-ups, in this order, for lists that hold both; and of tasks."""

    pages: tuple[Statement, Statement]
    pages_in: tuple[Statement, Statement]
    like: tuple[Statement, Statement]
    tasks: Statement


@functools.cache
def subject_statements(database: str = "sqlite") -> SubjectStatements:
    """Compile them all for `sqlite` or `postgresql`, once in a process."""
    dialect = dialect_of(database)
    escrows = Subjects(ESCROW, ESCROW_SPEC, "payment_request IS NOT NULL")
    topups = Subjects(TOPUP, TOPUP_SPEC, "payment_request <> ''")

    def sql(clause: ClauseElement, *names: str) -> Statement:
        return compiled(clause, *names, dialect=dialect)

    def pages(rows: Subjects) -> Statement:
        return sql(rows.page(), "before", "limit")

    def pages_in(rows: Subjects) -> Statement:
        return sql(rows.page(in_state=True), "before", "state", "limit")

    def like(rows: Subjects) -> Statement:
        return sql(rows.like(), "id", "hash", "limit")

    return SubjectStatements(
        pages=(pages(escrows), pages(topups)),
        pages_in=(pages_in(escrows), pages_in(topups)),
        like=(like(escrows), like(topups)),
        tasks=pages(Subjects(ESCROW, ESCROW_SPEC, TASK)),
    )


def _single_rows() -> dict[str, tuple[Select[Any], tuple[str, ...]]]:
    """The reads that find one row, and those of keys."""
    columns = ESCROW.c
    newest = columns.opened_sequence.desc()
    named = (_is(columns.caller_id), _is(RUN.c.generation_id), text(SOLD_RUN))
    generation = selected(ESCROW_SPEC, by=EACH_RUN).where(*named)
    topup, keys = selected(TOPUP_SPEC), selected(API_KEY_SPEC)
    bodies = select(BODY.c.wrapped_key, BODY.c.request, BODY.c.completion)
    keyed = _escrows(_is(columns.idempotency_key), text(KEYED))
    number = NODE_ADOPTION.c.number
    nodes = selected(NODE_SPEC)
    return {
        "escrow": (_escrows(_is(columns.escrow_id)), ("escrow_id",)),
        "api_keys_of": (
            _limited(keys.where(_is(API_KEY.c.caller_id)), API_KEY.c.opened_sequence.desc()),
            ("caller_id", "limit"),
        ),
        "key_spending": (_key_spending(), ("after", "end", "limit")),
        "api_key": (keys.where(_is(API_KEY.c.key_id)), ("key_id",)),
        "api_key_of_secret": (keys.where(_is(API_KEY.c.secret_sha256)), ("secret_sha256",)),
        "escrow_of_run": (selected(ESCROW_SPEC, by=EACH_RUN).where(_is(RUN.c.run_id)), ("run_id",)),
        "runs_of": (selected(RUN_SPEC).where(_of_sale()), ("run_id", "numbered", "end")),
        "topup": (topup.where(_is(TOPUP.c.topup_id)), ("topup_id",)),
        "bodies": (bodies.where(_is(BODY.c.escrow_id)), ("escrow_id",)),
        "escrow_of_payment": (_escrows(_is(columns.payment_hash)), ("payment_hash",)),
        "topup_of_payment": (topup.where(_is(TOPUP.c.payment_hash)), ("payment_hash",)),
        "latest_ask": (
            _first(_escrows(_is(columns.request_key)).order_by(newest)), ("request_key",),
        ),
        "open_nameless_ask": (
            _escrows(_is(columns.address_key), text(OCCUPIED_NAMELESS)), ("address_key",),
        ),
        "ask_of_idempotency_key": (keyed, ("idempotency_key",)),
        "escrow_of_generation": (_first(generation), ("caller_id", "generation_id")),
        "open_topup": (topup.where(_is(TOPUP.c.address_key), text(TOPUP_OPEN)), ("address_key",)),
        "settle_cursor": (
            select(SETTLE_CURSOR.c.settle_index).where(_is(SETTLE_CURSOR.c.node_pubkey)),
            ("node_pubkey",),
        ),
        "node": (_first(nodes.order_by(number.desc()).where(number > _ZERO)), ()),
        "tally": (select(TALLY.c.entries).where(_is(TALLY.c.name)), ("name",)),
        "entry_facts": (select(JOURNAL.c.facts).where(_is(JOURNAL.c.key)), ("key",)),
        "latest_entry": (
            _first(
                select(JOURNAL.c.at_ms)
                .where(JOURNAL.c.sequence > _ZERO)
                .order_by(JOURNAL.c.sequence.desc())
            ),
            (),
        ),
        "next_body_key": (_next_body_key(SEALED_WITH), ("after",)),
    }  # fmt: skip


def _key_spending() -> Select[Any]:
    """A key's accounts between two codes: the total sorts behind the days, so it comes first."""
    code = ACCOUNT.c.code
    columns = (code, *(ACCOUNT.c[name] for name in COUNTERS))
    between = and_(code > bindparam("after"), code < bindparam("end"))
    return _limited(select(*columns).where(between), code.desc())


def _budget_sheets() -> Select[Any]:
    """The newest word on budgets under each of two names, with how many there are of it."""
    number = cast(TALLY.c.entries - literal_column("1", BigInteger()), Text())
    last = TALLY.c.name + literal_column("'/'", Text()) + number
    named = TALLY.c.name.in_([bindparam("name_0"), bindparam("name_1")])
    newest = TALLY.join(JOURNAL, JOURNAL.c.key == last)
    return select(TALLY.c.name, TALLY.c.entries, JOURNAL.c.facts).select_from(newest).where(named)


def _budget_spending() -> Select[Any]:
    codes: list[BindParameter[str]] = [bindparam(f"code_{n}") for n in range(BUDGETS_READ)]
    columns = (ACCOUNT.c.code, *(ACCOUNT.c[name] for name in COUNTERS))
    return select(*columns).where(ACCOUNT.c.code.in_(codes))


def _standing() -> Select[Any]:
    """Four accounts of a caller, and one of a key, with the operator's word on him beside each."""
    codes: list[BindParameter[str]] = [bindparam(f"code_{number}") for number in range(5)]
    word = ACCOUNT.outerjoin(CALLER, CALLER.c.caller_id == bindparam("caller_id"))
    columns = (ACCOUNT.c.code, *(ACCOUNT.c[name] for name in COUNTERS))
    return (
        select(*columns, CALLER.c.blocked, CALLER.c.cap_msat)
        .select_from(word)
        .where(ACCOUNT.c.code.in_(codes))
    )


def _quiet() -> Select[Any]:
    """One row, and so one instant, in the order in which `KeyedReads.quiet` takes it apart."""
    posted = ACCOUNT.c.credits_posted - ACCOUNT.c.debits_posted
    carried = ACCOUNT.c.credits_posted_carried - ACCOUNT.c.debits_posted_carried
    one: Select[Any] = select(literal_column("1"))
    return select(
        exists(one.where(text(IN_FLIGHT), text(RUN_GOES_ON), _at("in_flight_at"))),
        exists(one.where(RUN.c.lookup_at_ms > _ZERO, text(RUN_GOES_ON), _at("awaited_at"))),
        func.coalesce(select(func.max(JOURNAL.c.sequence)).scalar_subquery(), _ZERO),
        _of(posted, "credits"),
        _of(carried, "carried"),
        func.coalesce(
            select(TALLY.c.entries).where(TALLY.c.name == bindparam("comparisons"))
            .scalar_subquery(),
            _ZERO,
        ),
        select(JOURNAL.c.facts).where(JOURNAL.c.key == bindparam("baseline")).scalar_subquery(),
        _of(posted, "unattributed"),
        _of(carried, "unattributed_carried"),
        func.coalesce(
            select(cast(func.sum(RUN.c.cost_pusd), BigInteger))
            .where(text(UNCONFIRMED), RUN.c.cost_pusd > _ZERO, _at("unconfirmed_at"))
            .scalar_subquery(),
            _ZERO,
        ),
    )  # fmt: skip


def _at(upstream: str) -> ColumnElement[bool]:
    """Of runs at the upstream whose name is passed as `upstream`."""
    return RUN.c.upstream == bindparam(upstream)


def _of(counted: ColumnElement[int], account: str) -> ColumnElement[int]:
    """What stands in the account whose code is passed as `account`; 0 when it has no row."""
    found = select(counted).where(ACCOUNT.c.code == bindparam(account)).scalar_subquery()
    return func.coalesce(found, _ZERO)


def _escrows(*conditions: ColumnElement[bool] | TextClause) -> Select[Any]:
    return selected(ESCROW_SPEC).where(*conditions)


def _quarantined(spec: RowSpec[Any]) -> Select[Any]:
    key = METADATA.tables[spec.table].c[spec.key]
    rows = selected(spec)
    return _limited(rows.where(text(QUARANTINED), key > bindparam("after")), key)


def _due(table: Table) -> Select[Any]:
    """Timers of sales or of runs that have passed, the longest overdue first."""
    columns = table.c
    after = tuple_(bindparam("after_ms"), bindparam("after"))
    overdue = select(columns.due_at_ms, columns.escrow_id).where(
        columns.due_at_ms <= bindparam("now_ms"),
        tuple_(columns.due_at_ms, columns.escrow_id) > after,
    )
    return _limited(overdue, columns.due_at_ms, columns.escrow_id)


def _due_runs() -> Select[Any]:
    """Timers of runs that have passed, the longest overdue first: due time, sale, run.

    The run is named where its sale no longer lives by it, and otherwise ''.
    """
    lives_by = RUN.c.run_id == ESCROW.c.run_id
    told = case((lives_by, literal_column("''")), else_=RUN.c.run_id)
    joined = RUN.join(ESCROW, ESCROW.c.escrow_id == RUN.c.escrow_id)
    return _due(RUN).add_columns(told).select_from(joined)


def _of_sale() -> ColumnElement[bool]:
    """Each by the key of its row: the first is called as its sale is."""
    later = and_(RUN.c.run_id > bindparam("numbered"), RUN.c.run_id < bindparam("end"))
    return or_(_is(RUN.c.run_id), later)


def _above(table: Table, condition: str, key: str, *others: str) -> Select[Any]:
    columns = (table.c[name] for name in (key, *others))
    above = table.c[key] > bindparam("after")
    return select(*columns).where(text(condition), text(GOES_ON), above)


def _is(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column == bindparam(column.key)


def _next_body_key(name: ColumnElement[Any]) -> Select[Any]:
    above = name > bindparam("after", type_=LargeBinary())
    return _first(select(name).where(text(SEALED_BY_DAY), above).order_by(name))


def _first(query: Select[Any]) -> Select[Any]:
    return query.limit(literal_column("1")).offset(_ZERO)


def _limited(query: Select[Any], *order: ColumnElement[Any]) -> Select[Any]:
    return query.order_by(*order).limit(bindparam("limit")).offset(_ZERO)
