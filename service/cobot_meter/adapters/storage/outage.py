"""Whether the books take writes: one line of log when they no longer do, one when they do again.

Callers are told one sentence without the database's words; the cause is in the log, once, however
often it is met.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cobot_meter.domain.errors import BooksBusy

LOG = logging.getLogger(__name__)
RETRY_AFTER_S = 5
CAUSE_MAX = 300
# After so long an outage is known, and tried against so often.
KNOWN_AFTER_S = 2.0
AGAIN_S = 1.0
AWAY = (
    "The service cannot write its books at the moment. Nothing is lost: ask the same again in a "
    "few seconds."
)


class StorageOutage:
    """Met by whoever reads or writes, on any thread; it stands until something is written."""

    def __init__(self, *, what: str, now_s: Callable[[], float] = time.monotonic) -> None:
        """`what` begins the sentences of the log: what cannot be done meanwhile."""
        self._what = what
        self._now_s = now_s
        self._began_s: float | None = None
        self._cause = ""
        self._tried_s = now_s()

    @property
    def lasts_s(self) -> float:
        """For how long it has stood; 0 while all is well."""
        began_s = self._began_s
        return 0.0 if began_s is None else max(self._now_s() - began_s, 0.001)

    def met(self, fault: BaseException | str) -> BooksBusy:
        """What to raise; the cause is logged when it is the first of this outage."""
        self._cause = (str(fault) or type(fault).__name__).partition("\n")[0][:CAUSE_MAX]
        if self._began_s is None:
            self._began_s = self._now_s()
            LOG.error("%s: %s", self._what, self._cause)
        return BooksBusy(AWAY, retry_after_s=RETRY_AFTER_S)

    def spare(self) -> None:
        """Raises BooksBusy at once when others have tried in vain for a while, and just now.

        Where nothing answers each try takes seconds: one a second is enough to find the end.
        """
        if self.lasts_s < KNOWN_AFTER_S:
            return
        now_s = self._now_s()
        if now_s - self._tried_s < AGAIN_S:
            raise BooksBusy(AWAY, retry_after_s=RETRY_AFTER_S)
        self._tried_s = now_s

    def over(self) -> None:
        """Something was written."""
        if self._began_s is not None:
            lasted_s, self._began_s = self.lasts_s, None
            LOG.warning("over after %.1f s: %s (%s)", lasted_s, self._what, self._cause)
