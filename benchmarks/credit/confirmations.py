"""What confirming costs: the look-ups that come a minute after the answers, waited for and counted.

The service asks the upstream what each generation really cost once the answer is long delivered.
That is work for the request all the same. So after a load one waits until the look-ups are
through, and their CPU is added: from the last moment before the first of them until the last one is
written. The minute in between, in which the service keeps house and nobody asks it for anything, is
left out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.credit.targets import Target
from cobot_meter.domain.retention import LATER_LOOKUPS_MS

DUE_S = LATER_LOOKUPS_MS[0] / 1_000
LOOK_S = 0.25
WRITTEN_S = 1.5  # from the upstream's last answer until it is booked, with one turn of the timers
QUIET_S = 6.0  # where one does not know which generations are confirmed: so long without another
PATIENCE_S = 240.0


class UnconfirmedError(Exception):
    """Look-ups that were due never came."""


@dataclass(slots=True)
class Confirmations:
    """The look-ups of one target since a load began."""

    target: Target
    runs_before: int
    lookups_before: int
    ended: float = 0.0
    mark_cpu_s: float = 0.0
    lookups_seen: int = 0
    last_rise: float = 0.0
    cpu_s: float | None = None

    @classmethod
    def begin(cls, target: Target) -> Confirmations:
        """Before a load."""
        upstream = target.upstream
        return cls(target, upstream.count(), upstream.count("lookups"))

    def load_ended(self) -> None:
        """After the load; look-ups may have begun already where it took longer than a minute."""
        self.ended = self.last_rise = time.monotonic()
        self.mark_cpu_s = self.target.child.cpu_s()
        self.lookups_seen = self.target.upstream.count("lookups")
        if self.target.confirmed_in == 0:
            self.cpu_s = 0.0

    @property
    def lookups(self) -> int:
        """How many there were."""
        return self.lookups_seen - self.lookups_before

    @property
    def runs(self) -> int:
        """How many generations could be confirmed."""
        return self.target.upstream.count() - self.runs_before

    def look(self) -> bool:
        """See how far they are; whether they are through. Raises UnconfirmedError."""
        if self.cpu_s is not None:
            return True
        upstream, now = self.target.upstream, time.monotonic()
        cpu_s, lookups = self.target.child.cpu_s(), upstream.count("lookups")
        if lookups == self.lookups_before:
            self.mark_cpu_s = cpu_s  # nothing but housekeeping so far
        if lookups != self.lookups_seen:
            self.lookups_seen, self.last_rise = lookups, now
        elif self._through(now):
            self.cpu_s = cpu_s - self.mark_cpu_s
            return True
        if now - self.ended > PATIENCE_S:
            raise UnconfirmedError(f"{self.target.name}: {self.lookups} look-ups, and no more")
        return False

    def _through(self, now: float) -> bool:
        if self.target.confirmed_in == 1:
            return self.lookups >= self.runs and now - self.last_rise >= WRITTEN_S
        return now - self.ended > DUE_S + QUIET_S and now - self.last_rise >= QUIET_S


def await_all(found: Sequence[Confirmations]) -> None:
    """Return when all are through; several services may be at it at once."""
    waiting = [one for one in found if one.cpu_s is None]
    if waiting:
        print(f"· waiting for the confirmations of {len(waiting)}, due after a minute", flush=True)
    while waiting:
        time.sleep(LOOK_S)
        waiting = [one for one in waiting if not one.look()]
