"""Will our credit upstream last for one more ask: asked before anything is spent on it.

The background looks at the account; what has been opened since is counted here, in memory, from
what is booked. So no ask waits for the network. What is counted is this process's own. Must not
know: HTTP, or who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from service.domain.completions import Model
from service.domain.errors import UpstreamCreditLow, UpstreamRefused, UpstreamUnreachable
from service.domain.escrow_record import Escrow, EscrowState
from service.domain.ledger import Transition
from service.domain.money import usd_text
from service.domain.upstream_accounts import OPENROUTER, UpstreamAccount
from service.ports.upstream import Upstream

LOG = logging.getLogger(__name__)
RETRY_S = 60
LOW = "This service takes no new asks just now, and nothing was run. Repeat it in a minute."
_NO_CREDIT = frozenset({402, 403})
_NOT_CHARGED = frozenset({UpstreamRefused.code, UpstreamUnreachable.code})
_RUNNING = frozenset({EscrowState.OPENED, EscrowState.REQUESTED})


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
            raise UpstreamCreditLow(LOW, retry_after_s=RETRY_S)
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
        if escrow is None or escrow.state in _RUNNING:
            return
        failure = escrow.failure
        if failure is not None and failure.status in _NO_CREDIT:
            self._alarm.set()
        ceiling_pusd = self._off(escrow.escrow_id)
        if failure is None or failure.code not in _NOT_CHARGED:
            self._ended_pusd += ceiling_pusd

    async def ping(self) -> None:
        """Return while there is room for another ask. Raises UpstreamCreditLow."""
        if self.low:
            raise UpstreamCreditLow(LOW, retry_after_s=RETRY_S)

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
