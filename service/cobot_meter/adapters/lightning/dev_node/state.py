"""The development node's memory: its key, its invoices, and what time does to them, kept in a file.

Live facts and those read back after a restart go through the same `apply`, so a restart cannot
remember anything differently. Must not know: faults, streams or payers.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import coincurve

from cobot_meter.adapters.lightning.dev_node.log import (
    Accepted,
    Added,
    Born,
    Canceled,
    DevNodeLog,
    Fact,
    InvoiceFact,
    Reopened,
    Settled,
)
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK, PREFIX
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.invoices import Invoice, InvoiceState, ListedInvoice
from cobot_meter.ports.process import Clock

PARTS_HOLD_MS = 120_000  # lnd gives an incomplete payment back after 120 s


@dataclass(frozen=True, slots=True, kw_only=True)
class DevInvoice:
    """One invoice and the secret that only its payer may learn."""

    preimage: str
    memo: str
    invoice: Invoice
    accepted_at_ms: int = 0

    @property
    def due_ms(self) -> int | None:
        """When time alone will change the state; None for a final one."""
        if self.invoice.state is InvoiceState.OPEN:
            return self.invoice.expires_at_s * 1000
        if self.invoice.state is InvoiceState.ACCEPTED:
            return self.accepted_at_ms + PARTS_HOLD_MS
        return None

    def due_fact(self, now_ms: int, *, holds_expiry: bool) -> InvoiceFact | None:
        """What the passing of time has done: parts given back, or an open invoice expired."""
        if self.due_ms is None or now_ms < self.due_ms:
            return None
        if self.invoice.state is InvoiceState.ACCEPTED:
            return Reopened(payment_hash=self.invoice.payment_hash)
        return None if holds_expiry else Canceled(payment_hash=self.invoice.payment_hash)


class DevInvoices:
    """All invoices of one node, in memory."""

    def __init__(self, facts: Iterable[InvoiceFact] = ()) -> None:
        """Begin with what the facts say."""
        self._invoices: dict[str, DevInvoice] = {}
        self._hashes: dict[str, str] = {}  # by payment request
        self._settled: list[tuple[int, str]] = []  # ascending by settle index
        self._due: list[tuple[int, str]] = []
        for fact in facts:
            self.apply(fact)

    @property
    def last_settle_index(self) -> int:
        """The highest index given so far; 0 before the first settlement."""
        return self._settled[-1][0] if self._settled else 0

    def get(self, payment_hash: str) -> DevInvoice | None:
        """The invoice with that hash, if we ever made one."""
        return self._invoices.get(payment_hash)

    def hash_of(self, payment_request: str) -> str | None:
        """The payment hash of one that was made here, which therefore needs no reading."""
        return self._hashes.get(payment_request)

    def settled_above(self, settle_index: int) -> list[Invoice]:
        """The settled invoices above the index, in the order in which they settled."""
        start = bisect.bisect_right(self._settled, settle_index, key=lambda entry: entry[0])
        return [self._invoices[payment_hash].invoice for _, payment_hash in self._settled[start:]]

    def made_since(self, since_s: int) -> list[ListedInvoice]:
        """Every invoice that was made at this second or later, in the order of making."""
        return [
            ListedInvoice(invoice=entry.invoice, memo=entry.memo)
            for entry in self._invoices.values()
            if entry.invoice.created_at_s >= since_s
        ]

    def take_due(self, now_ms: int) -> list[str]:
        """Hashes whose time may have come; each is named once for each time it is due."""
        due = []
        while self._due and self._due[0][0] <= now_ms:
            due.append(heapq.heappop(self._due)[1])
        return due

    def apply(self, fact: InvoiceFact) -> DevInvoice:
        """Remember the fact; answer the invoice as it is now."""
        if isinstance(fact, Added):
            changed = _added(fact)
            self._hashes[fact.payment_request] = fact.payment_hash
        else:
            was = self._invoices[fact.payment_hash]
            changed = replace(was, invoice=_changed(was.invoice, fact))
            if isinstance(fact, Accepted):
                changed = replace(changed, accepted_at_ms=fact.at_ms)
            elif isinstance(fact, Settled):
                self._settled.append((fact.settle_index, fact.payment_hash))
        self._invoices[fact.payment_hash] = changed
        if changed.due_ms is not None:
            heapq.heappush(self._due, (changed.due_ms, fact.payment_hash))
        return changed


def _added(fact: Added) -> DevInvoice:
    return DevInvoice(
        preimage=fact.preimage,
        memo=fact.memo,
        invoice=Invoice(
            payment_hash=fact.payment_hash,
            payment_request=fact.payment_request,
            amount_msat=fact.amount_msat,
            state=InvoiceState.OPEN,
            created_at_s=fact.created_at_s,
            expires_at_s=fact.created_at_s + fact.expiry_s,
        ),
    )


def _changed(invoice: Invoice, fact: Accepted | Reopened | Settled | Canceled) -> Invoice:
    match fact:
        case Accepted():
            return replace(invoice, state=InvoiceState.ACCEPTED)
        case Reopened():
            return replace(invoice, state=InvoiceState.OPEN)
        case Canceled():
            return replace(invoice, state=InvoiceState.CANCELED)
        case Settled():
            return replace(
                invoice,
                state=InvoiceState.SETTLED,
                amount_paid_msat=fact.amount_paid_msat,
                settle_index=fact.settle_index,
            )


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
