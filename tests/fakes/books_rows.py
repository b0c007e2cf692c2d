"""Everything that books in memory hold, and what one transition makes of it, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.errors import AlreadyOpen, MovedOn
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.run.record import Run, run_id_of
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import CallerChange, StoredBodies, Transition
from cobot_meter.domain.with_changes import changer_of
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer
from tests.fakes.ledger_model import Ledger

UNCHANGED = CallerChange(blocked=False, cap_msat=None)


_escrow_with, _run_with = changer_of(Escrow), changer_of(Run)


@dataclass(frozen=True)
class BooksRows:
    """The tables. `after` gives the rows with one more transition, or raises."""

    ledger: Ledger = field(default_factory=Ledger)
    journal: Mapping[str, JournalEntry] = field(default_factory=dict)
    escrows: Mapping[str, Escrow] = field(default_factory=dict)
    topups: Mapping[str, Topup] = field(default_factory=dict)
    api_keys: Mapping[str, ApiKey] = field(default_factory=dict)
    bodies: Mapping[str, StoredBodies] = field(default_factory=dict)
    cursors: Mapping[str, int] = field(default_factory=dict)
    callers: Mapping[str, CallerChange] = field(default_factory=dict)
    nodes: tuple[AdoptedNode, ...] = ()

    @property
    def node(self) -> AdoptedNode | None:
        """The one that was adopted last."""
        return self.nodes[-1] if self.nodes else None

    @cached_property
    def views(self) -> tuple[Escrow, ...]:
        """Every run with its sale as it is looked at from there, in the order of the sales."""
        return tuple(
            _escrow_with(escrow, {"run": run, "others": ()}) if escrow.others else escrow
            for escrow in self.escrows.values()
            for run in escrow.runs
        )

    def opened_run(self, run: Run) -> int:
        """The number of the entry that opened a run: its sale's, or that which fell back to it."""
        if run.number == 1 or self.escrows[run.escrow_id].mode is Mode.PANEL:
            return self.opened(run.escrow_id)
        begun = f"{run.run_id}/task_run_begun/"
        of_task = (entry for key, entry in self.journal.items() if key.startswith(begun))
        if entry := next(of_task, None):
            return entry.sequence
        before = run_id_of(run.escrow_id, run.number - 1)
        return self.journal[f"{before}/fell_back"].sequence

    def opened(self, subject_id: str) -> int:
        """The number of the entry that opened an escrow or a top-up; 0 when it is gone."""
        for kind in ("opened", "topup_opened/0", "api_key_made"):
            if entry := self.journal.get(f"{subject_id}/{kind}"):
                return entry.sequence
        return 0

    def after(self, transition: Transition) -> BooksRows:
        """The rows with `transition` in them. Its key must be new.

        Raises Conflict for a version that moved on and an ask that is open already, and what
        the ledger raises.
        """
        self._check_escrow(transition)
        self._check_topup(transition.topup)
        self._check_api_key(transition.api_key)
        ledger = self.ledger.after(transition.accounts, transition.transfers)
        entry = _entry(len(self.journal) + 1, transition)
        rows: dict[str, Any] = {
            "ledger": ledger,
            "journal": {**self.journal, entry.key: entry},
            "bodies": _bodies_after(self.bodies, transition),
        }
        if transition.escrow is not None:
            escrow = self._merged(transition, transition.escrow)
            rows["escrows"] = {**self.escrows, escrow.escrow_id: escrow}
        if transition.topup is not None:
            topup = self._merged_topup(transition, transition.topup)
            rows["topups"] = {**self.topups, topup.topup_id: topup}
        if transition.api_key is not None:
            key = self._merged_api_key(transition, transition.api_key)
            rows["api_keys"] = {**self.api_keys, key.key_id: key}
        if transition.cursor is not None:
            pubkey = transition.cursor.node_pubkey
            index = max(self.cursors.get(pubkey, 0), transition.cursor.settle_index)
            rows["cursors"] = {**self.cursors, pubkey: index}
        if transition.caller is not None and transition.caller_id is not None:
            rows["callers"] = {**self.callers, transition.caller_id: transition.caller}
        if transition.node is not None:
            rows["nodes"] = (*self.nodes, transition.node)
        return replace(self, **rows)

    def _check_escrow(self, transition: Transition) -> None:
        escrow = transition.escrow
        if escrow is None:
            return
        stored = self.escrows.get(escrow.escrow_id)
        if transition.opens:
            _check_version(stored.version if stored else 0, 1, escrow.escrow_id)
            if taken := self._same_ask(escrow):
                message = f"{taken.escrow_id} is open for the same ask"
                raise AlreadyOpen(message)
            return
        if transition.changed:
            _check_version(stored.version if stored else 0, escrow.version, escrow.escrow_id)
        runs = {run.run_id: run.version for run in stored.runs} if stored else {}
        for run, _ in transition.runs:
            _check_version(runs.get(run.run_id, 0), run.version, run.run_id)

    def _merged(self, transition: Transition, escrow: Escrow) -> Escrow:
        """What is stored in the fields that the transition does not name stays."""
        stored = self.escrows.get(escrow.escrow_id)
        if stored is None or transition.opens:
            return escrow
        runs = {run.run_id: run for run in stored.runs}
        for run, changed in transition.runs:
            told = {name: getattr(run, name) for name in changed or ()}
            runs[run.run_id] = run if changed is None else _run_with(runs[run.run_id], told)
        sale = {name: getattr(escrow, name) for name in transition.changed}
        run_id = sale.get("run_id", stored.run_id)
        sale["run"] = runs.pop(run_id)
        return _escrow_with(stored, {**sale, "others": tuple(runs.values())})

    def _merged_topup(self, transition: Transition, topup: Topup) -> Topup:
        """As of an escrow: what the transition does not name stays."""
        stored = self.topups.get(topup.topup_id)
        if stored is None:
            return topup
        moved = {name: getattr(topup, name) for name in transition.topup_changed}
        return replace(stored, **moved)

    def _same_ask(self, escrow: Escrow) -> Escrow | None:
        for other in self.escrows.values():
            if _same_ask(other, escrow):
                return other
        return None

    def _check_topup(self, topup: Topup | None) -> None:
        if topup is None:
            return
        stored = self.topups.get(topup.topup_id)
        _check_version(stored.version if stored else 0, topup.version, topup.topup_id)
        if stored is None and (taken := self.open_topup(topup.address_key)):
            message = f"{taken.topup_id} is open for the same address"
            raise AlreadyOpen(message)

    def _check_api_key(self, key: ApiKey | None) -> None:
        if key is None:
            return
        stored = self.api_keys.get(key.key_id)
        _check_version(stored.version if stored else 0, key.version, key.key_id)
        same = (other for other in self.api_keys.values() if other.key_id != key.key_id)
        if stored is None and any(other.secret_sha256 == key.secret_sha256 for other in same):
            message = f"{key.key_id} has the text of another key"
            raise AlreadyOpen(message)

    def _merged_api_key(self, transition: Transition, key: ApiKey) -> ApiKey:
        """As of a top-up: what the transition does not name stays."""
        stored = self.api_keys.get(key.key_id)
        if stored is None:
            return key
        return replace(stored, **{name: getattr(key, name) for name in transition.api_key_changed})

    def open_topup(self, address_key: str) -> Topup | None:
        """The opened or invoiced top-up of an address."""
        return next(
            (
                topup
                for topup in self.topups.values()
                if topup.address_key == address_key and topup.facts.occupies_place
            ),
            None,
        )


