"""Facts that nobody will tell again, kept in memory until the books take them.

A finished run has been charged: its answer is worth waiting for, through a fail-over or a full
disk. What the node and the upstream's records say is not kept here, for they can be asked again. At
the bound nothing new is sold, so that what is kept stays bounded; what is under way when the books
go away is bounded by the slots that runs take.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.transitions.transition import Transition

FACTS_MAX = 256
BYTES_MAX = 128 * 1_024 * 1_024


class UnwrittenFacts:
    """How many are kept just now, and how large their bodies are."""

    def __init__(self, *, at_most: int = FACTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        """Nothing is kept."""
        self._at_most = at_most
        self._bytes_max = bytes_max
        self.count = 0
        self.bytes = 0

    def refuse_more(self) -> None:
        """Raises BooksBusy while so much is kept that nothing new may be run."""
        if self.count >= self._at_most or self.bytes >= self._bytes_max:
            message = (
                f"The service has {self.count} finished answers that it could not write down yet, "
                "and runs nothing new before it has: ask the same again in a minute."
            )
            raise BooksBusy(message, retry_after_s=60)

    @contextlib.contextmanager
    def keeping(self, transition: Transition) -> Iterator[None]:
        """One more, until the block ends."""
        bodies = transition.bodies
        size = len(bodies.completion or b"") if bodies is not None else 0
        self.count += 1
        self.bytes += size
        try:
            yield
        finally:
            self.count -= 1
            self.bytes -= size
