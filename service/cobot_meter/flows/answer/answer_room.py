"""Reserve more credit while an answer comes, ahead of what it says, and end it where none is left.

What an answer has said in bytes bounds its visible tokens. Once half of the room is used twice as
much is asked for, while the answer is read on; where the room is used up first, nothing is read
until the books have answered, which holds the upstream up. Each extension is a commit of its own
under the guards of the opening, so that nothing is generated for which nobody pays, but for what is
on its way. An answer that nobody reads any more is ended alike, where that ends its bill. Must not
know: how an answer is sent, or what becomes of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.budgets.sheets import BudgetLimits
from cobot_meter.domain.errors import (
    BooksBusy,
    Conflict,
    ExposureExceeded,
)
from cobot_meter.domain.escrow.asks import DESERTED
from cobot_meter.domain.escrow.events import ReservationExtended
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.pricing.growth import LEAST_STEP_TOKENS, output_msat, output_tokens
from cobot_meter.domain.transitions.escrows import extension_transition
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.flows.answer.read_answer import read_answer
from cobot_meter.flows.budget.find_budgets import limits_of_sale
from cobot_meter.flows.ledger import Ledger
from cobot_meter.ports.escrow_runs import AnswerListener
from cobot_meter.ports.upstream import AnswerFeed, AnswerPiece


class _Limits(NamedTuple):
    """What an extension has to stay within, beside credit."""

    key: KeyLimits
    budgets: BudgetLimits


class AnswerRoom:
    """What is reserved for one run's answer, and what has become of the row meanwhile."""

    __slots__ = (
        *("_asking", "_denied", "_ledger", "_left", "_listener", "_over", "_sale", "_tasks"),
        *("_tokens", "_unheard"),
    )

    def __init__(self, ledger: Ledger, sale: Escrow, listener: AnswerListener) -> None:
        """`sale` is the row as its run is sent; `listener` hears the answer."""
        self._ledger = ledger
        self._listener = listener
        self._sale = sale
        self._tokens = room_of(sale)
        self._left = False  # by all who read it
        self._denied = False  # by a guard, for the moment
        self._over = False  # for good: the row is somebody else's, or nobody knows how it stands
        self._tasks: asyncio.TaskGroup | None = None
        self._asking: asyncio.Task[bool] | None = None
        self._unheard: Transition | None = None

    async def read(self, answer: AnswerFeed) -> UpstreamCompletion:
        """The answer, as far as it is paid for. Raises the faults of the upstream."""
        completion = await self._read(answer)
        return replace(completion, finish_reason=DESERTED) if self._left else completion

    async def _read(self, answer: AnswerFeed) -> UpstreamCompletion:
        if not self._sale.quote.grows:
            return await read_answer(answer, self._listener, self)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                completion = await read_answer(answer, self._listener, self)
        except BaseExceptionGroup as several:
            # A group wraps what comes of its body too; whoever waits knows faults by their type.
            raise several.exceptions[0] from None
        finally:
            self._asking = self._tasks = None
        return completion

    async def ends(self, piece: AnswerPiece) -> bool:
        """Whether the answer has to end with this piece: no more is paid for, or wanted.

        One that has said why it ends is read to its end: what is left are its figures.
        """
        if self._listener.deserted and self._stops(piece):
            self._left = True
        if self._left or self._tokens is None:
            return self._left
        said = piece.said_bytes
        if self._used_up(said):
            await self._wait_for_more(said)
            return self._used_up(said) and not piece.ended
        if self._used_up(2 * said):
            self._ask_ahead(said)
        return False

    async def settled(self, current: Escrow) -> Escrow:
        """`current` with what the extensions have made of its sale, all of which are over."""
        if self._unheard is not None:
            unheard, self._unheard = self._unheard, None
            await self._written(unheard, lasting=True)
        extended = self._sale.extensions > current.extensions
        return self._sale.with_run_of(current) if extended else current

    def _stops(self, piece: AnswerPiece) -> bool:
        """Whether its bill ends when it is closed; whoever was named does that."""
        stops = self._sale.quote.grows or piece.stops
        return stops and self._sale.mode is Mode.CREDIT and not piece.ended

    def _used_up(self, tokens: int) -> bool:
        return self._tokens is not None and tokens > self._tokens

    def _ask_ahead(self, said: int) -> None:
        """While the answer is read on; not again where there was nothing to be had."""
        idle = self._asking is None or self._asking.done()
        if self._tasks is not None and idle and not (self._denied or self._over):
            self._asking = self._tasks.create_task(self._extend(said))

    async def _wait_for_more(self, said: int) -> None:
        """What was denied before is asked for once more: others may have given theirs back."""
        if self._asking is not None:
            await self._asking
            self._asking = None
        while self._used_up(said) and not self._over:
            if not await self._extend(said):
                return

    async def _extend(self, said: int) -> bool:
        """Reserve twice as much, or for what was said if that is more; half where that is denied.

        Whether there is more room than before.
        """
        room = self._tokens or 0
        step = max(room, 2 * said - room, LEAST_STEP_TOKENS)
        limits = await self._limits()
        while limits is not None and step >= LEAST_STEP_TOKENS and not self._over:
            if await self._written(self._extension(step, limits)):
                self._denied = False
                return True
            step //= 2
        self._denied = True
        return False

    def _extension(self, tokens: int, limits: _Limits) -> Transition:
        sale = self._sale
        quote = sale.quote
        left_tokens = max(quote.max_tokens - (self._tokens or 0), 1)
        by_msat = output_msat(
            min(tokens, left_tokens), sale.prices, rate=quote.rate, terms=quote.terms
        )
        return extension_transition(
            sale,
            ReservationExtended(
                number=sale.extensions + 1,
                by_msat=min(by_msat, quote.ceiling_msat - sale.reserved_msat),
            ),
            at_ms=self._ledger.now_ms(),
            retention=self._ledger.retention,
            limits=limits.key,
            budgets=limits.budgets,
        )

    async def _written(self, transition: Transition, *, lasting: bool = False) -> bool:
        """Whether it is in the books. What nobody can tell is told again in the end."""
        try:
            applied = await self._ledger.apply(transition, lasting=lasting)
        except ExposureExceeded:
            return False
        except Conflict:
            self._over = True  # somebody else has moved the row
            return False
        except BooksBusy:
            self._over, self._unheard = True, transition
            return False
        self._sale = applied.escrow or self._sale
        self._tokens = room_of(self._sale)
        return True

    async def _limits(self) -> _Limits | None:
        """Those of key and budgets as they are now; None for a key that has ended.

        And where nobody can read them.
        """
        key_id = self._sale.key_id
        try:
            key = await self._ledger.books.api_key(key_id) if key_id is not None else None
            budgets = await limits_of_sale(self._ledger.books, self._sale)
        except BooksBusy:
            return None
        return _Limits(key.limits, budgets) if key is not None and key.is_live else None


def room_of(sale: Escrow) -> int | None:
    """How many tokens of output are paid for; None where there can be no more than that."""
    quote = sale.quote
    if quote.first_tokens is None or sale.reserved_msat >= quote.ceiling_msat:
        return None
    more = output_tokens(sale.extended_msat, sale.prices, rate=quote.rate, terms=quote.terms)
    tokens = quote.first_tokens + more
    return None if tokens >= quote.max_tokens else tokens
