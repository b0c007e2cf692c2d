"""The running service: background loops in one task group, listeners, and an orderly stop.

Must not know: commands or terminals. `serve` is what `cobot-meter serve` runs, `running_service`
what a demonstration or a test runs in its own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal

from cobot_meter.adapters.lightning.dev_node.http import dev_node_face
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.http_api.http.exchange import AsgiApp
from cobot_meter.http_api.http.metrics_app import metrics_app
from cobot_meter.operator_api.pages import operator_pages
from cobot_meter.operator_api.socket import OperatorSocket
from cobot_meter.ports.process import Clock
from cobot_meter.wiring.build import Service, build_service
from cobot_meter.wiring.connections.limits import allow_open_files
from cobot_meter.wiring.event_log import start_fields
from cobot_meter.wiring.http_app import build_service_face, face_limits
from cobot_meter.wiring.listening import listening
from cobot_meter.wiring.logs import event_logger
from cobot_meter.wiring.loops import Loops
from cobot_meter.wiring.memory import give_back_large_blocks
from cobot_meter.wiring.opening.nodes import OpenNode, open_node
from cobot_meter.wiring.opening.ports import open_parts, prepare_data_dir
from cobot_meter.wiring.opening.upstreams import SIMULATOR_FILE
from cobot_meter.wiring.operator_offline import SOCKET_FILE, build_commands
from cobot_meter.wiring.readiness import Waits, until_selling
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import MetricsSettings, Settings
from openrouter_simulator.app import build_simulator

LOG = logging.getLogger(__name__)
SIMULATOR_CREDIT_USD = Decimal(25)
SIMULATOR_SEED = 7
# New objects, then young and middle collections, before the garbage collector looks further.
COLLECTED_AFTER = (10_000, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service that serves, and where its parts listen (None: nowhere)."""

    service: Service
    face: Address
    metrics: Address | None
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
        metrics = await stack.enter_async_context(_metrics(settings.metrics, service))
        limits, refused = face_limits(settings.face), service.parts.metrics.refused
        face = await stack.enter_async_context(
            listening(app, settings.face.listen, limits=limits, report=refused)
        )
        try:
            yield Running(
                service=service,
                face=face,
                metrics=metrics,
                node_face=node_face,
                simulator=simulator,
            )
        finally:
            draining.set()
            await service.flows.runs.drain(settings.run.drain_s)


@contextlib.asynccontextmanager
async def _metrics(settings: MetricsSettings, service: Service) -> AsyncIterator[Address | None]:
    """The operator's figures, where they listen. Raises SettingInvalid for a chosen address."""
    async with contextlib.AsyncExitStack() as stack:
        address: Address | None = None
        if settings.listen is not None:
            figures = metrics_app(service.parts.metrics.registry)
            app = operator_pages(service.show_benchmarks, rest=figures)
            try:
                address = await stack.enter_async_context(listening(app, settings.listen))
            except SettingInvalid as taken:
                if settings.chosen:
                    raise
                LOG.warning("no metrics: %s; set COBOT_METER_METRICS_LISTEN", taken.message)
        yield address


async def serve(
    settings: Settings, *, started: Callable[[Running], None], waits: Waits = lambda _: None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    `started` is told once it sells, and before that `waits` what it waits for.
    """
    allow_open_files()
    stop, log, clock = _stop_signal(), event_logger(), SystemClock()
    began_ms = clock.now_ms()
    give_back_large_blocks()

    async def tell(running: Running) -> None:
        await until_selling(running.service, running.face, waits=waits)
        log.info("selling", after_ms=clock.now_ms() - began_ms)
        started(running)

    async with running_service(settings) as running, asyncio.TaskGroup() as tasks:
        _spare_the_collector()
        node = running.service.parts.ours.identity
        log.info("started", **start_fields(running.service.settings, node, running.face))
        telling = tasks.create_task(tell(running), name="until it sells")
        await stop.wait()
        log.info("stopping", running=running.service.flows.runs.active)
        telling.cancel()
    log.info("stopped", after_s=(clock.now_ms() - began_ms) // 1_000)


async def serve_simulator(settings: Settings, *, started: Callable[[Address], None]) -> None:
    """Serve the simulator alone until SIGTERM or SIGINT. Raises SettingInvalid."""
    prepare_data_dir(settings.data_dir)
    allow_open_files()
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
        await service.flows.operating.adopt_node.begin()
        service.flows.steady_clock.begin(await parts.books.latest_at_ms())
        await service.alarms.look()  # before the first ask: what was stopped stays stopped
        await service.flows.keep_body_keys.look()  # and nothing is sealed that nobody else opens
        await service.flows.operating.sweep_node.begin()
        await service.supervisor.once("node sweep", service.flows.operating.sweep_node.sweep)
        door = OperatorSocket(
            path=settings.data_dir / SOCKET_FILE,
            commands=build_commands(service.flows.operating),
            tasks=tasks,
            supervisor=service.supervisor,
        )
        loops = [
            tasks.create_task(loop, name=name) for name, loop in Loops(service).named(node.embedded)
        ]
        loops += [tasks.create_task(vital(), name=name) for name, vital in parts.vital]
        loops.append(
            tasks.create_task(service.flows.release_gate.end(), name="books that are lost")
        )
        try:
            recovered = await service.flows.recover.unfinished()
            if recovered:
                event_logger().info("recovered", escrows=recovered)
            async with door.answering():
                yield service
        finally:
            await service.flows.runs.drain(settings.run.drain_s)
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
