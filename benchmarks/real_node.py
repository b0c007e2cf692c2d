"""Invoices of a real lnd: through the service against the bare call, and how soon one is released.

Escrows are brought to `costed` while the node is held back; then all of them are driven at once, so
many at a time, and the same node is asked for as many invoices without us.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.rig.mock_upstream import MODEL
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import UNGUARDED, mock_upstream
from benchmarks.rig.tables import Bar, bars, ratios, spread, table
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import Invoice, InvoiceOrder
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.sale.ask_completion import Ask
from cobot_meter.wiring.build import Service, build_service
from cobot_meter.wiring.opening.nodes import open_node
from cobot_meter.wiring.opening.ports import open_parts, prepare_data_dir
from cobot_meter.wiring.settings.settings import Settings, read_settings
from deploy.regtest.binaries import Binaries, built, cache_folder
from deploy.regtest.lnd.connection import lnrpc
from deploy.regtest.network import Network, regtest_network
from deploy.regtest.standing import bake_for_service, service_settings

NAME = "real_node"
CONCURRENCY = (8, 32)
RATE_BAR = 0.85
RELEASE_BAR_MS = 50
PAYING_AT_ONCE = 4
AMOUNT_MSAT = 5_000
MAX_TOKENS = 1_000  # the ceiling is over what the mock upstream charges
MS = 1_000
Work = Callable[[int], Awaitable[object]]


class HeldNode:
    """The node, whose invoices can be held back."""

    def __init__(self, node: Any) -> None:  # noqa: ANN401 - every method of the port
        """Held back at first."""
        self._node = node
        self.held = True

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        """As the node, or held back: a node that is away would shut the gate before the asks."""
        if self.held:
            raise BooksBusy("held back")
        invoice: Invoice = await self._node.add_invoice(order)
        return invoice

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every other method of the port
        return getattr(self._node, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The service without its face, on bob's node."""

    service: Service
    node: HeldNode
    network: Network


def measure(size: Size) -> str:
    """The tables of this benchmark, or one line that says why there are none."""
    binaries = built(cache_folder())
    if binaries is None:
        return "Left out: the nodes are not built (`make nodes`)."
    logging.disable(logging.WARNING)  # every invoice that is held back is worth a line elsewhere
    try:
        return asyncio.run(_measure(size, binaries))
    finally:
        logging.disable(logging.NOTSET)


async def _measure(size: Size, binaries: Binaries) -> str:
    rows, found = [], []
    async with _shop(binaries) as shop:
        for at_once in CONCURRENCY:
            raw, ours = [], []
            for number in range(size.rounds + 1):
                sides = (await _raw(shop, size.invoices, at_once), await _ours(shop, size, at_once))
                if number:  # the first is the warm-up
                    raw.append(sides[0])
                    ours.append(sides[1])
            share = ratios(ours, raw)
            rows.append((f"{at_once} at once", spread(raw), spread(ours), spread(share, 2)))
            what = f"invoices through the service / bare calls, {at_once} at once"
            found.append(Bar(what=what, value=median(share), limit=RATE_BAR, at_most=False))
        released_ms = await _released_ms(shop, size)
    late_ms = sorted(released_ms)[math.ceil(0.95 * len(released_ms)) - 1]
    found.append(
        Bar(what="settled → released, 95 of 100", value=late_ms, limit=RELEASE_BAR_MS, unit="ms")
    )
    columns = ("", "bare AddInvoice/s", "through the service/s", "ratio by round")
    by_round = "; ".join(f"{row[0]} {row[3]}" for row in rows)
    told = f"Settled → released in ms: {spread(released_ms, 1)}, {len(released_ms)} payments."
    return "\n\n".join((table(columns, rows), f"Ratios by round: {by_round}", told, bars(found)))


@asynccontextmanager
async def _shop(binaries: Binaries) -> AsyncIterator[Shop]:
    with mock_upstream() as port, tempfile.TemporaryDirectory() as name:
        async with regtest_network(Path(name) / "nodes", binaries) as network:
            settings = await _settings(network, Path(name) / "data", port)
            prepare_data_dir(settings.data_dir)
            async with open_node(settings, SystemClock()) as opened:
                node = HeldNode(opened.node)
                async with (
                    open_parts(settings, node) as parts,
                    asyncio.TaskGroup() as tasks,
                ):
                    service = build_service(settings, parts, tasks)
                    await service.flows.operating.adopt_node.begin()
                    await service.flows.operating.compare_costs.baseline()
                    await service.flows.catalogue.refresh()
                    yield Shop(service=service, node=node, network=network)


