"""Any ASGI application on a real loopback socket, in the test's own event loop.

The protocol is the service's own; uvicorn's start and stop are driven without its main loop, whose
ticks and grace would cost every test 0.2 s, and without its signal handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn

from cobot_meter.wiring.connections.bounded_http import BoundedConfig
from cobot_meter.wiring.connections.limits import ConnectionLimits
from cobot_meter.wiring.connections.register import Register

AsgiApp = Callable[..., Awaitable[None]]
STOPPED_WITHIN_S = 5.0


@contextlib.asynccontextmanager
async def serving(
    app: AsgiApp, *, lifespan: bool = False, register: Register | None = None
) -> AsyncIterator[str]:
    """Serve `app` on a free port of 127.0.0.1; gives its address, `http://127.0.0.1:<port>`.

    `lifespan` runs the application's start-up and shutdown. Requests still running when the
    block is left are cancelled; `register` bounds the connections, whose times nobody looks at but
    the test. Fit for `async with` in a test or in an async fixture.
    """
    clock = asyncio.get_running_loop().time
    config = BoundedConfig(
        app,
        register=register or Register(ConnectionLimits(), clock=clock),
        lifespan="on" if lifespan else "off",
        log_config=None,
        access_log=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.startup(sockets=[listener])
        await server.on_tick(0)
        try:
            yield address
        finally:
            await _stop(server)


@contextlib.contextmanager
def refused_address() -> Iterator[str]:
    """An address that refuses every connection for as long as it is held."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


async def _stop(server: uvicorn.Server) -> None:
    for listening in server.servers:
        listening.close()
    state = server.server_state
    for task in state.tasks:
        task.cancel()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=STOPPED_WITHIN_S)
    for connection in list(state.connections):
        connection.shutdown()
    async with asyncio.timeout(STOPPED_WITHIN_S):
        for listening in server.servers:
            await listening.wait_closed()
    await server.lifespan.shutdown()
