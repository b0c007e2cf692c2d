"""Payments that stop half way: the router between holds them until it is told to fail them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from cobot_meter.adapters.lightning.lnd.messages import Message
from cobot_meter.adapters.lightning.lnd.stubs import routerrpc
from deploy.regtest.lnd.node import Node

ACTIONS = routerrpc.ResolveHoldForwardAction
ENDED_WITHIN_S = 20.0
SEEN_WITHIN_S = 15.0
PROBE_MSAT = 1_000
PROBES = 50


class HeldForwards:
    """The interceptor of the router, opened with the first payment that is to be held."""

    def __init__(
        self, payer: Node, router: Node, payee: Node, stack: contextlib.AsyncExitStack
    ) -> None:
        self._payer = payer
        self._payee = payee
        self._router = router
        self._stack = stack
        self._wanted: set[str] = set()
        self._given_up: set[str] = set()
        self._held: list[Message] = []
        self._arrived = asyncio.Event()
        self._seen = 0
        self._stream: Message = None
        self._payments: list[asyncio.Task[object]] = []

    async def hold(self, payment_hash: str, payment_request: str) -> None:
        """Begin to pay; return when the router has the payment in its hands."""
        if self._stream is None:
            services = await self._stack.enter_async_context(self._router.services())
            self._stream = services.router.HtlcInterceptor(metadata=services.metadata)
            self._payments.append(asyncio.create_task(self._decide()))
            await self._until_it_intercepts()
        self._wanted.add(payment_hash)
        self._arrived.clear()
        self._payments.append(asyncio.create_task(self._payer.pay(payment_request)))
        async with asyncio.timeout(SEEN_WITHIN_S):
            await self._arrived.wait()

    async def fail_all(self) -> None:
        """Give every held payment back to the payer, who sees it fail."""
        held, self._held = self._held, []
        self._given_up |= self._wanted
        self._wanted.clear()
        for forward in held:
            await self._answer(forward, ACTIONS.FAIL)
        if len(self._payments) > 1:
            await asyncio.wait(self._payments[1:], timeout=ENDED_WITHIN_S)
        self._given_up.clear()
        if held:  # else the payer avoids the router for an hour
            await self._payer.forget_failures()

    async def close(self) -> None:
        """Nothing stays under way."""
        await self.fail_all()
        for task in self._payments:
            task.cancel()
        await asyncio.gather(*self._payments, return_exceptions=True)

    async def _until_it_intercepts(self) -> None:
        """Let payments pass until one is seen: lnd does not say when it listens."""
        for _ in range(PROBES):
            if self._seen:
                return
            await self._payer.pay(await self._payee.add_invoice(PROBE_MSAT))
        raise TimeoutError("the router hands over no payment")

    async def _decide(self) -> None:
        while True:
            forward = await self._stream.read()
            self._seen += 1
            payment_hash = forward.payment_hash.hex()
            if payment_hash in self._wanted:
                self._held.append(forward)
                self._arrived.set()
            elif payment_hash in self._given_up:  # the payer tries again by itself
                await self._answer(forward, ACTIONS.FAIL)
            else:
                await self._answer(forward, ACTIONS.RESUME)

    async def _answer(self, forward: Message, action: int) -> None:
        await self._stream.write(
            routerrpc.ForwardHtlcInterceptResponse(
                incoming_circuit_key=forward.incoming_circuit_key, action=action
            )
        )


@contextlib.asynccontextmanager
async def held_forwards(*, payer: Node, router: Node, payee: Node) -> AsyncIterator[HeldForwards]:
    """Costs nothing before the first `hold`."""
    async with contextlib.AsyncExitStack() as stack:
        forwards = HeldForwards(payer, router, payee, stack)
        try:
            yield forwards
        finally:
            await forwards.close()