async def _settings(network: Network, data_dir: Path, port: int) -> Settings:
    return read_settings(
        {
            **service_settings(network.bob, await bake_for_service(network.bob)),
            **UNGUARDED,
            "COBOT_METER_DATA_DIR": str(data_dir),
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": f"http://127.0.0.1:{port}/api/v1",
            "OPENROUTER_API_KEY": "not-a-key",
        }
    )


async def _raw(shop: Shop, count: int, at_once: int) -> float:
    """Bare calls a second."""
    async with shop.network.bob.services() as services:

        async def add(_: int) -> None:
            invoice = lnrpc.Invoice(
                value_msat=AMOUNT_MSAT, r_preimage=secrets.token_bytes(32), memo="bare", expiry=600
            )
            await services.lightning.AddInvoice(invoice, timeout=10, metadata=services.metadata)

        await add(0)
        return await _per_s(add, count, at_once)


async def _ours(shop: Shop, size: Size, at_once: int) -> float:
    """Invoices a second for escrows that are costed already."""
    costed = await _costed(shop, size.invoices)
    shop.node.held = False

    async def drive(number: int) -> None:
        escrow = await shop.service.flows.runs.start(costed[number])
        assert escrow.progress is Progress.INVOICED

    return await _per_s(drive, size.invoices, at_once)


async def _costed(shop: Shop, count: int) -> list[str]:
    """Escrow ids that wait for nothing but the node."""
    shop.node.held = True

    async def ask(_: int) -> None:
        try:
            await shop.service.flows.ask_completion.answer(_ask())
        except BooksBusy:
            return
        raise AssertionError("an invoice came from a node that was held back")

    await _per_s(ask, count, max(CONCURRENCY))
    waiting = await shop.service.parts.books.unfinished(after="", limit=count)
    assert len(waiting) == count
    return list(waiting)


def _ask() -> Ask:
    text = secrets.token_hex(16)
    message = {"role": "user", "content": text}
    body = orjson.dumps({"model": MODEL, "messages": [message], "max_tokens": MAX_TOKENS})
    return Ask(
        request=CompletionRequest(
            body=Body(body),
            model=MODEL,
            max_tokens=MAX_TOKENS,
            prompt_bytes=len(body),
            message_count=1,
        ),
        request_sha256=text * 2,
        method="POST",
        path="/v1/chat/completions",
        address="192.0.2.1",
    )


async def _released_ms(shop: Shop, size: Size) -> list[float]:
    """From lnd's own event on a stream beside ours to the completion in the caller's hands."""
    shop.node.held = False
    told_s: dict[str, float] = {}
    released_s: dict[str, float] = {}
    async with asyncio.TaskGroup() as tasks, shop.network.bob.services() as services:
        beside = services.lightning.SubscribeInvoices(
            lnrpc.InvoiceSubscription(), metadata=services.metadata
        )

        async def listen() -> None:
            async for event in beside:
                if event.state == lnrpc.Invoice.SETTLED:
                    told_s[event.r_hash.hex()] = time.perf_counter()

        loops = [tasks.create_task(listen()), tasks.create_task(shop.service.watcher.listen())]

        async def buy(_: int) -> None:
            escrow = (await shop.service.flows.ask_completion.answer(_ask())).escrow
            assert escrow.invoice is not None
            waits = tasks.create_task(_claimed(shop, escrow.escrow_id))
            assert (await shop.network.alice.pay(escrow.invoice.payment_request)).succeeded
            released_s[str(escrow.payment_hash)] = await waits

        await _per_s(buy, size.payments, PAYING_AT_ONCE)
        for loop in loops:
            loop.cancel()
    return [max(released_s[one] - told_s[one], 0) * MS for one in released_s if one in told_s]


async def _claimed(shop: Shop, escrow_id: str) -> float:
    """When a caller who waits for the payment has the completion."""
    parts = shop.service.parts
    while True:
        escrow = await parts.books.escrow(escrow_id)
        if escrow is not None and escrow.progress is Progress.SETTLED:
            _, body = await shop.service.flows.deliver_completion.deliver(escrow)
            assert body
            return time.perf_counter()
        await parts.wakes.wait(escrow_id, timeout_s=5)


async def _per_s(work: Work, count: int, at_once: int) -> float:
    """How many a second, `at_once` at any moment."""
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await work(number)

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(some())
    return count / (time.perf_counter() - began_s)
