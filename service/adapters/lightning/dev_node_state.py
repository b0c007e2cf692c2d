"""The development node's memory: its key, its invoices and what time does to them, kept in a file.

Must not know: faults, streams or payers.
"""

from __future__ import annotations

from pathlib import Path

import coincurve

from service.adapters.lightning.dev_node_invoices import DevInvoice, DevInvoices
from service.adapters.lightning.dev_node_log import Added, Born, DevNodeLog, Fact, InvoiceFact
from service.adapters.lightning.dev_node_signing import NETWORK, PREFIX
from service.domain.errors import SettingInvalid
from service.ports.clock import Clock


def refuse_mainnet(network: str, path: Path) -> None:
    """Raise SettingInvalid when the setting, or where the state lies, is not a play network's."""
    if network != NETWORK:
        raise SettingInvalid(
            f"the development node runs on {NETWORK} only: its money is not real, so it"
            f" refuses to start on {network!r}"
        )
    if "mainnet" in path.parts:
        raise SettingInvalid(f"the development node refuses to keep its state under {path}")


def remembered(facts: list[Fact], path: Path) -> tuple[coincurve.PrivateKey, DevInvoices]:
    """Who the node is and what it knows. Raises SettingInvalid for a state that is not its own."""
    born, others = (facts[0] if facts else None), facts[1:]
    if not isinstance(born, Born):
        raise SettingInvalid(f"{path} is not the state of a development node: move it away")
    refuse_mainnet(born.network, path)
    try:
        key = coincurve.PrivateKey.from_hex(born.key)
    except ValueError as fault:
        raise SettingInvalid(f"{path} holds no usable key: move it away") from fault
    invoices = DevInvoices()
    for fact in others:
        if isinstance(fact, Born):
            raise SettingInvalid(f"{path} is the state of two nodes: move it away")
        if isinstance(fact, Added) and not fact.payment_request.startswith(f"ln{PREFIX}"):
            raise SettingInvalid(f"{path} holds an invoice that is not on {NETWORK}: move it away")
        if not isinstance(fact, Added) and invoices.get(fact.payment_hash) is None:
            raise SettingInvalid(f"{path} tells of an invoice it does not hold: move it away")
        invoices.apply(fact)
    return key, invoices


class DevNodeState:
    """Reads and changes the memory; every change is in the file before it is answered."""

    def __init__(self, *, path: Path, network: str, clock: Clock) -> None:
        """Open the file, or begin one with a fresh key. Raises SettingInvalid."""
        refuse_mainnet(network, path)
        self._clock = clock
        self._log = DevNodeLog(path=path)
        try:
            if not self._log.facts:
                born = Born(network=network, key=coincurve.PrivateKey().to_hex())
                self._log.append(born)
                self._log.facts.append(born)
            self.key, self._invoices = remembered(self._log.facts, path)
        except SettingInvalid:
            self._log.close()
            raise
        self._log.facts.clear()

    @property
    def invoices(self) -> DevInvoices:
        """All of them, as they were when last touched."""
        return self._invoices

    def record(self, fact: InvoiceFact) -> DevInvoice:
        """Write the fact down, then remember it. Raises NodeUnavailable when it cannot."""
        self._log.append(fact)
        return self._invoices.apply(fact)

    def current(self, payment_hash: str, *, holds_expiry: bool) -> DevInvoice | None:
        """The invoice as it is now: what time has done to it meanwhile is recorded first.

        `holds_expiry` leaves expired invoices open.
        """
        entry = self._invoices.get(payment_hash)
        while entry is not None:
            fact = entry.due_fact(self._clock.now_ms(), holds_expiry=holds_expiry)
            if fact is None:
                break
            entry = self.record(fact)
        return entry

    def expire_due(self) -> int:
        """Bring every invoice up to date whose time has come; answers how many were looked at."""
        due = self._invoices.take_due(self._clock.now_ms())
        for payment_hash in due:
            self.current(payment_hash, holds_expiry=False)
        return len(due)

    def close(self) -> None:
        """Let go of the file. A kill instead of this loses nothing."""
        self._log.close()
