"""The Lightning node that the settings name: embedded, or a real lnd that was examined first.

Must not know: flows or books. What speaks gRPC is loaded only when there is an lnd to speak to: it
would cost every embedded service 20 MiB.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.snapshot import DevNodeSnapshot
from cobot_meter.adapters.lightning.lnd.access import LndAccess
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.errors import NodeUnavailable, SettingInvalid
from cobot_meter.ports.lightning_node import LightningNode, ReadOnlyNode
from cobot_meter.ports.process import Clock
from cobot_meter.wiring.settings.settings import Settings

if TYPE_CHECKING:
    from cobot_meter.adapters.lightning.lnd.fitness import NodeCheck

LOG = logging.getLogger(__name__)
NODE_FILE = "development-node.log"
NODE_ALIAS = "development"
WARNING = "warning: "


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNode:
    """The node; `embedded` is the same one when it is the development node."""

    node: LightningNode
    embedded: DevNode | None


@contextlib.asynccontextmanager
async def open_node(
    settings: Settings, clock: Clock, *, selling: bool = True
) -> AsyncIterator[OpenNode]:
    """The node. Raises SettingInvalid when it is not fit to sell with, unless nobody sells."""
    access = settings.node.lnd
    if access is not None:
        if selling:
            await refuse_unfit(access)
        async with _lnd(access) as lnd:
            yield OpenNode(node=lnd, embedded=None)
        return
    node = DevNode(
        path=settings.data_dir / NODE_FILE,
        network=settings.node.network,
        alias=NODE_ALIAS,
        clock=clock,
    )
    with contextlib.closing(node):
        yield OpenNode(node=node, embedded=node)


@contextlib.asynccontextmanager
async def open_node_to_look(settings: Settings) -> AsyncIterator[Callable[[], ReadOnlyNode]]:
    """The node for questions only, beside a running service; calling it raises NodeUnavailable."""
    access = settings.node.lnd
    if access is not None:
        async with _lnd(access) as lnd:
            yield lambda: lnd
        return
    path = settings.data_dir / NODE_FILE

    def development_node() -> ReadOnlyNode:
        if not path.exists():
            message = f"{path} is not there"
            raise NodeUnavailable(message)
        return DevNodeSnapshot(path=path, alias=NODE_ALIAS)

    yield development_node


async def examined(access: LndAccess) -> tuple[NodeCheck, ...]:
    """Every check of the node that can be made. Raises nothing."""
    from cobot_meter.adapters.lightning.lnd.fitness import examine

    return await examine(access, now_ms=SystemClock().now_ms())


async def refuse_unfit(access: LndAccess) -> None:
    """Raises SettingInvalid with the first thing that is wrong; warnings go to the log."""
    for check in await examined(access):
        if not check.well:
            raise SettingInvalid(check.detail)
        if check.detail.startswith(WARNING):
            LOG.warning("lnd: %s", check.detail.removeprefix(WARNING))


def _lnd(access: LndAccess) -> contextlib.AbstractAsyncContextManager[LightningNode]:
    from cobot_meter.adapters.lightning.lnd.node import open_lnd_node

    return open_lnd_node(access)
