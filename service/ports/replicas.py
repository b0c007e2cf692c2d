"""The processes that share the books: who we are, and whether another one is still at work.

Must not know: what they do, or how they are found.
"""

from __future__ import annotations

from typing import Protocol


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
