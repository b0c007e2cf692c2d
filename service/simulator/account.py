"""The simulated account as one thing: its book, its models, its faults, its clock and its luck.

Must not know: HTTP.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from service.simulator.book_file import BookFile
from service.simulator.credit_book import CreditBook, Generation
from service.simulator.faults import FaultPlan
from service.simulator.models import SimulatedModel, catalogue
from service.simulator.plausible_text import plausible_answer
from service.simulator.runs import Order, Run, RunEnd, cut_to_tokens

_ID_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 20
_SLOW_RECORD = 10
_MS_PER_S = 1_000


class SimulatorClock(Protocol):
    """Where the simulator takes its time from."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""


@dataclass(slots=True, kw_only=True)
class Timing:
    """How long things take: a record's lag, the first token, each further piece, a hang."""

    lag_s: float
    latency_s: float
    chunk_s: float = 0.0
    hang_s: float = 600.0


class Account:
    """One OpenRouter account. `api_key` empty: any key is accepted."""

    def __init__(
        self,
        *,
        seed: int,
        credit_usd: Decimal,
        timing: Timing,
        clock: SimulatorClock,
        api_key: str,
        book_file: BookFile | None = None,
    ) -> None:
        """Begin with the credit given, less what `book_file` remembers of earlier days."""
        self.api_key = api_key
        self.clock = clock
        self._seed = seed
        self._credit_usd = credit_usd
        self._timing = (timing.lag_s, timing.latency_s, timing.chunk_s, timing.hang_s)
        self._book_file = book_file
        self._begin()

    def reset(self) -> None:
        """Be as on the first day."""
        if self._book_file is not None:
            self._book_file.clear()
        self._begin()

    def charge(self, generation: Generation) -> None:
        """Book one finished, failed or cancelled run, in the file first."""
        if self._book_file is not None:
            self._book_file.append(generation)
        self.book.charge(generation)

    def _begin(self) -> None:
        lag_s, latency_s, chunk_s, hang_s = self._timing
        self.timing = Timing(lag_s=lag_s, latency_s=latency_s, chunk_s=chunk_s, hang_s=hang_s)
        self.book = CreditBook(self._credit_usd)
        for generation in self._book_file.charges() if self._book_file else ():
            self.book.charge(generation)
        self.faults = FaultPlan()
        self.models: dict[str, SimulatedModel] = catalogue()
        self._chance = random.Random(self._seed)

    def begin(self, order: Order, fault: str) -> Run:
        """Run the order: the answer is fixed from now on, the charge follows at its end."""
        now_ms = self.clock.now_ms()
        seed = f"{self._seed}:{order.model.model_id}"
        text, finish_reason = cut_to_tokens(
            plausible_answer(order.prompt, seed=seed), order.max_tokens
        )
        suffix = "".join(self._chance.choices(_ID_LETTERS, k=_ID_LENGTH))
        return Run(
            order=order,
            generation_id=f"gen-{now_ms // _MS_PER_S}-{suffix}",
            created_at_ms=now_ms,
            text=text,
            finish_reason=finish_reason,
            fault=fault,
        )

    def settle(self, run: Run, end: RunEnd) -> None:
        """Charge a run that has ended, and let its record appear after the lag."""
        self.charge(run.generation(end, ready_at_ms=self._ready_at_ms(run.fault)))

    def record(self, generation_id: str) -> Generation | None:
        """What a look-up finds now."""
        return self.book.record(generation_id, now_ms=self.clock.now_ms())

    def _ready_at_ms(self, fault: str) -> int | None:
        if fault == "never_recorded":
            return None
        lag_ms = self.timing.lag_s * _MS_PER_S * self._chance.uniform(0.5, 1.5)
        factor = _SLOW_RECORD if fault == "slow_record" else 1
        return self.clock.now_ms() + round(lag_ms * factor)
