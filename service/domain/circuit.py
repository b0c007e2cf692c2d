"""A circuit breaker as a value: how the last attempts at one model went, and whether to try it.

Five failures in a row, or half of the last twenty, open it for thirty seconds; then one attempt
may probe. Must not know: which model, or the time (events bring their own).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

IN_A_ROW = 5
WINDOW = 20
OPEN_MS = 30_000
_ALL = (1 << WINDOW) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """`failures` holds the last attempts as bits, newest lowest; `opened_at_ms` None: closed.

    `probed_at_ms` is when an open circuit was last tried.
    """

    failures: int = 0
    attempts: int = 0
    opened_at_ms: int | None = None
    probed_at_ms: int | None = None

    def allows(self, now_ms: int) -> bool:
        """Whether an attempt may be made; of an open one whose time is over, one at a time."""
        if self.opened_at_ms is None:
            return True
        since_ms = self.opened_at_ms if self.probed_at_ms is None else self.probed_at_ms
        return now_ms - since_ms >= OPEN_MS

    def tried(self, now_ms: int) -> Circuit:
        """An attempt begins; of an open circuit it is the probe."""
        return self if self.opened_at_ms is None else replace(self, probed_at_ms=now_ms)

    def succeeded(self) -> Circuit:
        """An attempt went well: an open circuit closes and forgets, a closed one remembers."""
        if self.opened_at_ms is not None:
            return Circuit()
        return self._with(failed=False)

    def failed(self, now_ms: int) -> Circuit:
        """An attempt failed; the probe of an open circuit keeps it open for as long again."""
        if self.opened_at_ms is not None:
            return replace(self, opened_at_ms=now_ms, probed_at_ms=None)
        after = self._with(failed=True)
        in_a_row = (1 << IN_A_ROW) - 1
        broken = after.failures & in_a_row == in_a_row
        often = after.attempts >= WINDOW and 2 * after.failures.bit_count() >= WINDOW
        return replace(after, opened_at_ms=now_ms) if broken or often else after

    def _with(self, *, failed: bool) -> Circuit:
        return replace(
            self,
            failures=(self.failures << 1 | failed) & _ALL,
            attempts=min(self.attempts + 1, WINDOW),
        )
