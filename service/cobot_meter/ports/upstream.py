"""Whoever runs models and charges us for it, under a name. Must not know: callers or Lightning."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import (
    GenerationCost,
    Model,
    UpstreamCall,
    UpstreamCompletion,
)
from cobot_meter.domain.upstream.deltas import Deltas
from cobot_meter.domain.upstream.endpoints import Endpoint

TellGeneration = Callable[[str], Awaitable[None]]


class AnswerPiece(Protocol):
    """What came of an answer in one read; nothing is made of it for whoever does not ask."""

    @property
    def size(self) -> int:
        """How many bytes came."""

    @property
    def said_bytes(self) -> int:
        """How many bytes the whole answer has said until now; it has no more visible tokens."""

    @property
    def ended(self) -> bool:
        """Whether the answer has said why it ends: what is left is its figures."""

    @property
    def stops(self) -> bool:
        """Whether whoever serves it is known to charge nothing further once the feed is closed."""

    def deltas(self) -> Deltas:
        """What they say. Whoever asks again gets the same value."""

    def so_far(self) -> Deltas:
        """All that the answer has said until now, as one delta: for whoever comes late."""

    def cut(self) -> UpstreamCompletion:
        """The whole answer as if it ended here, with the finish reason `length` and no cost.

        For whoever closes the feed after this piece. Raises OutcomeUnknown where nobody could look
        its cost up.
        """


# Pieces in order, then the summary as the last item, all asked for by one task. Whoever stops
# before the end closes it.
AnswerFeed = AsyncGenerator[AnswerPiece | UpstreamCompletion, None]


class AccountHolder(Protocol):
    """Keeps an account of ours whose credit can run low."""

    @property
    def name(self) -> str:
        """The upstream's name, which its models bear too."""

    async def account(self) -> UpstreamAccount:
        """What is left: of our key's limit, and of the account as far as our key may know.

        Raises UpstreamUnreachable, UpstreamRefused.
        """


class Upstream(Protocol):
    """One upstream, or several as one."""

    @property
    def name(self) -> str:
        """What its models and its runs bear; of several, that of the one whose usage is told."""

    def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        """Run once; never repeated by the adapter, since every repeat is a charge.

        Nothing is sent before the first item is asked for. To close it ends the connection
        upstream, whatever is left of the answer; while nobody asks for the next item nothing
        further is read, and the time in which nobody asks is no part of any limit.

        `within_ms` bounds the whole time, beside the adapter's own limit.

        The body may be taken. `on_started` is awaited with the generation id as soon as
        the headers name it, before the answer's body is read. `price_cap` holds the unit prices the
        upstream must not exceed.
        Raises UpstreamUnreachable and UpstreamRefused (certainly not charged), UpstreamFailed
        (ran and failed), OutcomeUnknown (may have been charged).
        """

    async def generation_cost(self, generation_id: str, *, upstream: str) -> GenerationCost:
        """The own record of the upstream of this name, which its run bears.

        Raises CostNotYetKnown, UpstreamUnreachable, UpstreamRefused.
        One try: the caller of this port decides when to ask again.
        """

    async def models(self) -> tuple[Model, ...]:
        """Every model with finite, non-negative prices (router models priced -1 are left out)."""

    async def endpoints(self, model_id: str) -> tuple[Endpoint, ...]:
        """Who serves this model, at finite, non-negative prices; nobody for a model it has not.

        Raises UpstreamUnreachable, UpstreamRefused.
        """

    async def usage_pusd(self) -> int:
        """All our key has ever spent at the upstream of `name`, in pico-USD."""

    def account_holders(self) -> tuple[AccountHolder, ...]:
        """Whoever of them keeps an account that can run low, each name once; it asks nobody."""

    async def ping(self) -> None:
        """Return when the upstream answers and accepts our key."""
