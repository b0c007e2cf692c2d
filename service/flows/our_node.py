"""Whose word counts in this process: the node that it sells with, and the books belong to.

Must not know: how the node is asked, or who adopts another.
"""

from __future__ import annotations

from service.domain.invoices import NodeIdentity


class OurNode:
    """Who the node is; changes only when another is adopted."""

    def __init__(self, identity: NodeIdentity) -> None:
        """`identity` is the node's, as it was at start."""
        self.identity = identity
