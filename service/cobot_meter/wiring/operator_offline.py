"""What commands open: reads beside a running service, and the books themselves when none runs.

Must not know: terminals, or what a command shows.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import read_key_file
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.upstream.usage import key_mark
from cobot_meter.flows.audit.ledger import AuditLedger, KeyUsage
from cobot_meter.operator_api.budget_commands import budget_commands
from cobot_meter.operator_api.commands import Command, operator_commands
from cobot_meter.operator_api.upkeep_commands import upkeep_commands
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.lightning_node import ReadOnlyNode
from cobot_meter.ports.upstream import Upstream
from cobot_meter.wiring.build import build_operator_flows
from cobot_meter.wiring.flows import OperatorFlows
from cobot_meter.wiring.opening.databases import refuse_no_books
from cobot_meter.wiring.opening.nodes import open_node
from cobot_meter.wiring.opening.ports import KEY_FILE, open_parts
from cobot_meter.wiring.settings.settings import Settings

SOCKET_FILE = "operator.sock"


def build_audit(
    reports: LedgerReports,
    *,
    node: Callable[[], ReadOnlyNode],
    upstream: Upstream | None,
    settings: Settings | None = None,
) -> AuditLedger:
    """The audit over these books; `node` is that of `open_node_to_look`.

    Without `settings` it does not know which key of ours the upstream speaks of.
    """
    return AuditLedger(
        reports=reports,
        node=node,
        upstream=_usage(upstream, settings) if upstream is not None else None,
        retention=Retention(),
        caller_of_tag=_caller_of_tag(settings) if settings else None,
    )


def _usage(upstream: Upstream, settings: Settings | None) -> KeyUsage:
    """What is said of our key; of an unknown one without `settings`."""
    key = key_mark(settings.upstream.api_key.reveal()) if settings else None
    return KeyUsage(teller=upstream, key=key)


def _caller_of_tag(settings: Settings) -> Callable[[str, str], str | None] | None:
    """Who is named in our invoices; None without the secret, which an audit never makes."""
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        return None
    keys = read_key_file(path)
    return KeyedIdentifiers(preimage_key=keys.preimage, clock=SystemClock()).caller_of_tag


def build_commands(flows: OperatorFlows) -> Mapping[str, Command]:
    """The operator's commands over these flows."""
    commands = operator_commands(
        cancel_invoice=flows.cancel_invoice,
        set_caller=flows.set_caller,
        adopt_node=flows.adopt_node,
        quarantine=flows.quarantine,
        keep_releases=flows.keep_releases,
    )
    return {
        **commands,
        **budget_commands(flows.manage_budgets),
        **upkeep_commands(rebase_usage=flows.rebase_usage, sweep_node=flows.sweep_node),
    }


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
        yield build_commands(build_operator_flows(settings, parts))
