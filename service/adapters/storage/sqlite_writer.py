"""The writer thread: one connection, groups of transitions, one commit for each group.

Theory of operation. `apply` leaves a transition with the event loop, which hands over at once
whatever came in the same turn. The thread takes what waits, up to GROUP_MAX, writes each inside a
savepoint of one transaction and commits; only then does anybody hear of it, in one call back to
the loop. A transition that is refused undoes itself alone. When the commit fails, nobody in the
group is told that anything was written. Nothing is awaited while a transaction is open, because
the thread cannot await.

Must not know: which statements a transition takes.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.adapters.storage.account_moves import Leg
from service.adapters.storage.guard_refusals import unbookable
from service.adapters.storage.sqlite_transitions import TransitionWriter
from service.domain.errors import BooksBusy, Broken, CobotMeterError
from service.domain.ledger import Transition
from service.ports.books import Applied

GROUP_MAX = 64
WAITING_MAX = 2_048
# With nothing to write for so long, what was shredded is cleared out of the write-ahead log.
IDLE_S = 1.0
_NOTHING_WRITTEN = Applied(repeated=True)
_FINISH = None
# What the database or the driver raises for values that no row may hold.
UNBOOKABLE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A transition and whoever waits for it; without a transition it only asks for a commit."""

    transition: Transition | None
    told: asyncio.Future[Applied]


Outcome = Applied | CobotMeterError
Outcomes = list[tuple[Waiting, Outcome]]


class SqliteWriter:
    """Applies transitions one after the other, durably, many to a commit."""

    def __init__(self, connection: sqlite3.Connection, transitions: TransitionWriter) -> None:
        """Take over the connection and start the thread, inside a running event loop."""
        self._connection = connection
        self._cursor = connection.cursor()
        self._transitions = transitions
        self._loop = asyncio.get_running_loop()
        self._arrived: list[Waiting] = []
        self._unheard: dict[Waiting, None] = {}
        self._handed_over: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._closing = False
        self._shredded = False
        self._fault = ""
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="ledger writer", daemon=True)
        self._thread.start()

    async def apply(self, transition: Transition | None) -> Applied:
        """What the books say once this is committed. Raises as `Books.apply` does."""
        if self._closing or self._ended.done():
            raise BooksBusy("the ledger is closing and takes nothing more")
        if len(self._unheard) >= WAITING_MAX:
            raise BooksBusy("the ledger has more to write than it can take", retry_after_s=1)
        waiting = Waiting(transition, self._loop.create_future())
        self._unheard[waiting] = None
        self._arrived.append(waiting)
        if len(self._arrived) == 1:
            self._loop.call_soon(self._hand_over)
        return await waiting.told

    async def aclose(self) -> None:
        """Write what waits, then stop; what could not be written has been told so."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._handed_over.put(_FINISH)
        await asyncio.shield(self._ended)
        self._thread.join()

    def _hand_over(self) -> None:
        if self._arrived:
            self._handed_over.put(self._arrived)
            self._arrived = []

    def _tell(self, outcomes: Outcomes) -> None:
        """On the loop: everybody of one group hears."""
        for waiting, outcome in outcomes:
            del self._unheard[waiting]
            if waiting.told.done():
                continue  # whoever asked was cancelled; what was written stays written
            if isinstance(outcome, Applied):
                waiting.told.set_result(outcome)
            else:
                waiting.told.set_exception(outcome)

    def _end(self) -> None:
        """On the loop, last: nobody is left waiting, however the thread ended."""
        unheard = list(self._unheard)
        self._tell([(waiting, BooksBusy("the ledger has stopped")) for waiting in unheard])
        if not self._ended.done():
            self._ended.set_result(None)

    # --- on the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            backlog: list[Waiting] = []
            while self._wait_for_work(backlog):
                # Who queued up behind a lock would only wait as long again: all hear at once.
                size = GROUP_MAX if self._begin() else len(backlog)
                group, backlog = backlog[:size], backlog[size:]
                outcomes = self._write_group(group)
                self._loop.call_soon_threadsafe(self._tell, outcomes)
        finally:
            self._connection.close()
            self._loop.call_soon_threadsafe(self._end)

    def _wait_for_work(self, backlog: list[Waiting]) -> bool:
        """Fill the backlog with what was handed over; False once all is done and none will come."""
        while not backlog:
            try:
                arrived = self._handed_over.get(timeout=IDLE_S if self._shredded else None)
            except queue.Empty:
                self._clear_log()
                continue
            if arrived is _FINISH:
                return False
            backlog += arrived
        while len(backlog) < GROUP_MAX and not self._handed_over.empty():
            arrived = self._handed_over.get()
            if arrived is _FINISH:
                self._handed_over.put(_FINISH)
                break
            backlog += arrived
        return True

    def _begin(self) -> bool:
        """Take the database's write lock, waiting as long as the busy timeout allows."""
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._fault = str(error)
            return False
        return True

    def _write_group(self, group: Sequence[Waiting]) -> Outcomes:
        if not self._connection.in_transaction:
            return self._undone(group, BooksBusy, self._fault)
        try:
            outcomes = self._write_each(group)
            self._cursor.execute("COMMIT")
        except sqlite3.OperationalError as error:
            return self._undone(group, BooksBusy, str(error))
        except (sqlite3.Error, Broken) as error:
            return self._undone(group, Broken, str(error))
        return outcomes

    def _write_each(self, group: Iterable[Waiting]) -> Outcomes:
        operator_legs: list[Leg] = []
        outcomes = [(waiting, self._write(waiting.transition, operator_legs)) for waiting in group]
        self._transitions.roll_up(operator_legs)
        return outcomes

    def _write(self, transition: Transition | None, operator_legs: list[Leg]) -> Outcome:
        if transition is None:
            return _NOTHING_WRITTEN
        legs_before = len(operator_legs)
        self._cursor.execute("SAVEPOINT transition")
        try:
            applied = self._transitions.write(transition, operator_legs)
        except CobotMeterError as refused:
            fault = refused
        except UNBOOKABLE as error:
            fault = unbookable(transition.key, str(error))
        else:
            self._cursor.execute("RELEASE transition")
            self._shredded = self._shredded or transition.shred
            return applied
        del operator_legs[legs_before:]
        self._cursor.execute("ROLLBACK TO transition")
        self._cursor.execute("RELEASE transition")
        return fault

    def _undone(
        self, group: Iterable[Waiting], fault: type[BooksBusy | Broken], why: str
    ) -> Outcomes:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        return [(waiting, fault(f"the ledger could not be written: {why}")) for waiting in group]

    def _clear_log(self) -> None:
        """Fold the write-ahead log into the file and empty it, unless somebody is reading it."""
        (timeout_ms,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute("PRAGMA busy_timeout = 0")
        (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
        self._shredded = bool(busy)
