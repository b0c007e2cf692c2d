"""The simulated account: its credit, and every generation with what it cost.

All amounts are Decimal USD. The balance is brought down at each charge, and `verify` adds the
generations up again: tests compare a service's ledger with this book, so it must not be wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

MS_PER_DAY = 86_400_000
_DAYS_KEPT_MAX = 400
_TOTAL_COST_STEP = Decimal("0.00000001")
_KEPT_MAX = 100_000


class BookBroken(Exception):
    """The simulated book does not add up: a bug of the simulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One run and its charge.

    `ready_at_ms` is when its record can be looked up (None: never); `recorded_id` is the id the
    record then shows, `said_cost` the JSON it shows for its cost (None: the truth, ``: nothing).
    `beside` is a second generation of the same POST; `look_up_fault` meets who asks too early.
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
    request_id: str = ""
    endpoint_tag: str = ""
    native_reasoning: int = 0
    cache_discount: Decimal | None = None
    search_count: int | None = None
    source_id: str | None = None
    said_cost: str | None = None
    look_up_fault: str = ""
    beside: bool = False
    tried: tuple[Mapping[str, object], ...] = ()

    @property
    def day(self) -> int:
        """The UTC day it began on, counted from 1970."""
        return self.created_at_ms // MS_PER_DAY


class CreditBook:
    """One account. `posts` counts every chat POST that arrived, whatever became of it.

    A POST is `open` until it is `refused` or its run is charged.
    """

    def __init__(self, credit_usd: Decimal, *, earlier: Iterable[Generation] = ()) -> None:
        """Begin with `credit_usd` bought, and nothing spent but on `earlier` generations."""
        self.credit_usd = credit_usd
        self.balance_usd = credit_usd
        self.lookups = 0
        self._generations: OrderedDict[str, Generation] = OrderedDict()
        self._forgotten_usd = Decimal(0)
        self._by_day: OrderedDict[int, tuple[Decimal, Decimal]] = OrderedDict()
        self.runs = 0
        self.beside = 0
        for generation in earlier:
            self.charge(generation)
        self.posts = 0
        self.refused = 0
        self.open = 0
        self.runs = 0
        self.beside = 0

    @property
    def spent_usd(self) -> Decimal:
        """What has been taken from the credit so far."""
        return self.credit_usd - self.balance_usd

    @property
    def generations(self) -> tuple[Generation, ...]:
        """Every generation still kept, oldest first."""
        return tuple(self._generations.values())

    def arrive(self) -> None:
        """Count a chat POST."""
        self.posts += 1
        self.open += 1

    def refuse(self) -> None:
        """Count a POST that ended before a run."""
        self.refused += 1
        self.open -= 1

    def run_ended(self) -> None:
        """Count a POST whose run has been charged."""
        self.open -= 1

    def holds(self, generation_id: str) -> bool:
        """Whether a run of this name was charged."""
        return generation_id in self._generations

    def charge(self, generation: Generation) -> None:
        """Book one finished, failed or cancelled run."""
        if generation.generation_id in self._generations:
            raise BookBroken(f"{generation.generation_id} is charged twice")
        self._generations[generation.generation_id] = generation
        self.balance_usd -= generation.total_cost
        self.runs += not generation.beside
        self.beside += generation.beside
        spent, byok = self._by_day.get(generation.day, (Decimal(0), Decimal(0)))
        self._by_day[generation.day] = (
            spent + generation.total_cost,
            byok + generation.upstream_inference_cost,
        )
        if len(self._by_day) > _DAYS_KEPT_MAX:
            self._by_day.popitem(last=False)
        if len(self._generations) > _KEPT_MAX:
            _, oldest = self._generations.popitem(last=False)
            self._forgotten_usd += oldest.total_cost

    def spent_since(self, day: int) -> tuple[Decimal, Decimal]:
        """What was taken from this UTC day on, and what our own provider keys were charged."""
        amounts = [amounts for at, amounts in self._by_day.items() if at >= day]
        zero = Decimal(0)
        return sum((own for own, _ in amounts), zero), sum((byok for _, byok in amounts), zero)

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

    def verify_posts(self) -> None:
        """Raise BookBroken unless every POST is open, refused, or one charged run."""
        if self.open < 0 or self.posts != self.open + self.refused + self.runs:
            raise BookBroken(
                f"{self.posts} posts, but {self.open} open, {self.refused} refused and "
                f"{self.runs} run"
            )


def as_charged(exact_usd: Decimal) -> Decimal:
    """A cost as the account is charged: eight decimals, and never nothing for something."""
    if not exact_usd:
        return Decimal(0)
    return max(exact_usd.quantize(_TOTAL_COST_STEP, ROUND_HALF_EVEN), _TOTAL_COST_STEP)
