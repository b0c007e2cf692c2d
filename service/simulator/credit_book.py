"""The simulated account: its credit, and every generation with what it cost.

All amounts are Decimal USD. The balance is brought down at each charge, and `verify` adds the
generations up again: tests compare a service's ledger with this book, so it must not be wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

_TOTAL_COST_STEP = Decimal("0.00000001")
_KEPT_MAX = 100_000


class BookBroken(Exception):
    """The simulated book does not add up: a bug of the simulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One run and its charge.

    `ready_at_ms` is when its record can be looked up (None: never); `recorded_id` is the id the
    record then shows.
    """

    generation_id: str
    recorded_id: str
    model_id: str
    slug: str
    provider: str
    created_at_ms: int
    ready_at_ms: int | None
    total_cost: Decimal
    upstream_inference_cost: Decimal = Decimal(0)
    is_byok: bool = False
    native_prompt: int
    native_completion: int
    native_cached: int = 0
    streamed: bool
    cancelled: bool
    finish_reason: str | None
    user: str | None = None


class CreditBook:
    """One account. `posts` counts every chat POST that arrived, whatever became of it."""

    def __init__(self, credit_usd: Decimal) -> None:
        """Begin with `credit_usd` bought and nothing spent."""
        self.credit_usd = credit_usd
        self.balance_usd = credit_usd
        self.posts = 0
        self.lookups = 0
        self._generations: OrderedDict[str, Generation] = OrderedDict()
        self._forgotten_usd = Decimal(0)

    @property
    def spent_usd(self) -> Decimal:
        """What has been taken from the credit so far."""
        return self.credit_usd - self.balance_usd

    @property
    def generations(self) -> tuple[Generation, ...]:
        """Every generation still kept, oldest first."""
        return tuple(self._generations.values())

    def charge(self, generation: Generation) -> None:
        """Book one finished, failed or cancelled run."""
        if generation.generation_id in self._generations:
            raise BookBroken(f"{generation.generation_id} is charged twice")
        self._generations[generation.generation_id] = generation
        self.balance_usd -= generation.total_cost
        if len(self._generations) > _KEPT_MAX:
            _, oldest = self._generations.popitem(last=False)
            self._forgotten_usd += oldest.total_cost

    def record(self, generation_id: str, *, now_ms: int) -> Generation | None:
        """What a look-up finds now."""
        self.lookups += 1
        generation = self._generations.get(generation_id)
        if generation is None or generation.ready_at_ms is None:
            return None
        return generation if now_ms >= generation.ready_at_ms else None

    def verify(self) -> None:
        """Raise BookBroken unless the charges add up to what the balance has lost."""
        charged = sum((g.total_cost for g in self._generations.values()), self._forgotten_usd)
        if charged != self.spent_usd:
            raise BookBroken(f"charged {charged} USD, but {self.spent_usd} USD are gone")


def as_charged(exact_usd: Decimal) -> Decimal:
    """A cost as the account is charged: eight decimals, and never nothing for something."""
    if not exact_usd:
        return Decimal(0)
    return max(exact_usd.quantize(_TOTAL_COST_STEP, ROUND_HALF_EVEN), _TOTAL_COST_STEP)
