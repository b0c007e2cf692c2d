"""What stands between one process and each part of the outside, and can be away, slow or wrong.

Callers, payers and the upstream's own book are on the other side of it: whoever pays, pays, though
the service hears nothing of it.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.domain.errors import (
    BooksBusy,
    InvoiceRefused,
    NodeUnavailable,
    OutcomeUnknown,
    RateStale,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, ListedInvoice, NodeIdentity
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.completions import UpstreamCall, UpstreamCompletion
from cobot_meter.ports.books import Applied, Books
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.ports.upstream import AccountHolder, AnswerFeed, TellGeneration
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.upstream import FakeUpstream

Result = TypeVar("Result")
ANSWER_S = 20.0  # how long a slow node is waited for
SLOW_RUN_S = 90.0
UNAVAILABLE = 503


class NodeTrouble(enum.Enum):
    """What is wrong with the node."""

    AWAY = enum.auto()
    SLOW = enum.auto()
    UNKNOWING = enum.auto()
    FORGETFUL = enum.auto()
    REFUSING = enum.auto()


class UpstreamTrouble(enum.Enum):
    """What is wrong with the upstream."""

    AWAY = enum.auto()
    FAILING = enum.auto()
    SLOW = enum.auto()
    CUT = enum.auto()


@dataclass(slots=True)
class Trouble:
    """What is wrong around a service now: nothing, in the beginning.

    The books are away until moments of the steady clock: for readers, for writers, and for the
    answers to what was written. `reads_lost`, `writes_lost` and `answers_lost` are so many calls.
    `forgotten` are hashes that the node has not in its list while it is forgetful.
    """

    reads_until_ms: int = 0
    writes_until_ms: int = 0
    answers_until_ms: int = 0
    reads_lost: int = 0
    writes_lost: int = 0
    answers_lost: int = 0
    node: NodeTrouble | None = None
    forgotten: set[str] = field(default_factory=set)
    upstream: UpstreamTrouble | None = None
    rates_away: bool = False


class BooksBetween:
    """One process's way to the books; until `cut_until_ms` it alone has none."""

    def __init__(
        self,
        books: Books,
        *,
        trouble: Trouble,
        clock: FakeClock,
        written: Callable[[Transition], Awaitable[None]],
    ) -> None:
        """`written` is told of every commit, before whoever made it."""
        self.cut_until_ms = 0
        self._books = books
        self._trouble = trouble
        self._clock = clock
        self._written = written

    async def apply(self, transition: Transition) -> Applied:
        trouble = self._trouble
        if self._cut(trouble.writes_until_ms) or trouble.writes_lost:
            trouble.writes_lost = max(trouble.writes_lost - 1, 0)
            raise BooksBusy("the books take no writes")
        applied = await self._books.apply(transition)
        if not applied.repeated:
            await self._written(transition)
        if self._until(trouble.answers_until_ms) or trouble.answers_lost:
            trouble.answers_lost = max(trouble.answers_lost - 1, 0)
            raise BooksBusy("nobody hears whether it is written")
        return applied

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def read(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any read of the port
            trouble = self._trouble
            if self._cut(trouble.reads_until_ms) or trouble.reads_lost:
                trouble.reads_lost = max(trouble.reads_lost - 1, 0)
                raise BooksBusy("the books cannot be read")
            return await getattr(self._books, name)(*arguments, **options)

        return read

    def _cut(self, moment_ms: int) -> bool:
        return self._until(moment_ms) or self._until(self.cut_until_ms)

    def _until(self, moment_ms: int) -> bool:
        return self._clock.monotonic_ms() < moment_ms


class NodeBetween:
    """The port `LightningNode`, on a way that has troubles."""

    def __init__(self, node: LightningNode, *, trouble: Trouble, clock: FakeClock) -> None:
        """`node` is well: all that is wrong is on the way to it."""
        self._node = node
        self._trouble = trouble
        self._clock = clock

    async def identity(self) -> NodeIdentity:
        return await self._asked(self._node.identity)

    def bind(self, identity: NodeIdentity) -> None:
        self._node.bind(identity)

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        if self._trouble.node is NodeTrouble.REFUSING:
            raise InvoiceRefused("the node makes no invoices")
        self._trouble.forgotten.discard(order.payment_hash)
        return await self._asked(lambda: self._node.add_invoice(order))

    async def look_up(self, payment_hash: str) -> Invoice | None:
        if self._forgot(payment_hash):
            return None
        return await self._told(lambda: self._node.look_up(payment_hash))

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        if self._forgot(payment_hash):
            raise InvoiceRefused("the node knows no invoice of this hash")
        return await self._told(lambda: self._node.cancel_invoice(payment_hash))

    async def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
        async for invoice in self._node.settled_invoices(since_settle_index):
            yield invoice

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        await self._told(self._node.ping)
        async for listed in self._node.listed_invoices(since_s):
            if not self._forgot(listed.invoice.payment_hash):
                yield listed

    async def receivable_msat(self) -> int | None:
        return await self._asked(self._node.receivable_msat)

    async def ping(self) -> None:
        await self._asked(self._node.ping)

    def _forgot(self, payment_hash: str) -> bool:
        trouble = self._trouble
        return trouble.node is NodeTrouble.FORGETFUL and payment_hash in trouble.forgotten

    async def _told(self, act: Callable[[], Awaitable[Result]]) -> Result:
        if self._trouble.node is NodeTrouble.UNKNOWING:
            raise NodeUnavailable("the node answers UNKNOWN")
        return await self._asked(act)

    async def _asked(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """What is slow is done, and its answer comes too late."""
        if self._trouble.node is NodeTrouble.AWAY:
            raise NodeUnavailable("the node is away")
        said = await act()
        if self._trouble.node is NodeTrouble.SLOW:
            await self._clock.sleep(ANSWER_S)
            raise NodeUnavailable("the node did not answer in time")
        return said


class UpstreamBetween:
    """The port `Upstream`, on a way that has troubles."""

    def __init__(self, upstream: FakeUpstream, *, trouble: Trouble, clock: FakeClock) -> None:
        """`upstream` is well, and charges for whatever reaches it."""
        self._upstream = upstream
        self._trouble = trouble
        self._clock = clock

    async def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        self._reached()
        answer = self._upstream.complete(
            call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
        )
        async with contextlib.aclosing(answer):
            async for said in answer:
                if isinstance(said, UpstreamCompletion):
                    await self._trouble_at_the_end()
                yield said

    async def _trouble_at_the_end(self) -> None:
        match self._trouble.upstream:
            case UpstreamTrouble.AWAY | UpstreamTrouble.CUT:
                raise OutcomeUnknown("the answer was cut")
            case UpstreamTrouble.FAILING:
                raise UpstreamFailed("the provider failed mid-stream")
            case UpstreamTrouble.SLOW:
                await self._clock.sleep(SLOW_RUN_S)

    @property
    def name(self) -> str:
        return self._upstream.name

    def account_holders(self) -> tuple[AccountHolder, ...]:
        return (cast("AccountHolder", self),)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def read(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any read of the port
            self._reached()
            if self._trouble.upstream in {UpstreamTrouble.SLOW, UpstreamTrouble.CUT}:
                await self._clock.sleep(ANSWER_S)
                raise UpstreamUnreachable("the upstream did not answer in time")
            return await getattr(self._upstream, name)(*arguments, **options)

        return read

    def _reached(self) -> None:
        match self._trouble.upstream:
            case UpstreamTrouble.AWAY:
                raise UpstreamUnreachable("the upstream cannot be reached")
            case UpstreamTrouble.FAILING:
                raise UpstreamRefused("the upstream answered 503", status=UNAVAILABLE)


class RateBetween(StaticRate):
    """A rate that nobody can say while its sources are away."""

    def __init__(self, *, usd_micro_per_btc: int, clock: FakeClock, trouble: Trouble) -> None:
        """As any static rate."""
        super().__init__(usd_micro_per_btc=usd_micro_per_btc, clock=clock)
        self._trouble = trouble

    async def current(self) -> ExchangeRate:
        if self._trouble.rates_away:
            raise RateStale("no exchange rate is fresh enough to price with")
        return await super().current()


class TrueTime:
    """The node's own clock: it passes as time does, whoever sets ours."""

    def __init__(self, clock: FakeClock) -> None:
        """As ours, until that is set."""
        self._clock = clock
        self._ahead_ms = START_MS - clock.monotonic_ms()

    def now_ms(self) -> int:
        return self._clock.monotonic_ms() + self._ahead_ms

    def monotonic_ms(self) -> int:
        return self._clock.monotonic_ms()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def as_upstream(between: UpstreamBetween) -> FakeUpstream:
    """For parts that are typed by the one in memory."""
    return cast("FakeUpstream", between)
