"""The running service: background loops in one task group, listeners, and an orderly stop.

Must not know: commands or terminals. `serve` is what `cobot-meter serve` runs, `running_service`
what a demonstration or a test runs in its own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal

from service.adapters.lightning.dev_node_face import dev_node_face
from service.adapters.system_clock import SystemClock
from service.background.operator_socket import OperatorSocket
from service.domain.errors import SettingInvalid
from service.ports.clock import Clock
from service.simulator.app import build_simulator
from service.wiring.addresses import Address
from service.wiring.build import Service, build_quarantine, build_service
from service.wiring.face import build_service_face
from service.wiring.listening import AsgiApp, listening
from service.wiring.loops import Loops
from service.wiring.nodes import OpenNode, open_node
from service.wiring.operator_doors import SOCKET_FILE, build_commands
from service.wiring.parts import SIMULATOR_FILE, open_parts, prepare_data_dir
from service.wiring.settings import Settings

SIMULATOR_CREDIT_USD = Decimal(25)
SIMULATOR_SEED = 7
# New objects, then young and middle collections, before the garbage collector looks further.
COLLECTED_AFTER = (10_000, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service that serves, and where its parts listen (None: not embedded)."""

    service: Service
    face: Address
    node_face: Address | None
    simulator: Address | None

    @property
    def play_wallet_url(self) -> str:
        """Where a wallet with play money is. Raises SettingInvalid for a real node."""
        if self.node_face is None:
            message = "there is play money with the development node only"
            raise SettingInvalid(message)
        return self.node_face.url


@contextlib.asynccontextmanager
async def running_service(
    settings: Settings, *, clock: Clock | None = None
) -> AsyncIterator[Running]:
    """Everything up: parts, background, listeners. Leaving drains, then closes in order.

    `clock` is the machine's unless a test brings one that it can set. Raises SettingInvalid when a
    setting does not fit this machine.
    """
    prepare_data_dir(settings.data_dir)
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        simulator: Address | None = None
        if settings.upstream.simulated:
            simulator = await stack.enter_async_context(
                listening(simulator_app(settings, clock), settings.upstream.simulator_listen)
            )
            settings = settings.with_simulator_at(simulator)
        node = await stack.enter_async_context(open_node(settings, clock))
        service = await stack.enter_async_context(_background(settings, node, clock))
        node_face: Address | None = None
        if node.embedded is not None:
            node_face = await stack.enter_async_context(
                listening(dev_node_face(node.embedded), settings.node.listen)
            )
        draining = asyncio.Event()
        app = build_service_face(service, is_draining=draining.is_set)
        face = await stack.enter_async_context(listening(app, settings.face.listen))
        try:
            yield Running(service=service, face=face, node_face=node_face, simulator=simulator)
        finally:
            draining.set()
            await service.runner.drain(settings.run.drain_s)


async def serve(settings: Settings, *, started: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. `started` is told once all is up."""
    stop = _stop_signal()
    async with running_service(settings) as running:
        _spare_the_collector()
        started(running)
        await stop.wait()


async def serve_simulator(settings: Settings, *, started: Callable[[Address], None]) -> None:
    """Serve the simulator alone until SIGTERM or SIGINT. Raises SettingInvalid."""
    prepare_data_dir(settings.data_dir)
    stop = _stop_signal()
    app = simulator_app(settings, SystemClock())
    async with listening(app, settings.upstream.simulator_listen) as address:
        started(address)
        await stop.wait()


def _spare_the_collector() -> None:
    """What stands after the start stays: walking it for garbage took a sixth of a sale's CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextlib.asynccontextmanager
async def _background(settings: Settings, node: OpenNode, clock: Clock) -> AsyncIterator[Service]:
    """The parts and every loop, in the one task group of the process."""
    async with open_parts(settings, node.node, clock) as parts, asyncio.TaskGroup() as tasks:
        service = build_service(settings, parts, tasks)
        await service.adoption.begin()
        service.steady.begin(await parts.books.latest_at_ms())
        await service.alarms.look()  # before the first ask: what was stopped stays stopped
        door = OperatorSocket(
            path=settings.data_dir / SOCKET_FILE,
            commands=build_commands(
                parts,
                service.recorder,
                service.settlements,
                service.adoption,
                build_quarantine(parts, service.recorder, service.settlements, service.runner),
            ),
            tasks=tasks,
            supervisor=service.supervisor,
        )
        loops = [
            tasks.create_task(loop, name=name) for name, loop in Loops(service).named(node.embedded)
        ]
        loops.append(tasks.create_task(service.gate.end(), name="books that are lost"))
        try:
            await service.recover.unfinished()
            async with door.answering():
                yield service
        finally:
            await service.runner.drain(settings.run.drain_s)
            for loop in loops:
                loop.cancel()


def simulator_app(settings: Settings, clock: Clock) -> AsgiApp:
    """The simulated upstream, with its book in the data directory."""
    return build_simulator(
        seed=SIMULATOR_SEED,
        credit_usd=SIMULATOR_CREDIT_USD,
        lag_s=settings.upstream.simulator_lag_s,
        latency_s=settings.upstream.simulator_latency_s,
        clock=clock,
        book_path=settings.data_dir / SIMULATOR_FILE,
    )
