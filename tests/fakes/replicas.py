"""Processes that a test starts and kills, as the port `Replicas` sees them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Crowd:
    """All processes that share some books: how many were started, and who lives."""

    started: int = 0
    living: set[str] = field(default_factory=set)


class FakeReplicas:
    """The port for one process of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        """Begins to live, under a name that nobody had before."""
        crowd.started += 1
        self.own_id = f"replica-{crowd.started}"
        self._crowd = crowd
        crowd.living.add(self.own_id)

    async def alive(self, replica_id: str) -> bool:
        """See the port."""
        return replica_id in self._crowd.living

    def die(self) -> None:
        """Gone, as the others will find."""
        self._crowd.living.discard(self.own_id)
