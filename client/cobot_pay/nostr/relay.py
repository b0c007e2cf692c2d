"""One connection to a Nostr relay. What comes through it is verified; the relay is not believed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from cobot_pay.nostr.events import Event, EventRefused, read_event

_MESSAGE_BYTES_MAX = 1_048_576
_HEARTBEAT_S = 20.0


class RelayLost(Exception):
    """There is no connection to the relay, or there is none any more."""


class Relay:
    """Publishes events, and listens for those that a filter lets through."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """`socket` is open."""
        self._socket = socket
        self._names = itertools.count(1)

    async def publish(self, event: Event) -> None:
        """Send it; what the relay makes of it comes among what is listened to."""
        await self._send(["EVENT", event.document()])

    async def listen(self, **wanted: Any) -> str:  # noqa: ANN401 - a filter of NIP-01
        """Ask for events, those to come among them; the name of the subscription."""
        name = f"s{next(self._names)}"
        await self._send(["REQ", name, wanted])
        return name

    async def events(self, name: str, *, author: str) -> AsyncIterator[Event | None]:
        """What comes: verified events of `author`, and None once the stored ones have come.

        Others' events and what is no event is passed over. Raises RelayLost at the end.
        """
        async for message in self._messages():
            match message:
                case ["EVENT", subscription, document] if subscription == name:
                    try:
                        event = read_event(document)
                    except EventRefused:
                        continue
                    if event.pubkey == author:
                        yield event
                case ["EOSE", subscription] if subscription == name:
                    yield None
                case ["CLOSED", subscription, *_] if subscription == name:
                    raise RelayLost("the relay does not let us listen")
                case ["OK", _, False, reason]:
                    raise RelayLost(f"the relay says that it does not pass it on: {reason!s:.200}")
                case _:
                    continue

    async def _messages(self) -> AsyncIterator[list[Any]]:
        while True:
            received = await self._socket.receive()
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise RelayLost("the relay closed the connection")
            try:
                message = json.loads(received.data)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, list):
                yield message

    async def _send(self, message: list[Any]) -> None:
        try:
            await self._socket.send_str(json.dumps(message, separators=(",", ":")))
        except (aiohttp.ClientError, ConnectionError) as fault:
            raise RelayLost("the relay closed the connection") from fault


@asynccontextmanager
async def connected(urls: tuple[str, ...], *, within_s: float) -> AsyncIterator[Relay]:
    """A connection to the first of these relays that answers. Raises RelayLost when none does."""
    async with aiohttp.ClientSession() as session:
        for url in urls:
            try:
                async with asyncio.timeout(within_s):
                    socket = await session.ws_connect(
                        url, max_msg_size=_MESSAGE_BYTES_MAX, heartbeat=_HEARTBEAT_S
                    )
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                continue
            try:
                yield Relay(socket)
            finally:
                await socket.close()
            return
    raise RelayLost(f"no relay answers at {' or '.join(urls)}")
