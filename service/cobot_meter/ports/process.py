"""This process and its fellows: the time, wake-ups, who else is at work, and who leads.

A wake-up may be lost or come twice; whoever is woken reads the row again.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for records; ages and deadlines inside one process go by the other."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment: they never go back, whoever sets the time."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a fake may return at once and move its own time on."""


class Wakes(Protocol):
    """Tells waiters about changed subjects (escrow and top-up ids)."""

    def wake(self, subject_id: str) -> None:
        """Wake everybody who waits for this subject."""

    async def wait(self, subject_id: str, *, timeout_s: float) -> bool:
        """Wait for the next wake-up; False when the time ran out."""


class Replicas(Protocol):
    """Names of processes. Each start of a process is a name of its own."""

    @property
    def own_id(self) -> str:
        """This process, in this run of it."""

    async def alive(self, replica_id: str) -> bool:
        """Whether that process may still be at work on what it began.

        False only when it is certainly gone. Asked about ourselves it says True: what we are at
        work on, nobody knows better than who asks. Raises BooksBusy when it cannot be found out.
        """


class Duties(Protocol):
    """Who does what only one needs to do. That two do it for a while must be harmless."""

    async def mine(self, name: str) -> bool:
        """Whether this process has the duty now; it takes what nobody has. Raises nothing.

        False while it cannot be found out: another process may have it.
        """
