"""Serve an ASGI application on an address for as long as a block lasts.

Drives uvicorn's own start, loop and stop, but never its signal handlers: the process has one stop,
and several listeners.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.http_api.http.exchange import AsgiApp
from cobot_meter.wiring.connections.bounded_http import BoundedConfig
from cobot_meter.wiring.connections.limits import ConnectionLimits
from cobot_meter.wiring.connections.register import Register
from cobot_meter.wiring.settings.addresses import Address

BACKLOG = 2_048
STOP_S = 5


@contextlib.asynccontextmanager
async def listening(
    app: AsgiApp,
    address: Address,
    *,
    limits: ConnectionLimits | None = None,
    report: Callable[[str], None] | None = None,
) -> AsyncIterator[Address]:
    """Gives the address that was really bound (port 0 lets the system choose).

    `report` hears why, of each request and connection that never reaches the application.
    Leaving stops accepting, gives running requests a few seconds, then closes. Raises
    SettingInvalid when the address is taken.
    """
    clock = asyncio.get_running_loop().time
    register = Register((limits or ConnectionLimits()).fitted(), clock=clock, report=report)
    config = BoundedConfig(
        app,
        register=register,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
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
            watch = tasks.create_task(register.watch(), name=f"connections to {port}")
            try:
                yield Address(host=host, port=port)
            finally:
                server.should_exit = True
            await server.shutdown(sockets=[listener])
            watch.cancel()


def _bound(address: Address) -> socket.socket:
    """It listens already: of two that are bound to one port uvloop tells the later one nothing."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as fault:
        listener.close()
        message = f"cannot listen on {address.host}:{address.port}: {fault.strerror}"
        raise SettingInvalid(message) from None
    return listener
