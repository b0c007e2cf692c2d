"""The process edge of the background: what keeps a loop alive, and the only catch-all there.

A fault of a part outside is expected: it is logged and the loop goes on. Anything else is a bug: it
is logged with its traceback, counted, and the loop goes on too, because stopping the settling of
payments would harm callers who have paid. `OnDuty` does what one process of several is to do, and
waits while another one does it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from cobot_meter.background.outages import Outages
from cobot_meter.domain.errors import BooksBusy, CobotMeterError, DependencyFault
from cobot_meter.ports.process import Clock, Duties

LOG = logging.getLogger(__name__)
BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0

Action = Callable[[], Awaitable[object]]
Report = Callable[[str], None]


class Supervisor:
    """Runs named actions; `report` counts their faults by name."""

    def __init__(self, *, clock: Clock, report: Report) -> None:
        """`report` is told `name` at every fault."""
        self._clock = clock
        self._report = report
        self._outages = Outages(clock=clock)

    async def once(self, name: str, action: Action) -> bool:
        """Run it; whether it ended well. Never raises, except when cancelled."""
        try:
            await action()
        except BooksBusy as fault:
            # Where the books are kept an outage has its one line; here it would be one a turn.
            LOG.debug("%s: %s", name, fault.message)
        except DependencyFault as fault:
            self._say(logging.WARNING, name, fault.message)
        except CobotMeterError as error:
            self._say(logging.ERROR, name, f"{error.code}: {error.message}")
        except Exception as error:
            said = f"failed in a way nobody foresaw: {type(error).__name__}"
            self._say(logging.ERROR, name, said, traceback_of=error)
        else:
            self._say_end(name)
            return True
        self._report(name)
        return False

    def _say(
        self, level: int, name: str, fault: str, *, traceback_of: Exception | None = None
    ) -> None:
        """Log a fault; one that comes again and again is one line in a while, with a count."""
        unsaid = self._outages.failed(name, fault)
        if unsaid is not None:
            more = f" (and {unsaid} more since the last line)" if unsaid else ""
            LOG.log(level, "%s: %s%s", name, fault, more, exc_info=traceback_of)

    def _say_end(self, name: str) -> None:
        outage = self._outages.well(name)
        if outage is not None:
            length_s = outage.length_ms / 1_000
            LOG.warning("%s: well again after %d faults in %.1f s", name, outage.faults, length_s)

    async def every(self, name: str, interval_s: float, action: Action) -> None:
        """Run it for ever, `interval_s` apart; after faults sooner, then further apart again."""
        backoff_s = BACKOFF_S
        while True:
            if await self.once(name, action):
                backoff_s = BACKOFF_S
                await self._clock.sleep(interval_s)
            else:
                await self._clock.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)


# How long a duty may lie about after its process died.
LOOK_S = 1.0


class OnDuty:
    """One turn of a loop at a time: a duty that is lost is looked for again."""

    def __init__(self, *, duties: Duties, clock: Clock) -> None:
        """Holds nothing of its own."""
        self._duties = duties
        self._clock = clock

    async def do(self, name: str, act: Callable[[], Awaitable[object]]) -> None:
        """Act when the duty is ours, otherwise wait a moment. Raises what `act` raises."""
        if await self._duties.mine(name):
            await act()
        else:
            await self._clock.sleep(LOOK_S)
