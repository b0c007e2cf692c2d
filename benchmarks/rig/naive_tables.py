"""The naive stack's rows: ORM classes, and what one session writes for each step.

The same facts as the service keeps: an escrow, and for every step a journal entry with its two
postings. Must not know: HTTP or Lightning.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ForeignKey, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Posting = tuple[str, int]


class Tables(DeclarativeBase):
    """What all tables share."""


class EscrowRow(Tables):
    """One sale."""

    __tablename__ = "escrow"
    escrow_id: Mapped[str] = mapped_column(primary_key=True)
    caller_id: Mapped[str]
    request_sha256: Mapped[str]
    state: Mapped[str]
    generation_id: Mapped[str]
    cost_text: Mapped[str]
    price_msat: Mapped[int]
    amount_msat: Mapped[int]
    payment_hash: Mapped[str] = mapped_column(unique=True)
    payment_request: Mapped[str]
    completion: Mapped[bytes]


class EntryRow(Tables):
    """One step of one sale; its key makes a repeat fail."""

    __tablename__ = "journal"
    sequence: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    escrow_id: Mapped[str] = mapped_column(index=True)


class PostingRow(Tables):
    """One side of an entry: debits above zero, credits below."""

    __tablename__ = "posting"
    posting_id: Mapped[int] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(ForeignKey("journal.sequence"))
    account: Mapped[str] = mapped_column(index=True)
    amount_msat: Mapped[int]


def open_engine(path: str) -> AsyncEngine:
    """An engine on `path` that is as durable as the service's books."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


async def add_entry(
    session: AsyncSession, kind: str, escrow_id: str, postings: Sequence[Posting]
) -> None:
    """Add a step with its postings; committed by whoever has the session."""
    entry = EntryRow(key=f"{escrow_id}/{kind}", kind=kind, escrow_id=escrow_id)
    session.add(entry)
    await session.flush()
    for account, amount_msat in postings:
        row = PostingRow(sequence=entry.sequence, account=account, amount_msat=amount_msat)
        session.add(row)


async def escrow_by(session: AsyncSession, column: str, value: str) -> EscrowRow | None:
    """The one escrow whose `column` has this value."""
    found = await session.execute(select(EscrowRow).where(getattr(EscrowRow, column) == value))
    return found.scalar_one_or_none()
