"""The loops of a running service: what they do, how often, and which are one process's duty.

Must not know: tasks, or how a service starts and stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.background.supervise import OnDuty
from cobot_meter.wiring.build import Service
from cobot_meter.wiring.opening.databases import UPKEEP_S

RECONNECT_S = 1.0
SWEEP_PAUSE_S = 0.1
# How often it is asked whether the node's own list is due; soon again while it holds up the sale.
SWEEP_LOOK_S = 5.0
# At most so often is the account looked at, however many runs are refused for want of credit.
ACCOUNT_PAUSE_S = 5.0
# How soon what another process left unfinished is looked at.
TAKE_OVER_S = 5.0
# How soon a word that stops releases reaches the other processes.
ALARMS_S = 2.0
# How soon after the last body of a day its key is dropped, and a key that is missing noticed.
BODY_KEYS_S = 60.0
# No two price lists are fetched sooner after each other.
PRICES_PAUSE_S = 1.0
# Of several processes on one database one has each of these duties.
TIMERS, INVOICES, COSTS = "timers", "invoices", "costs"

Turn = Callable[[], Awaitable[None]]
Loop = tuple[str, Coroutine[None, None, None]]


class Loops:
    """Each method is one turn of a loop."""

    def __init__(self, service: Service) -> None:
        """Nothing runs yet."""
        self._service = service
        self._clock = service.parts.clock
        self._duty = OnDuty(duties=service.parts.duties, clock=service.parts.clock)

    def named(self, embedded: DevNode | None) -> list[Loop]:
        """Every loop by name, to be run as a task; `embedded` is the development node."""
        run, every = self._service.settings.run, self._service.supervisor.every
        turns: list[tuple[str, float, Turn]] = [
            ("catalogue", PRICES_PAUSE_S, self.prices),
            ("exchange rate", self._service.settings.rate.interval_s, self.rate),
            ("settle stream", RECONNECT_S, self.listen),
            ("invoice sweep", SWEEP_PAUSE_S, self.sweep),
            ("unfinished escrows", TAKE_OVER_S, self.take_over),
            ("node sweep", SWEEP_LOOK_S, self.sweep_node),
            ("due escrows", run.due_interval_s, self.due),
            ("cost comparison", run.compare_interval_s, self.compare),
            ("upstream account", ACCOUNT_PAUSE_S, self.account),
            ("node", self._service.settings.node.ping_interval_s, self.node),
            ("alarms", ALARMS_S, self.alarms),
            ("body keys", BODY_KEYS_S, self._service.flows.keep_body_keys.look),
        ]
        turns += [(name, UPKEEP_S, action) for name, action in self._service.parts.upkeep]
        if embedded is not None:
            turns.append(("development node", RECONNECT_S, embedded.run))
        return [(name, every(name, interval_s, turn)) for name, interval_s, turn in turns]

    async def prices(self) -> None:
        """Fresh prices, at once when an ask finds them too old. Raises the upstream's faults."""
        if self._service.flows.catalogue.refreshed_at_ms is not None:
            try:
                async with asyncio.timeout(self._service.settings.run.catalogue_interval_s):
                    await self._service.flows.catalogue.wanted.wait()
            except TimeoutError:
                pass
        await refresh_prices(self._service)

    async def rate(self) -> None:
        """Ask the sources. Raises RateStale, so that they are asked again sooner, without one."""
        rates = self._service.parts.rates
        await rates.refresh()
        await rates.current()

    async def listen(self) -> None:
        """Follow the node's stream until it breaks."""
        watch, watcher = self._service.node_watch, self._service.watcher
        await self._duty.do(INVOICES, lambda: watch.while_well(watcher.listen))

    async def sweep(self) -> None:
        """Ask about every open invoice."""
        interval_s = self._service.settings.run.sweep_interval_s
        await self._duty.do(INVOICES, lambda: self._service.watcher.sweep_soon(interval_s))

    async def sweep_node(self) -> None:
        """Hold the books against the node's own list; every process until it may sell itself."""
        sweep = self._service.flows.operating.sweep_node
        if sweep.is_due():
            if sweep.holds:
                await sweep.sweep()
            else:
                await self._duty.do(INVOICES, sweep.sweep)

    async def take_over(self) -> None:
        """Drive what a process that is gone left unfinished."""
        await self._duty.do(TIMERS, self._service.flows.recover.unfinished)

    async def due(self) -> None:
        """Drive what waited for a timer."""
        recover, steady = self._service.flows.recover, self._service.flows.steady_clock
        await self._duty.do(TIMERS, lambda: recover.due(steady.timers_ms()))

    async def compare(self) -> None:
        """Our costs against the upstream's usage."""
        await self._duty.do(COSTS, self._service.flows.operating.compare_costs.compare)

    async def account(self) -> None:
        """What is left upstream; each process counts what it runs itself."""
        await self._service.flows.watch_account.look_soon(
            self._service.settings.upstream.account_interval_s
        )

    async def alarms(self) -> None:
        """Whether releases are stopped, what is in quarantine, and how the clocks go."""
        self._service.flows.steady_clock.ending_ms()
        await self._service.alarms.look()

    async def node(self) -> None:
        """Which node it is, and how it is."""
        await self._service.node_watch.while_well(self._service.flows.operating.adopt_node.follow)
        await self._service.node_watch.look()


async def refresh_prices(service: Service) -> None:
    """Fresh prices, the first of them only after the upstream's usage was recorded.

    Without a price nothing is asked for, so no run can fall into the figure that all later
    comparisons of costs start from. Raises the upstream's faults.
    """
    await service.flows.operating.compare_costs.baseline()
    service.flows.catalogue.offer_own(service.settings.upstream.local.models)
    await service.flows.catalogue.refresh()
