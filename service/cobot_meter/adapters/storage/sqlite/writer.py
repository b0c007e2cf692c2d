"""The writer thread: one connection, groups of transitions, one commit for each group.

Theory of operation. `apply` leaves a transition with the event loop, which hands over at once
whatever came in the same turn. The thread takes what waits, up to GROUP_MAX, writes it in one
transaction and commits; only then does anybody hear of it, in one call back to the loop. Where one
of them is refused, each is written again inside a savepoint, so that it undoes itself alone. When
the commit fails, nobody in the group is told that anything was written. Nothing is awaited while a
transaction is open, because the thread cannot await.

The thread outlives whatever the disk does: after any error of the database it goes on, with a new
connection where the old one is of no use. Should it die all the same, `died` says so, and the
process has to end: a service that cannot book must not look as if it could.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cobot_meter.adapters.storage.moves import Leg, unbookable
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.sqlite.faults import UNBOOKABLE, fault_of, may_pass
from cobot_meter.adapters.storage.sqlite.files import BooksFiles
from cobot_meter.adapters.storage.sqlite.transitions import TransitionWriter
from cobot_meter.domain.errors import BooksBusy, Broken, CobotMeterError, LedgerUnbalanced
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied

LOG = logging.getLogger(__name__)

GROUP_MAX = 64
WAITING_MAX = 2_048
# With nothing to write for so long, what was shredded is cleared out of the write-ahead log.
IDLE_S = 1.0
_NOTHING_WRITTEN = Applied(repeated=True)
_FINISH = None
# What the disk or the database may do at any statement, and the thread outlives.
AWAY = (sqlite3.Error, MemoryError, OSError)
# What a roll-up raises for legs that the operator accounts cannot take.
NOT_TO_BE_ADDED = (LedgerUnbalanced, *UNBOOKABLE)
# What any one of a group raises that is its own trouble.
REFUSED = (CobotMeterError, *UNBOOKABLE)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A transition and whoever waits for it; without one: can anything be written?"""

    transition: Transition | None
    told: asyncio.Future[Applied]


Outcome = Applied | CobotMeterError
Outcomes = list[tuple[Waiting, Outcome]]


