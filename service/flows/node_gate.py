"""Can the node be sold with just now: asked before anything is spent on a new ask.

The background keeps it, so that no ask waits for the node. What is paid for already does not pass
here: it is released whatever the node says. Must not know: the node, or who asks it.
"""

from __future__ import annotations

from service.domain.errors import NodeUnavailable
from service.flows.release_gate import ReleaseGate

RETRY_S = 5


class NodeGate:
    """Open until somebody finds the node away, or the books behind it.

    Two reasons, each with its own keeper: who opens for one never opens for the other.
    """

    def __init__(self, *, releases: ReleaseGate | None = None) -> None:
        """Open: a service starts with a node that answered. Nothing passes closed `releases`."""
        self._closed = False
        self._held = False
        self._releases = releases or ReleaseGate()

    @property
    def held(self) -> bool:
        """Whether the books have yet to catch up with the node."""
        return self._held

    def hold(self) -> None:
        """The node may have been paid for something that the books do not know."""
        self._held = True

    def let_go(self) -> None:
        """The books know whatever the node was paid."""
        self._held = False

    def open(self) -> None:
        """The node is well."""
        self._closed = False

    def close(self) -> None:
        """The node is away, or is not ours."""
        self._closed = True

    def check(self) -> None:
        """Return while a new sale can be made. Raises NodeUnavailable, ReleasesStopped."""
        self._releases.check()
        if self._closed:
            message = (
                "The Lightning node of this service is away just now, and nothing was run. "
                "Repeat the same request in a moment."
            )
            raise NodeUnavailable(message, retry_after_s=RETRY_S)
        if self._held:
            message = (
                "This service has yet to hold its books against its Lightning node, and nothing "
                "was run. Repeat the same request in a moment."
            )
            raise NodeUnavailable(message, retry_after_s=RETRY_S)
