"""The gates before a new ask: can the node be sold with, and will our credit upstream last.

Both are kept by the background, so that no ask waits for the network: the node's by the node watch,
the upstream's by looks at the account, with what has been opened since counted here in memory. What
is paid for already does not pass here: it is released whatever the node or the account says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping

from cobot_meter.domain.errors import (
    NodeUnavailable,
    UpstreamCreditLow,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import usd_text
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.ports.upstream import AccountHolder

NODE_RETRY_S = 5


class NodeGate:
    """Open until somebody finds the node away, or the books behind it.

    Two reasons, each with its own keeper: who opens for one never opens for the other.
    """

    def __init__(self, *, release_gate: ReleaseGate | None = None) -> None:
        """Open: a service starts with a node that answered. Stopped sales shut it too."""
        self._closed = False
        self._held = False
        self._release_gate = release_gate or ReleaseGate()

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
        self._release_gate.check()
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


class WatchedAccount:
    """One upstream's. Knows nothing before the first look, and then refuses nothing."""

    def __init__(self, holder: AccountHolder, *, reserve_pusd: int) -> None:
        """Asks that could leave less than `reserve_pusd` of `holder`'s account are refused."""
        self._holder = holder
        self._reserve_pusd = reserve_pusd
        self._in_flight_pusd = self._ended_pusd = 0
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

    @property
    def low(self) -> bool:
        """Whether there is no room for any further ask."""
        left_pusd = self.left_pusd
        return left_pusd is not None and left_pusd <= 0

    def pays(self, ceiling_pusd: int) -> bool:
        """Whether what is left covers this."""
        left_pusd = self.left_pusd
        return left_pusd is None or left_pusd >= ceiling_pusd

    async def look(self) -> None:
        """Ask the upstream. Raises its faults; then the last figures stay, and the count grows."""
        told_pusd = self._ended_pusd
        self.account = await self._holder.account()
        self._ended_pusd -= told_pusd
        self._say()

    def begun(self, ceiling_pusd: int) -> None:
        """A run that may cost so much is in flight from here on."""
        self._in_flight_pusd += ceiling_pusd

    def over(self, ceiling_pusd: int, *, charged: bool) -> None:
        """It no longer is; where it may have been charged, it is counted until a later look."""
        self._in_flight_pusd -= ceiling_pusd
        self._ended_pusd += ceiling_pusd if charged else 0

    def _say(self) -> None:
        low, account = self.low, self.account
        if low and not self._was_low and account is not None:
            LOG.warning(
                "our credit upstream is low, new asks of %s are refused: %s USD left",
                self._holder.name,
                usd_text(max(account.left_pusd or 0, 0)),
            )
        elif self._was_low and not low:
            LOG.warning(
                "our credit upstream is there again: new asks of %s are taken", self._holder.name
            )
        self._was_low = low


class WatchAccount:
    """Every account upstream whose credit can run low; what keeps none is never refused here."""

    def __init__(self, *, holders: Iterable[AccountHolder], reserve_pusd: int) -> None:
        """Asks are refused that could leave less than `reserve_pusd` of the account they run on."""
        self.by_upstream: Mapping[str, WatchedAccount] = {
            holder.name: WatchedAccount(holder, reserve_pusd=reserve_pusd) for holder in holders
        }
        self._running: dict[str, tuple[WatchedAccount, int]] = {}
        self._alarm = asyncio.Event()

    @property
    def low(self) -> bool:
        """Whether no account has room for any further ask."""
        accounts = self.by_upstream.values()
        return bool(accounts) and all(account.low for account in accounts)

    async def look(self) -> None:
        """Ask every upstream. Raises the fault of the first that does not answer, at the end."""
        self._alarm.clear()
        faults: list[UpstreamRefused | UpstreamUnreachable] = []
        for account in self.by_upstream.values():
            try:
                await account.look()
            except (UpstreamRefused, UpstreamUnreachable) as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    async def look_soon(self, interval_s: float) -> None:
        """Wait for a run that was refused for want of credit, or the interval, then look."""
        known = all(account.account for account in self.by_upstream.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s if known else 0):
                await self._alarm.wait()
        await self.look()

    def payable(self, models: tuple[Model, ...], ceiling_pusd: int) -> tuple[Model, ...]:
        """Those that what is left will pay for; all of them when it pays for none."""
        return tuple(model for model in models if self._pays(model, ceiling_pusd)) or models

    def _pays(self, model: Model, ceiling_pusd: int) -> bool:
        account = self.by_upstream.get(model.upstream)
        return account is None or account.pays(ceiling_pusd)

    @contextlib.contextmanager
    def room(self, run: Run, ceiling_pusd: int) -> Iterator[None]:
        """Count what a run may cost from its opening on. Raises UpstreamCreditLow.

        Counted before the books are asked, so that asks at the same time see each other; given
        back when it was not opened.
        """
        account = self.by_upstream.get(run.upstream)
        if account is None:
            yield
            return
        if not account.pays(ceiling_pusd):
            raise UpstreamCreditLow(LOW, retry_after_s=CREDIT_RETRY_S)
        self._running[run.run_id] = (account, ceiling_pusd)
        account.begun(ceiling_pusd)
        opened = False
        try:
            yield
            opened = True
        finally:
            if not opened:
                self._over(run.run_id, charged=False)

    def observe(self, transition: Transition) -> None:
        """Take what has ended off what runs; it is counted until a later look has seen it."""
        for run, _ in transition.runs:
            if not run.may_charge:
                self._ended(run)

    def _ended(self, run: Run) -> None:
        failure = run.failure
        if failure is not None and failure.status in _NO_CREDIT:
            self._alarm.set()
        charged = failure is None or failure.code not in _NOT_CHARGED
        self._over(run.run_id, charged=charged)

    def over(self, run_id: str) -> None:
        """It has ended here; where another process wrote down how, it may have cost all.

        Else what one replica loses to another would count against our credit for ever.
        """
        self._over(run_id, charged=True)

    async def ping(self) -> None:
        """Return while there is room for another ask. Raises UpstreamCreditLow."""
        if self.low:
            raise UpstreamCreditLow(LOW, retry_after_s=CREDIT_RETRY_S)

    def _over(self, run_id: str, *, charged: bool) -> None:
        """No longer in flight; nothing happens for what was not counted."""
        counted = self._running.pop(run_id, None)
        if counted is not None:
            account, ceiling_pusd = counted
            account.over(ceiling_pusd, charged=charged)
