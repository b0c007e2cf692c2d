"""Audit: what waits for the operator is a finding until he has looked at it."""

from __future__ import annotations

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.kinds import RELEASES, RELEASES_OPENED, RELEASES_STOPPED
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry


def check_quarantine(findings: Findings, row: Escrow | Topup) -> None:
    """One row: in quarantine it is named, with what could not be booked."""
    if row.quarantine is None:
        return
    subject = row.escrow_id if isinstance(row, Escrow) else row.topup_id
    message = (
        f"it is in quarantine: {row.quarantine}; `cobot-meter quarantine show {subject}` says more"
    )
    findings.add("quarantined", subject, message)


class ReleasesReplay:
    """The words that stop and open releases, one after the other."""

    def __init__(self, findings: Findings) -> None:
        """None said."""
        self._findings = findings
        self._words = 0
        self._reason = ""

    def told(self, entry: JournalEntry) -> None:
        """Take one entry in: the first stops, the second opens, and so on."""
        kind = RELEASES_OPENED if self._words % 2 else RELEASES_STOPPED
        wanted = (f"{RELEASES}/{self._words}", kind, None, ())
        found = (entry.key, entry.kind, entry.caller_id, entry.transfers)
        message = f"it should be {kind} under the key {wanted[0]}, and move nothing"
        self._findings.demand("entry_mislabelled", entry.key, message, sound=found == wanted)
        self._words += 1
        self._reason = str(entry.facts.get("reason"))

    def finish(self) -> None:
        """After the journal's end: whether they are stopped."""
        if self._words % 2:
            message = (
                f"nothing is sold or released: {self._reason}; when you have looked, "
                "`cobot-meter releases open --reason …`"
            )
            self._findings.add("releases_stopped", RELEASES, message)
