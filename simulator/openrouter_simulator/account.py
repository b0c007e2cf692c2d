"""The simulated account as one thing: its book, its models, its faults, its clock and its luck.

Must not know: HTTP.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from openrouter_simulator.answers.answers import answers_to
from openrouter_simulator.answers.given_answers import GivenAnswers
from openrouter_simulator.answers.response_cache import ResponseCache
from openrouter_simulator.answers.runs import Run, RunEnd
from openrouter_simulator.book.book_file import BookFile
from openrouter_simulator.book.credit_book import CreditBook, Generation
from openrouter_simulator.book.limits import Limits
from openrouter_simulator.faults.faults import FaultPlan
from openrouter_simulator.routing.catalogue import catalogue
from openrouter_simulator.routing.models import SimulatedModel
from openrouter_simulator.routing.routing import Order
from openrouter_simulator.timing import Timing

_ID_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 20
_MS_PER_S = 1_000
_LOOK_UPS_FAILED = 2


class SimulatorClock(Protocol):
    """Where the simulator takes its time from."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""


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
        self._timing = replace(timing)
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
        self.timing = replace(self._timing)
        earlier = self._book_file.charges() if self._book_file else ()
        self.book = CreditBook(self._credit_usd, earlier=earlier)
        self.faults = FaultPlan()
        self.limits = Limits()
        self.cache = ResponseCache()
        self.given = GivenAnswers()
        self.outages: frozenset[str] = frozenset()
        self.spreading: random.Random | None = None
        self.models: dict[str, SimulatedModel] = catalogue()
        self._chance = random.Random(self._seed)
        self._look_ups_failed: Counter[str] = Counter()

    def begin(
        self, order: Order, faults: frozenset[str] = frozenset(), *, source_id: str | None = None
    ) -> Run:
        """Run the order: the answer is fixed from now on, the charge follows at its end."""
        now_ms = self.clock.now_ms()
        generation_id = self._new_id(now_ms)
        if "response_cache_hit" in faults and source_id is None:
            source_id = self._new_id(now_ms)
        return Run(
            order=order,
            generation_id=generation_id,
            request_id=f"req-{generation_id[4:]}",
            beside_id=self._new_id(now_ms) if "multi_generation" in faults else "",
            source_id=source_id,
            created_at_ms=now_ms,
            answers=answers_to(
                order,
                seed=f"{self._seed}:{order.model.model_id}",
                faults=faults,
                given=self.given.to(order),
            ),
            faults=faults,
        )

    def settle(self, run: Run, end: RunEnd) -> None:
        """Charge a run that has ended, and let its record appear after the lag."""
        ready_at_ms = self._ready_at_ms(run.faults, cancelled=end.cancelled)
        for generation in run.generations(end, ready_at_ms=ready_at_ms):
            self.charge(generation)
        self.book.run_ended()

    def record(self, generation_id: str) -> Generation | None:
        """What a look-up finds now."""
        return self.book.record(generation_id, now_ms=self.clock.now_ms())

    def look_up_fault(self, generation: Generation) -> str:
        """The fault that meets this look-up; only the first ones meet any."""
        generation_id = generation.generation_id
        if not generation.look_up_fault:
            return ""
        self._look_ups_failed[generation_id] += 1
        failed = self._look_ups_failed[generation_id]
        return generation.look_up_fault if failed <= _LOOK_UPS_FAILED else ""

    def _new_id(self, now_ms: int) -> str:
        """Another one than any in the book: a restart within a second draws the same letters."""
        while True:
            suffix = "".join(self._chance.choices(_ID_LETTERS, k=_ID_LENGTH))
            generation_id = f"gen-{now_ms // _MS_PER_S}-{suffix}"
            if not self.book.holds(generation_id):
                return generation_id

    def _ready_at_ms(self, faults: frozenset[str], *, cancelled: bool) -> int | None:
        if "never_recorded" in faults:
            return None
        slow = "slow_record" in faults
        return self.clock.now_ms() + self.timing.lag_ms(
            self._chance, slow=slow, cancelled=cancelled
        )
