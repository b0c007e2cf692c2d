"""What commands open: reads beside a running service, and the books themselves when none runs.

Must not know: terminals, or what a command shows.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import read_key_file
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.upstream.usage import key_mark
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.operate.adopt_node import AdoptNode
from cobot_meter.flows.operate.operate import CancelInvoice, SetCaller
from cobot_meter.flows.operate.quarantine import Quarantine
from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.flows.record_event import EventRecorder
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.operator_api.commands import Command, operator_commands
from cobot_meter.operator_api.upkeep_commands import upkeep_commands
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.ports.upstream import Upstream
from cobot_meter.wiring.build import (
    build_adoption,
    build_quarantine,
    build_rebasing,
    build_settlements,
    build_sweep,
)
from cobot_meter.wiring.opening.databases import refuse_no_books
from cobot_meter.wiring.opening.nodes import open_node
from cobot_meter.wiring.opening.ports import KEY_FILE, Parts, open_parts
from cobot_meter.wiring.settings.settings import Settings

SOCKET_FILE = "operator.sock"


def build_audit(
    reports: LedgerReports,
    *,
    node: Callable[[], LightningNode],
    upstream: Upstream | None,
    settings: Settings | None = None,
) -> AuditLedger:
    """The audit over these books; `node` is that of `open_node_to_look`.

    Without `settings` it does not know which key of ours the upstream speaks of.
    """
    return AuditLedger(
        reports=reports,
        node=node,
        upstream=upstream,
        retention=Retention(),
        upstream_key=key_mark(settings.upstream.api_key.reveal()) if settings else None,
        caller_of_tag=_caller_of_tag(settings) if settings else None,
    )


def _caller_of_tag(settings: Settings) -> Callable[[str, str], str | None] | None:
    """Who is named in our invoices; None without the secret, which an audit never makes."""
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        return None
    keys = read_key_file(path)
    return KeyedIdentifiers(preimage_key=keys.preimage, clock=SystemClock()).caller_of_tag


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFlows:
    """What the operator's words go to."""

    settlements: SettleInvoice
    adoption: AdoptNode
    rebasing: RebaseUsage
    quarantine: Quarantine
    sweep: SweepNode


def build_commands(
    parts: Parts, recorder: EventRecorder, flows: OperatorFlows
) -> Mapping[str, Command]:
    """The operator's commands over these parts."""
    commands = operator_commands(
        cancellations=CancelInvoice(
            books=parts.books, node=parts.node, settlements=flows.settlements
        ),
        callers=SetCaller(books=parts.books, recorder=recorder, clock=parts.clock),
        adoption=flows.adoption,
        quarantine=flows.quarantine,
        releases=recorder.releases,
    )
    return {**commands, **upkeep_commands(rebasing=flows.rebasing, sweep=flows.sweep)}


@contextlib.asynccontextmanager
async def open_commands(settings: Settings) -> AsyncIterator[Mapping[str, Command]]:
    """The operator's commands while no service runs: this process writes meanwhile.

    Raises SettingInvalid when another process has the books or the node open.
    """
    refuse_no_books(settings)
    async with (
        open_node(settings, SystemClock(), selling=False) as opened,
        open_parts(settings, opened.node) as parts,
    ):
        recorder = EventRecorder(
            books=parts.books,
            wakes=parts.wakes,
            clock=parts.clock,
            retention=parts.retention,
            gate=ReleaseGate(),
            observe=parts.metrics.observe,
        )
        settlements = build_settlements(parts, recorder)
        flows = OperatorFlows(
            settlements=settlements,
            adoption=build_adoption(parts, recorder),
            rebasing=build_rebasing(settings, parts, recorder),
            quarantine=build_quarantine(parts, recorder, settlements),
            sweep=build_sweep(parts, recorder, settlements, NodeGate()),
        )
        yield build_commands(parts, recorder, flows)
