"""A budget kept in a file: it outlives kills, and all processes that share the file obey it.

What is being paid is written down before the payment, with the invoice that it is for; what becomes
of it is written down when it is known. A process that ends in between leaves its reservation: it
may have been paid, so it stays reserved until the wallet or its owner says what became of it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cobot_pay import wall_clock
from cobot_pay.budget import NO_PURPOSE, Purpose, Recalled, Reservation, Wanted
from cobot_pay.errors import Committed, PaymentUnknown
from cobot_pay.proofs import ORIGINS_MAX, authorization_of
from cobot_pay.spending.book import Book
from cobot_pay.spending.limits import (
    ALL_HOSTS,
    PERIODS,
    BudgetLimits,
    Spent,
    began_s,
    committed,
    micro_usd_of,
)

_KEPT_HOURS_S = 2 * 86_400
_ABANDONED_S = 3_600  # no payment is waited for as long, whatever process has its number now


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One payment as it is kept; `preimage` is empty until it is known paid."""

    payment_hash: str
    origin: str
    state: str
    amount_msat: int
    preimage: str
    reserved_at_s: int
    paid_at_s: int | None


class StoredBudget:
    """Limits by request, hour and day, over all hosts and for each.

    A purchase works with it as with a `Budget` in memory.
    """

    def __init__(
        self,
        path: Path,
        *,
        limits: BudgetLimits | None = None,
        now_s: Callable[[], int] = wall_clock.now_s,
        for_key: bool = False,
    ) -> None:
        """`path` is the file. What a process that is gone was paying there is marked as unknown.

        With `for_key` a key speaks for us: no token does, and what is paid earns none for others.
        """
        self._book = Book(path)
        self._limits = limits or BudgetLimits()
        self._now_s = now_s
        self._for_key = for_key
        with self._book.change() as book:
            _mark_abandoned(book, before_s=now_s() - _ABANDONED_S)

    @property
    def tokens(self) -> Mapping[str, str]:
        """Who we are, by origin: the newest proof of each."""
        if self._for_key:
            return {}
        with self._book.look() as book:
            rows = book.execute(
                "SELECT origin, macaroon, preimage FROM payment WHERE number IN (SELECT"
                " max(number) FROM payment WHERE state = 'paid' AND preimage <> '' AND"
                " macaroon <> '' AND NOT for_key GROUP BY origin) ORDER BY number DESC LIMIT ?",
                (ORIGINS_MAX,),
            ).fetchall()
        return {row["origin"]: authorization_of(row["macaroon"], row["preimage"]) for row in rows}

    def reserve(
        self,
        amount_msat: int,
        *,
        fee_msat: int = 0,
        fee_msat_min: int | None = None,
        purpose: Purpose = NO_PURPOSE,
    ) -> Reservation:
        """Set an amount aside and a fee for paying it, as much of it as the limits leave.

        Raises BudgetExceeded, and PaymentUnknown for an invoice that is in the file already:
        nothing is changed then. ChallengeRefused where a limit in USD lacks an exchange rate.
        """
        wanted = Wanted.of(amount_msat, fee_msat=fee_msat, fee_msat_min=fee_msat_min)
        host = host_of(purpose.origin)
        with self._book.change() as book:
            granted_msat = wanted.granted_fee_msat(
                self._committed(book, host, purpose.micro_usd_per_btc),
                fees_in_flight_msat=_fees_in_flight_msat(book),
            )
            return self._write_down(book, wanted.amount_msat + granted_msat, granted_msat, purpose)

    def doubt(self, reservation: Reservation) -> None:
        """It may have been paid, and nobody is paying it now: it stays reserved as a whole."""
        with self._book.change() as book:
            book.execute(
                "UPDATE payment SET state = 'unknown' WHERE number = ? AND state = 'reserved'",
                (reservation.number,),
            )

    def post(self, reservation: Reservation, amount_msat: int, *, preimage: str = "") -> None:
        """It was paid, at this amount (more than was reserved is booked just the same).

        Raises ValueError for a reservation that was resolved before.
        """
        now_s = self._now_s()
        with self._book.change() as book:
            row = book.execute(
                "UPDATE payment SET state = 'paid', amount_msat = ?, preimage = ?, paid_at_s = ?"
                " WHERE number = ? AND state <> 'paid' RETURNING host, micro_usd_per_btc",
                (amount_msat, preimage, now_s, reservation.number),
            ).fetchone()
            if row is None:
                raise _resolved_before(reservation)
            micro_usd = micro_usd_of(amount_msat, row["micro_usd_per_btc"])
            book.executemany(
                "INSERT INTO spent VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " msat = msat + excluded.msat, micro_usd = micro_usd + excluded.micro_usd",
                [
                    (host, period, began_s(now_s, period), amount_msat, micro_usd)
                    for host in {ALL_HOSTS, row["host"]}
                    for period in PERIODS
                ],
            )
            book.execute(
                "DELETE FROM spent WHERE period = 'hour' AND began_s < ?", (now_s - _KEPT_HOURS_S,)
            )

    def release(self, reservation: Reservation) -> None:
        """Nothing was paid and nothing will be. Raises ValueError when resolved before."""
        with self._book.change() as book:
            gone = book.execute(
                "DELETE FROM payment WHERE number = ? AND state <> 'paid'", (reservation.number,)
            )
            if gone.rowcount != 1:
                raise _resolved_before(reservation)

    def recall(self, payment_hash: str) -> Recalled | None:
        """What the file has of the invoice with this hash (hex); None where it has nothing."""
        with self._book.look() as book:
            row = book.execute(
                "SELECT * FROM payment WHERE payment_hash = ?", (payment_hash,)
            ).fetchone()
        if row is None:
            return None
        return Recalled(
            origin=row["origin"],
            macaroon=row["macaroon"],
            preimage=row["preimage"],
            in_flight=row["state"] == "reserved" and _is_alive(row["process"]),
        )

    def receipts(self, *, at_most: int = 50, unknown_only: bool = False) -> list[Receipt]:
        """At most so many payments, the newest first; with `unknown_only` only the unknown."""
        where = "WHERE state = 'unknown'" if unknown_only else ""
        with self._book.look() as book:
            rows = book.execute(
                f"SELECT * FROM payment {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - ours
                (at_most,),
            ).fetchall()
        names = Receipt.__dataclass_fields__
        return [Receipt(**{name: row[name] for name in names}) for row in rows]

    def settle(self, payment_hash: str, paid: tuple[int, str] | None) -> bool:
        """Say what became of an unknown payment: `paid` is the msat and the preimage, or None.

        False when no such payment is unknown, also because another process said it first.
        """
        with self._book.look() as book:
            row = book.execute(
                "SELECT * FROM payment WHERE payment_hash = ? AND state = 'unknown'",
                (payment_hash,),
            ).fetchone()
        if row is None:
            return False
        reservation = _reservation(row)
        try:
            if paid is None:
                self.release(reservation)
            else:
                self.post(reservation, paid[0], preimage=paid[1])
        except ValueError:
            return False
        return True

    def stands(
        self, host: str = ALL_HOSTS, *, micro_usd_per_btc: int | None = None
    ) -> list[Committed]:
        """How each limit stands, over all hosts or for one; those in USD only with a rate."""
        with self._book.look() as book:
            return self._standing(book, host, micro_usd_per_btc)

    def stands_at(self, origin: str) -> list[Committed]:
        """How each limit over all hosts stands, in USD at the rate at which we last paid there."""
        with self._book.look() as book:
            return self._standing(book, ALL_HOSTS, _last_rate(book, origin))

    def last_rate(self, origin: str) -> int | None:
        """What a bitcoin was worth, in millionths of a USD, when we last paid there."""
        with self._book.look() as book:
            return _last_rate(book, origin)

    @property
    def spent_today_msat(self) -> int:
        """What was paid since the UTC day began, fees included, in msat."""
        with self._book.look() as book:
            return self._spent(book, ALL_HOSTS)["day"].msat

    @property
    def reserved_msat(self) -> int:
        """What is being paid now or may have been paid, fees included, in msat."""
        with self._book.look() as book:
            return self._spent(book, ALL_HOSTS)["day"].in_flight_msat

    def key_at(self, origin: str) -> str:
        """The key that is kept for a seller, empty for none: a secret."""
        with self._book.look() as book:
            row = book.execute("SELECT key FROM account_key WHERE origin = ?", (origin,)).fetchone()
        return str(row["key"]) if row else ""

    def keep_key(self, origin: str, key: str) -> None:
        """Keep this key for the seller in place of the one before; an empty text forgets it."""
        with self._book.change() as book:
            book.execute("DELETE FROM account_key WHERE origin = ?", (origin,))
            if key:
                book.execute("INSERT INTO account_key VALUES (?, ?)", (origin, key))

    @property
    def book(self) -> Book:
        """The file, for what else is kept in it."""
        return self._book

    def _standing(
        self, book: sqlite3.Connection, host: str, micro_usd_per_btc: int | None
    ) -> list[Committed]:
        limits = self._limits.of_host(host) if host else self._limits.all_hosts
        found = committed(
            limits.in_msat if micro_usd_per_btc is None else limits,
            host=host,
            spent=self._spent(book, host),
            micro_usd_per_btc=micro_usd_per_btc,
            now_s=self._now_s(),
        )
        return list(found)

    def _committed(
        self, book: sqlite3.Connection, host: str, micro_usd_per_btc: int | None
    ) -> Iterator[Committed]:
        now_s = self._now_s()
        scopes = [(ALL_HOSTS, self._limits.all_hosts)]
        if host and self._limits.of_host(host).is_set:
            scopes.append((host, self._limits.of_host(host)))
        for scope, limits in scopes:
            yield from committed(
                limits,
                host=scope,
                spent=self._spent(book, scope),
                micro_usd_per_btc=micro_usd_per_btc,
                now_s=now_s,
            )

    def _spent(self, book: sqlite3.Connection, host: str) -> dict[str, Spent]:
        """By period, what was paid in it; what is in flight counts in every one."""
        now_s = self._now_s()
        flying = book.execute(
            "SELECT amount_msat, micro_usd_per_btc FROM payment WHERE state <> 'paid'"
            " AND (host = ? OR ? = '')",
            (host, host),
        ).fetchall()
        flying_msat = sum(row["amount_msat"] for row in flying)
        flying_micro_usd = sum(micro_usd_of(*row) for row in flying)
        found = {}
        for period in PERIODS:
            row = book.execute(
                "SELECT msat, micro_usd FROM spent WHERE host = ? AND period = ? AND began_s = ?",
                (host, period, began_s(now_s, period)),
            ).fetchone()
            found[period] = Spent(
                msat=row["msat"] if row else 0,
                micro_usd=row["micro_usd"] if row else 0,
                in_flight_msat=flying_msat,
                in_flight_micro_usd=flying_micro_usd,
            )
        return found

    def _write_down(
        self, book: sqlite3.Connection, amount_msat: int, fee_msat: int, purpose: Purpose
    ) -> Reservation:
        try:
            added = book.execute(
                "INSERT INTO payment (payment_hash, host, origin, macaroon, preimage, state,"
                " amount_msat, fee_msat, micro_usd_per_btc, for_key, process, reserved_at_s)"
                " VALUES (?, ?, ?, ?, '', 'reserved', ?, ?, ?, ?, ?, ?)",
                (
                    purpose.payment_hash,
                    host_of(purpose.origin),
                    purpose.origin,
                    purpose.macaroon,
                    amount_msat,
                    fee_msat,
                    purpose.micro_usd_per_btc,
                    self._for_key,
                    os.getpid(),
                    self._now_s(),
                ),
            )
        except sqlite3.IntegrityError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise
            message = (
                f"the invoice {purpose.payment_hash} is being paid or was paid by another process "
                "that shares this budget; it is not paid again"
            )
            raise PaymentUnknown(message, payment_hash=purpose.payment_hash) from fault
        number = int(added.lastrowid or 0)
        return Reservation(number=number, amount_msat=amount_msat, fee_msat=fee_msat)


