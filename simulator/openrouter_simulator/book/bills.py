"""What a run costs, exactly, and which part of it the account pays.

Amounts are Decimal USD.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from openrouter_simulator.book.credit_book import as_charged
from openrouter_simulator.routing.routing import Order

NOTHING = Decimal(0)
_SEARCH_USD = Decimal("0.007")
_CACHE_WRITE = Decimal("1.25")  # where the model has no price of its own for it
_UNPAID = frozenset({"byok", "response_cache_hit", "zero_cost_confirmed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The parts of a cost. `saved` is what caching made cheaper; below 0 it made it dearer."""

    prompt: Decimal
    completion: Decimal
    tools: Decimal
    cached: int = 0
    cache_written: int = 0
    saved: Decimal | None = None
    paid: bool = True
    own_key: bool = False

    @property
    def exact(self) -> Decimal:
        """All parts together."""
        return self.prompt + self.completion + self.tools

    @property
    def taken(self) -> Decimal:
        """What the account is charged."""
        return as_charged(self.exact) if self.paid else NOTHING

    @property
    def of_own_key(self) -> Decimal:
        """What the provider charges our own key there."""
        return as_charged(self.exact) if self.own_key else NOTHING


def bill_of(
    order: Order, completion_tokens: int, faults: frozenset[str], *, free: bool = False
) -> Bill:
    """The bill after so many tokens of an answer; `free` is the zero-completion insurance.

    Searches that were done are paid even then.
    """
    searched = order.searches or "server_tool_surcharge" in faults
    tools = _SEARCH_USD if searched else NOTHING
    if free:
        return Bill(prompt=NOTHING, completion=NOTHING, tools=tools, paid=not faults & _UNPAID)
    cached, written = _cached(order, faults)
    prices, tokens = order.prices, order.ask.prompt_tokens
    plain = tokens * prices.prompt
    read = prices.prompt if prices.cache_read is None else prices.cache_read
    write = prices.prompt * _CACHE_WRITE if prices.cache_write is None else prices.cache_write
    saved = cached * (prices.prompt - read) + written * (prices.prompt - write)
    return Bill(
        prompt=plain - saved + order.once_usd,
        completion=completion_tokens * prices.completion,
        tools=tools,
        cached=cached,
        cache_written=written,
        saved=saved if cached or written else None,
        paid=not faults & _UNPAID,
        own_key="byok" in faults,
    )


def _cached(order: Order, faults: frozenset[str]) -> tuple[int, int]:
    """Prompt tokens read from a cache, and written to one."""
    most = order.ask.prompt_tokens * 3 // 4
    return (most if "cached_prompt" in faults else 0, most if "cache_write" in faults else 0)
