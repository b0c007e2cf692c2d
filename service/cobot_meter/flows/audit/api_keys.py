"""Audit: make every API key anew from its journal and hold its row against that.

The entries say everything that a row has, so nothing is taken from the row. Must not know: sales,
or accounts (`exposure.py` counts what keys have spent). Memory is bounded by the number of keys.
"""

from __future__ import annotations

import dataclasses

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.transitions.api_keys import (
    API_KEY_MADE,
    api_key_as_made,
    api_key_event_of,
    api_key_transition,
    make_api_key,
)
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry


class ApiKeyReplay:
    """Every key, from its journal."""

    def __init__(self, findings: Findings) -> None:
        """No key yet."""
        self.lives: dict[str, ApiKey] = {}
        self._broken: set[str] = set()
        self._findings = findings

    def told(self, entry: JournalEntry) -> None:
        """Apply one entry of the journal to the life that it tells of; a finding if that fails."""
        if entry.subject_id in self._broken:
            return
        try:
            told = self._lived(entry)
        except (ValueError, TypeError, KeyError, IllegalTransition) as fault:
            # What follows in this journal has nothing to stand on.
            self._broken.add(entry.subject_id)
            self._findings.add("event_impossible", entry.subject_id, f"{entry.key}: {fault}")
            return
        if told.api_key is not None:
            self.lives[entry.subject_id] = told.api_key
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {told.key} of {told.caller_id}, move nothing and say {told.facts}",
            sound=(entry.key, entry.caller_id, dict(entry.facts), entry.transfers)
            == (told.key, told.caller_id, dict(told.facts), ()),
        )

    def _lived(self, entry: JournalEntry) -> Transition:
        life = self.lives.get(entry.subject_id)
        if life is not None:
            event = api_key_event_of(entry.kind, entry.facts)
            return api_key_transition(life, event, at_ms=entry.at_ms)
        if entry.kind != API_KEY_MADE:
            message = f"the journal of {entry.subject_id} begins with {entry.kind!r}"
            raise ValueError(message)
        made = api_key_as_made(
            entry.subject_id, str(entry.caller_id), entry.facts, at_ms=entry.at_ms
        )
        return make_api_key(made)

    def compare(self, row: ApiKey) -> None:
        """Hold one row against its life; what stays over in `finish` has no row."""
        if row.key_id in self._broken:
            return
        life = self.lives.pop(row.key_id, None)
        if life is None:
            self._findings.add("row_orphan", row.key_id, "the row has no entry in the journal")
            return
        values = (
            (field.name, getattr(row, field.name), getattr(life, field.name))
            for field in dataclasses.fields(row)
        )
        wrong = [
            f"{name} {found!r} instead of {wanted!r}"
            for name, found, wanted in values
            if found != wanted
        ]
        self._findings.demand(
            "state_differs" if row.state is not life.state else "row_differs",
            row.key_id,
            f"the row says {', '.join(wrong)}, which is how its journal ends",
            sound=not wrong,
        )

    def finish(self) -> None:
        """After the last row: keys that the journal made and no row has."""
        for key_id in sorted(self.lives.keys() - self._broken):
            message = "the journal made it, and there is no row"
            self._findings.add("journal_orphan", key_id, message)
