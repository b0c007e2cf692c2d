"""Serve an ASGI application on an address for as long as a block lasts.

Drives uvicorn's own start, loop and stop, but never its signal handlers: the process has one
stop, and several listeners. Must not know: which application it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from service.domain.errors import SettingInvalid
from service.wiring.addresses import Address

AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

BACKLOG = 2_048
KEEP_ALIVE_S = 75
STOP_S = 5


@contextlib.asynccontextmanager
async def listening(app: AsgiApp, address: Address) -> AsyncIterator[Address]:
    """Gives the address that was really bound (port 0 lets the system choose).

    Leaving stops accepting, gives running requests a few seconds, then closes. Raises
    SettingInvalid when the address is taken.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with _bound(address) as listener:
        host, port = listener.getsockname()[:2]
        await server.startup(sockets=[listener])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.main_loop(), name=f"listening on {port}")
            try:
                yield Address(host=host, port=port)
            finally:
                server.should_exit = True
        await server.shutdown(sockets=[listener])


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except OSError as fault:
        listener.close()
        message = f"cannot listen on {address.host}:{address.port}: {fault.strerror}"
        raise SettingInvalid(message) from None
    return listener