def _check_version(stored: int, told: int, subject_id: str) -> None:
    if told != stored + 1:
        message = f"{subject_id} stands at version {stored}, so {told} cannot follow"
        raise AlreadyOpen(message) if told == 1 else MovedOn(message)


def _same_ask(one: Escrow, other: Escrow) -> bool:
    """An ask opens once while it lives, a key once for ever."""
    key = one.ask.idempotency_key
    if key is not None and key == other.ask.idempotency_key:
        return True
    nameless = one.ask.nameless and other.ask.nameless
    return one.occupies_ask and (
        one.ask.request_key == other.ask.request_key
        or (nameless and one.ask.address_key == other.ask.address_key)
    )


def _entry(sequence: int, transition: Transition) -> JournalEntry:
    return JournalEntry(
        sequence=sequence,
        key=transition.key,
        kind=transition.kind,
        subject_id=transition.subject_id,
        caller_id=transition.caller_id,
        at_ms=transition.at_ms,
        facts=dict(transition.facts),
        transfers=tuple(_written(transfer) for transfer in transition.transfers),
        seller_id=transition.seller_id,
    )


def _written(transfer: Transfer) -> JournalTransfer:
    return JournalTransfer(
        kind=transfer.kind.value,
        debit=transfer.debit.code,
        credit=transfer.credit.code,
        commodity=transfer.debit.commodity.value,
        amount=transfer.amount,
        hold_id=transfer.hold_id,
        held=transfer.held,
    )


def _bodies_after(
    bodies: Mapping[str, StoredBodies], transition: Transition
) -> Mapping[str, StoredBodies]:
    if transition.escrow is None:
        return bodies
    escrow_id = transition.escrow.escrow_id
    if transition.shred:
        return {name: kept for name, kept in bodies.items() if name != escrow_id}
    if transition.bodies is None:
        return bodies
    told = transition.bodies
    stored = bodies.get(escrow_id, StoredBodies())
    request = told.request if told.request is not None else stored.request
    merged = StoredBodies(
        wrapped_key=told.wrapped_key or stored.wrapped_key,
        request=None if told.drop_request else request,
        completion=told.completion if told.completion is not None else stored.completion,
    )
    return {**bodies, escrow_id: merged}