def host_of(origin: str) -> str:
    """The host of an origin as limits name it, with its port where one is written."""
    return urlsplit(origin).netloc.rstrip(":")


def _reservation(row: Any) -> Reservation:  # noqa: ANN401 - a row of SQLite has no type of ours
    return Reservation(
        number=row["number"], amount_msat=row["amount_msat"], fee_msat=row["fee_msat"]
    )


def _last_rate(book: sqlite3.Connection, origin: str) -> int | None:
    row = book.execute(
        "SELECT micro_usd_per_btc FROM payment WHERE origin = ? AND state = 'paid'"
        " ORDER BY number DESC LIMIT 1",
        (origin,),
    ).fetchone()
    return None if row is None else row["micro_usd_per_btc"]


def _fees_in_flight_msat(book: sqlite3.Connection) -> int:
    """The fees set aside for payments that are being made now: much of it may come back."""
    (fees_msat,) = book.execute(
        "SELECT coalesce(sum(fee_msat), 0) FROM payment WHERE state = 'reserved'"
    ).fetchone()
    return int(fees_msat)


def _mark_abandoned(book: sqlite3.Connection, *, before_s: int) -> None:
    """Mark as unknown what a process that is gone was paying, and what began before `before_s`."""
    book.execute(
        "UPDATE payment SET state = 'unknown' WHERE state = 'reserved' AND reserved_at_s < ?",
        (before_s,),
    )
    rows = book.execute("SELECT DISTINCT process FROM payment WHERE state = 'reserved'").fetchall()
    for row in rows:
        if not _is_alive(row["process"]):
            book.execute(
                "UPDATE payment SET state = 'unknown' WHERE state = 'reserved' AND process = ?",
                (row["process"],),
            )


def _is_alive(process: int) -> bool:
    """Whether a process of this number runs; where that is another one by now, others wait.

    On Windows asking would end the process: there it counts as alive, and others wait.
    """
    if sys.platform == "win32":
        return True
    with suppress(ProcessLookupError):
        try:
            os.kill(process, 0)
        except PermissionError:
            return True
        return True
    return False


def _resolved_before(reservation: Reservation) -> ValueError:
    return ValueError(f"the reservation {reservation.number} was resolved before")
