"""The ports, each with its adapter, opened in order and closed in the opposite one.

Must not know: flows, HTTP servers, signals or commands.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cobot_meter.adapters.secrets.day_keys import DayKeys
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import DerivedKeys, read_key_file
from cobot_meter.adapters.secrets.sealer import AesSealer
from cobot_meter.adapters.storage.secret_marks import ANOTHER, SecretProof
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.errors import NodeUnavailable, SettingInvalid
from cobot_meter.domain.invoices import NodeIdentity
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.vault import payment_hash
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from cobot_meter.ports.lightning_node import LightningNode, NodeInfo
from cobot_meter.ports.process import Clock, Duties
from cobot_meter.wiring.metrics import Metrics, watch_books
from cobot_meter.wiring.opening.databases import (
    Upkeep,
    Vital,
    have_begun,
    mark_of_books,
    open_database,
)
from cobot_meter.wiring.opening.rates import build_rates
from cobot_meter.wiring.opening.shared import Ports
from cobot_meter.wiring.opening.upstreams import open_client, upstream_on
from cobot_meter.wiring.settings.settings import Settings

KEY_FILE = "secret.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Ports):
    """The ports, each with its adapter, and what goes with them."""

    reports: LedgerReports
    identifiers: KeyedIdentifiers
    keys: DerivedKeys
    metrics: Metrics
    duties: Duties
    upkeep: tuple[Upkeep, ...] = ()
    vital: tuple[Vital, ...] = ()


async def look_at_secret(settings: Settings) -> DerivedKeys | None:
    """The secret beside the books, None while there is neither; nothing is made.

    Raises SettingInvalid when it is missing, cannot be read, or is another one than theirs.
    """
    path = settings.data_dir / KEY_FILE
    if not await have_begun(settings) and not path.exists():
        return None
    keys = read_key_file(path, begun=True)
    if await mark_of_books(settings) not in {None, keys.mark}:
        raise SettingInvalid(ANOTHER)
    return keys


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data directory, readable by its owner only. Raises SettingInvalid."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        message = f"cannot use {data_dir} for data: {fault.strerror}"
        raise SettingInvalid(message) from None


@contextlib.asynccontextmanager
async def open_parts(
    settings: Settings, node: LightningNode, clock: Clock | None = None
) -> AsyncIterator[Parts]:
    """Every part, opened in order and closed in the opposite one. Raises SettingInvalid."""
    keys = read_key_file(settings.data_dir / KEY_FILE, begun=await have_begun(settings))
    clock, retention = clock or SystemClock(), Retention()
    identifiers = KeyedIdentifiers(preimage_key=keys.preimage, clock=clock)
    body_keys = DayKeys(folder=settings.body_keys_dir)
    proof = SecretProof(mark=keys.mark, payment_hash=partial(payment_hash, identifiers))
    database = open_database(
        settings,
        own_id=identifiers.replica_id(),
        proof=proof,
        clock=clock,
        retention=retention,
    )
    async with (
        database as opened,
        open_client(settings.upstream) as client,
        upstream_on(client, settings, clock) as upstream,
    ):
        metrics = Metrics()
        watch_books(metrics.registry, settings, opened.away_s)
        yield Parts(
            books=opened.books,
            reports=opened.reports,
            node=node,
            ours=OurNode(await _who_it_is(node, opened.books)),
            upstream=upstream,
            rates=build_rates(settings.rate, client, clock),
            clock=clock,
            identifiers=identifiers,
            sealer=AesSealer(wrapping_key=keys.wrapping, days=body_keys),
            body_keys=body_keys,
            keys=keys,
            retention=retention,
            metrics=metrics,
            wakes=opened.wakes,
            replicas=opened.replicas,
            duties=opened.duties,
            upkeep=opened.upkeep,
            vital=opened.vital,
        )


async def _who_it_is(node: NodeInfo, books: Books) -> NodeIdentity:
    """As it says, or as the books know it while it is away. Raises NodeUnavailable."""
    try:
        return await node.identity()
    except NodeUnavailable:
        adopted = await books.node()
        if adopted is None:
            raise
        return NodeIdentity(pubkey=adopted.pubkey, network=adopted.network, alias=adopted.alias)
