"""The gates before a new ask: can the node be sold with, and will our credit upstream last.

Both are kept by the background, so that no ask waits for the network: the node's by the node watch,
the upstream's by looks at the account, with what has been opened since counted here in memory. What
is paid for already does not pass here: it is released whatever the node or the account says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from cobot_meter.domain.errors import (
    NodeUnavailable,
    UpstreamCreditLow,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.money import usd_text
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.accounts import OPENROUTER, UpstreamAccount
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.ports.upstream import Upstream

NODE_RETRY_S = 5


class NodeGate:
    """Open until somebody finds the node away, or the books behind it.

    Two reasons, each with its own keeper: who opens for one never opens for the other.
    """

    def __init__(self, *, releases: ReleaseGate | None = None) -> None:
        """Open: a service starts with a node that answered. Nothing passes closed `releases`."""
        self._closed = False
        self._held = False
        self._releases = releases or ReleaseGate()

    @property
    def held(self) -> bool:
        """Whether the books have yet to catch up with the node."""
        return self._held

    def hold(self) -> None:
        """The node may have been paid for something that the books do not know."""
        self._held = True

    def let_go(self) -> None:
        """The books know whatever the node was paid."""
        self._held = False

    def open(self) -> None:
        """The node is well."""
        self._closed = False

    def close(self) -> None:
        """The node is away, or is not ours."""
        self._closed = True

    def check(self) -> None:
        """Return while a new sale can be made. Raises NodeUnavailable, ReleasesStopped."""
        self._releases.check()
        if self._closed:
            message = (
                "The Lightning node of this service is away just now, and nothing was run. "
                "Repeat the same request in a moment."
            )
            raise NodeUnavailable(message, retry_after_s=NODE_RETRY_S)
        if self._held:
            message = (
                "This service has yet to hold its books against its Lightning node, and nothing "
                "was run. Repeat the same request in a moment."
            )
            raise NodeUnavailable(message, retry_after_s=NODE_RETRY_S)


LOG = logging.getLogger(__name__)
CREDIT_RETRY_S = 60
LOW = "This service takes no new asks just now, and nothing was run. Repeat it in a minute."
_NO_CREDIT = frozenset({402, 403})
_NOT_CHARGED = frozenset({UpstreamRefused.code, UpstreamUnreachable.code})


class WatchAccount:
    """Knows nothing before the first look, and then refuses nothing."""

    def __init__(self, *, upstream: Upstream, reserve_pusd: int) -> None:
        """Asks are refused that could leave less than `reserve_pusd`."""
        self._upstream = upstream
        self._reserve_pusd = reserve_pusd
        self._running: dict[str, int] = {}
        self._in_flight_pusd = self._ended_pusd = 0
        self._alarm = asyncio.Event()
        self._was_low = False
        self.account: UpstreamAccount | None = None

    @property
    def in_flight_pusd(self) -> int:
        """The most that may be spent of what the last look found."""
        return self._in_flight_pusd + self._ended_pusd

    @property
    def left_pusd(self) -> int | None:
        """What is left for further asks, below zero when too much runs; None without a bound."""
        left_pusd = self.account.left_pusd if self.account else None
        return None if left_pusd is None else left_pusd - self._reserve_pusd - self.in_flight_pusd

    async def look(self) -> None:
        """Ask the upstream. Raises its faults; then the last figures stay, and the count grows."""
        self._alarm.clear()
        told_pusd = self._ended_pusd
        self.account = await self._upstream.account()
        self._ended_pusd -= told_pusd
        self._say()

    async def look_soon(self, interval_s: float) -> None:
        """Wait for a run that was refused for want of credit, or the interval, then look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s if self.account else 0):
                await self._alarm.wait()
        await self.look()

    def payable(self, models: tuple[Model, ...], ceiling_pusd: int) -> tuple[Model, ...]:
        """Those that what is left will pay for; all of them when it pays for none."""
        left_pusd = self.left_pusd
        if left_pusd is None or left_pusd >= ceiling_pusd:
            return models
        return tuple(model for model in models if model.upstream != OPENROUTER) or models

    @contextlib.contextmanager
    def room(self, escrow: Escrow, upstream: str) -> Iterator[None]:
        """Count an escrow's ceiling from its opening on. Raises UpstreamCreditLow.

        Counted before the books are asked, so that asks at the same time see each other; given
        back when it was not opened.
        """
        if upstream != OPENROUTER:
            yield
            return
        left_pusd, ceiling_pusd = self.left_pusd, escrow.quote.ceiling_pusd
        if left_pusd is not None and left_pusd < ceiling_pusd:
            raise UpstreamCreditLow(LOW, retry_after_s=CREDIT_RETRY_S)
        self._running[escrow.escrow_id] = ceiling_pusd
        self._in_flight_pusd += ceiling_pusd
        opened = False
        try:
            yield
            opened = True
        finally:
            if not opened:
                self._off(escrow.escrow_id)

    def observe(self, transition: Transition) -> None:
        """Take what has ended off what runs; it is counted until a later look has seen it."""
        escrow = transition.escrow
        if escrow is None or escrow.run.may_charge:
            return
        failure = escrow.failure
        if failure is not None and failure.status in _NO_CREDIT:
            self._alarm.set()
        ceiling_pusd = self._off(escrow.escrow_id)
        if failure is None or failure.code not in _NOT_CHARGED:
            self._ended_pusd += ceiling_pusd

    def over(self, escrow_id: str) -> None:
        """Its run has ended here; where another process wrote down how, it may have cost all.

        Else what one replica loses to another would count against our credit for ever.
        """
        self._ended_pusd += self._off(escrow_id)

    async def ping(self) -> None:
        """Return while there is room for another ask. Raises UpstreamCreditLow."""
        if self.low:
            raise UpstreamCreditLow(LOW, retry_after_s=CREDIT_RETRY_S)

    def _off(self, escrow_id: str) -> int:
        """No longer in flight; what was counted for it, 0 when nothing is."""
        ceiling_pusd = self._running.pop(escrow_id, 0)
        self._in_flight_pusd -= ceiling_pusd
        return ceiling_pusd

    @property
    def low(self) -> bool:
        """Whether there is no room for any further ask."""
        left_pusd = self.left_pusd
        return left_pusd is not None and left_pusd <= 0

    def _say(self) -> None:
        low, account = self.low, self.account
        if low and not self._was_low and account is not None:
            LOG.warning(
                "our credit upstream is low, new asks are refused: %s USD left",
                usd_text(max(account.left_pusd or 0, 0)),
            )
        elif self._was_low and not low:
            LOG.warning("our credit upstream is there again: new asks are taken")
        self._was_low = low