class SqliteWriter:
    """Applies transitions one after the other, durably, many to a commit."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        transitions: Callable[[sqlite3.Cursor], TransitionWriter],
        *,
        files: BooksFiles,
        outage: StorageOutage,
    ) -> None:
        """Connect and start the thread, inside a running event loop. Raises what connecting does.

        `connect` is called again, on the thread, when the connection is of no more use.
        """
        self._connect = connect
        self._make_transitions = transitions
        self._files = files
        self._outage = outage
        self._take(connect())
        self._stale = False
        self._has_room = True
        self._loop = asyncio.get_running_loop()
        self._arrived: list[Waiting] = []
        self._unheard: dict[Waiting, None] = {}
        self._handed_over: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._closing = False
        self._wary = False
        self._shredded = False
        self._uncleared = ""
        self._fault: CobotMeterError = BooksBusy("the ledger was not begun")
        self._ended: asyncio.Future[bool] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="ledger writer", daemon=True)
        self._thread.start()

    async def apply(self, transition: Transition | None) -> Applied:
        """What the books say once this is committed; waits for the group that it is written in.

        Raises BooksBusy at once when it stops or too many wait, and whatever writing it raises.
        """
        if self._closing or self._ended.done():
            raise BooksBusy("The service is stopping: ask the same again in a moment.")
        if len(self._unheard) >= WAITING_MAX:
            message = "The service has more to write than it can: ask the same again in a moment."
            raise BooksBusy(message, retry_after_s=1)
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

    async def died(self) -> None:
        """Wait for the thread's end. Raises Broken when it ended before it was told to."""
        if not await asyncio.shield(self._ended):
            message = (
                "the thread that writes the books has died, and with it the service: the log has "
                "why; start it again, nothing that was acknowledged is lost"
            )
            raise Broken(message)

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

    def _end(self, in_order: bool) -> None:  # noqa: FBT001 - a callback
        """On the loop, last: nobody is left waiting, however the thread ended."""
        stopped = BooksBusy("The service has stopped: ask the same again in a moment.")
        self._tell([(waiting, stopped) for waiting in list(self._unheard)])
        if not self._ended.done():
            self._ended.set_result(in_order)

    # --- on the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        in_order = False
        try:
            backlog: list[Waiting] = []
            while self._wait_for_work(backlog):
                # Who queued up behind a lock would only wait as long again: all hear at once.
                begun = self._begin()
                size = GROUP_MAX if begun else len(backlog)
                group, backlog = backlog[:size], backlog[size:]
                outcomes = self._write_group(group) if begun else _all(group, self._fault)
                self._loop.call_soon_threadsafe(self._tell, outcomes)
            in_order = True
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._loop.call_soon_threadsafe(self._end, in_order)

    def _take(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        self._cursor = connection.cursor()
        self._transitions = self._make_transitions(self._cursor)

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
            if self._stale:
                self._connect_anew()
            self._files.check()
            self._cursor.execute("BEGIN IMMEDIATE")
        except AWAY as error:
            self._fault = self._undo(error)
            return False
        return True

    def _connect_anew(self) -> None:
        """Leave a connection that even its own ROLLBACK did not bring back."""
        if not self._files.same_books:
            raise OSError(errno.ESTALE, f"{self._files.path} is not the file that was opened")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._take(self._connect())
        self._stale = False

    def _write_group(self, group: Sequence[Waiting]) -> Outcomes:
        try:
            outcomes = self._write_each(group)
            self._cursor.execute("COMMIT")
        except AWAY as error:
            return _all(group, self._undo(error))
        if self._outage.lasts_s and self._has_room:
            self._wait_for_locks(self._patience_ms)
            self._outage.over()
        return outcomes

    def _wait_for_locks(self, timeout_ms: int) -> None:
        """A lock that was waited for in vain once is not waited for again until it is free."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")

    def _write_each(self, group: Sequence[Waiting]) -> Outcomes:
        """Mostly nobody is refused, and then savepoints are for nothing.

        After a refusal they are kept until a group had none: nobody can have all the others
        written twice again and again.
        """
        outcomes = None if self._wary else self._write_all(group)
        if outcomes is None:
            outcomes = self._write_apart(group)
            self._wary = not all(isinstance(outcome, Applied) for _, outcome in outcomes)
        return outcomes

    def _write_all(self, group: Sequence[Waiting]) -> Outcomes | None:
        """All as one; None, with nothing written, when one of them is refused."""
        legs: list[Leg] = []
        outcomes: Outcomes = []
        try:
            for one in group:
                transition = one.transition
                written = self._written(transition, legs) if transition else self._prove()
                outcomes.append((one, written))
            self._transitions.roll_up(legs)
        except REFUSED:
            self._begin_again()
            return None
        return outcomes

    def _write_apart(self, group: Sequence[Waiting]) -> Outcomes:
        """Each so that it can be undone alone."""
        legs: list[Leg] = []
        outcomes = [(one, self._write(one.transition, legs, alone=False)) for one in group]
        try:
            self._transitions.roll_up(legs)
        except NOT_TO_BE_ADDED:
            # Whose fault it is shows when each adds to the operator accounts by itself.
            self._begin_again()
            return [(one, self._write(one.transition, [], alone=True)) for one in group]
        return outcomes

    def _begin_again(self) -> None:
        self._cursor.execute("ROLLBACK")
        self._cursor.execute("BEGIN IMMEDIATE")

    def _write(self, transition: Transition | None, legs: list[Leg], *, alone: bool) -> Outcome:
        if transition is None:
            return self._prove()
        legs_before = len(legs)
        self._cursor.execute("SAVEPOINT transition")
        try:
            applied = self._written(transition, legs)
            if alone:
                self._transitions.roll_up(legs)
        except CobotMeterError as refused:
            fault = refused
        except UNBOOKABLE as error:
            fault = unbookable(transition.key, str(error))
        else:
            self._cursor.execute("RELEASE transition")
            return applied
        del legs[legs_before:]
        self._cursor.execute("ROLLBACK TO transition")
        self._cursor.execute("RELEASE transition")
        return fault

    def _written(self, transition: Transition, legs: list[Leg]) -> Applied:
        """Raises ExposureExceeded, Conflict, LedgerUnbalanced and whatever the database raises."""
        applied = self._transitions.write(transition, legs)
        self._shredded = self._shredded or transition.shred
        return applied

    def _prove(self) -> Outcome:
        """Write a page that says nothing, and see that there is room for more."""
        self._cursor.execute("PRAGMA user_version = 1")
        try:
            self._files.check_room()
        except OSError as error:  # what others write in this group may fit all the same
            self._has_room = False
            return self._outage.met(error)
        self._has_room = True
        return _NOTHING_WRITTEN

    def _undo(self, error: BaseException) -> CobotMeterError:
        """Nothing of this is written; what those who wait are told."""
        fault = fault_of(error, where=self._files.path, outage=self._outage)
        self._stale = self._stale or not may_pass(error)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._stale = True
        self._wait_for_locks(0)
        return fault

    def _clear_log(self) -> None:
        """Fold the write-ahead log into the file and empty it, unless somebody is reading it.

        What cannot be done now is tried again: the shredded waits in the log meanwhile.
        """
        try:
            (timeout_ms,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                (busy, _, _) = self._connection.execute(
                    "PRAGMA wal_checkpoint(TRUNCATE)"
                ).fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
        except AWAY as error:
            if not self._uncleared:
                LOG.warning("what was shredded is still in the write-ahead log: %s", error)
            self._uncleared = str(error) or type(error).__name__
            return
        self._uncleared = ""
        self._shredded = bool(busy)


def _all(group: Iterable[Waiting], fault: CobotMeterError) -> Outcomes:
    """One fault for everybody, to each as an error of his own: raising one adds to it."""
    return [(waiting, copy.copy(fault)) for waiting in group]
