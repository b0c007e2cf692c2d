"""A second look at a development node's state file, for commands that run beside the service.

Must not know: faults or payers. It takes no lock and changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.log import read_facts
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK
from cobot_meter.adapters.lightning.dev_node.state import remembered
from cobot_meter.domain.invoices import Invoice, ListedInvoice, NodeIdentity


class DevNodeSnapshot:
    """A ReadOnlyNode, with what the file said when it was opened."""

    def __init__(self, *, path: Path, alias: str) -> None:
        """Read the file. Raises SettingInvalid when it is not there or not a node's."""
        facts, _ = read_facts(path)
        key, self._invoices = remembered(facts, path)
        pubkey = key.public_key.format().hex()
        self._identity = NodeIdentity(pubkey=pubkey, network=NETWORK, alias=alias)

    async def identity(self) -> NodeIdentity:
        """The node whose file it is."""
        return self._identity

    async def look_up(self, payment_hash: str) -> Invoice | None:
        """The invoice as it was written down; one that expired since may still say OPEN."""
        entry = self._invoices.get(payment_hash)
        return None if entry is None else entry.invoice

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        """As they were written down."""
        for listed in self._invoices.made_since(since_s):
            yield listed
