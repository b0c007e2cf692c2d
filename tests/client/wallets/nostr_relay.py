"""A Nostr relay of our own, over real sockets: what NIP-01 asks of one, and switches for faults."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

_REPLACEABLE = range(10_000, 20_000)
_EPHEMERAL = range(20_000, 30_000)


class NostrRelay:
    """Keeps replaceable events, passes ephemeral ones on; verifies nothing, as a bad one would."""

    def __init__(self) -> None:
        self.url = ""
        self.kept: list[dict[str, Any]] = []
        self.published: list[dict[str, Any]] = []
        self.refuses: str = ""  # said of every event, in place of passing it on
        self.hangs_up_at: int | None = None  # the kind of event at which its sender is dropped
        self.alters: dict[str, Any] = {}  # members of a response that are changed on the way
        self._listening: list[tuple[web.WebSocketResponse, str, dict[str, Any]]] = []

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("no JSON at all")  # whoever listens must pass over this
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._take(socket, json.loads(message.data))
        self._listening = [one for one in self._listening if one[0] is not socket]
        return socket

    async def _take(self, socket: web.WebSocketResponse, message: list[Any]) -> None:
        if message[0] == "REQ":
            _, name, wanted = message
            self._listening.append((socket, name, wanted))
            for event in [one for one in self.kept if _matches(one, wanted)]:
                await socket.send_json(["EVENT", name, event])
            await socket.send_json(["EOSE", name])
        elif message[0] == "EVENT":
            await self._publish(socket, message[1])

    async def _publish(self, socket: web.WebSocketResponse, event: dict[str, Any]) -> None:
        if self.refuses:
            await socket.send_json(["OK", event["id"], False, self.refuses])
            return
        self.published.append(event)
        if event["kind"] in _REPLACEABLE:
            self.kept = [one for one in self.kept if one["kind"] != event["kind"]] + [event]
        if event["kind"] == self.hangs_up_at:
            await socket.close()
        else:
            await socket.send_json(["OK", event["id"], True, ""])
        if event["kind"] == 23_195:
            event = {**event, **self.alters}
        for listener, name, wanted in list(self._listening):
            if not listener.closed and _matches(event, wanted):
                await listener.send_json(["EVENT", name, event])


def _matches(event: dict[str, Any], wanted: dict[str, Any]) -> bool:
    tags = {(tag[0], tag[1]) for tag in event["tags"] if len(tag) > 1}
    return (
        event["kind"] in wanted.get("kinds", [event["kind"]])
        and event["pubkey"] in wanted.get("authors", [event["pubkey"]])
        and all(
            any((name[1:], value) in tags for value in values)
            for name, values in wanted.items()
            if name.startswith("#")
        )
    )


@asynccontextmanager
async def relaying() -> AsyncIterator[NostrRelay]:
    """A relay that listens."""
    relay = NostrRelay()
    app = web.Application()
    app.router.add_get("/", relay.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    relay.url = f"ws://{host}:{port}/"
    try:
        yield relay
    finally:
        await runner.cleanup()
