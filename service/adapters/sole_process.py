"""The ports `Replicas` and `Duties` where one process has the books to itself.

Must not know: the books; a lock on their file keeps others away.
"""

from __future__ import annotations


class SoleProcess:
    """Everybody else is gone, and every duty is ours."""

    def __init__(self, own_id: str) -> None:
        """`own_id` must be fresh at every start."""
        self._own_id = own_id

    @property
    def own_id(self) -> str:
        """See the port."""
        return self._own_id

    async def alive(self, replica_id: str) -> bool:
        """See the port."""
        return replica_id == self._own_id

    async def mine(self, name: str) -> bool:  # noqa: ARG002 - the port's
        """Always."""
        return True
