"""Which Lightning node the books belong to: the one that was adopted last.

Cursors, open invoices and settlements mean something to one node only, so the books remember its
public key and network. Must not know: how a node is asked, or what was open on the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.invoices import NodeIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedNode:
    """The `number`-th node that these books were bound to, counted from 1."""

    number: int
    pubkey: str
    network: str
    alias: str

    def is_of(self, identity: NodeIdentity) -> bool:
        """Whether this node says `identity` of itself; an alias may change."""
        return (self.pubkey, self.network) == (identity.pubkey, identity.network)


def next_adoption(adopted: AdoptedNode | None, identity: NodeIdentity) -> AdoptedNode:
    """`identity` as the node that follows `adopted`."""
    return AdoptedNode(
        number=adopted.number + 1 if adopted else 1,
        pubkey=identity.pubkey,
        network=identity.network,
        alias=identity.alias,
    )
