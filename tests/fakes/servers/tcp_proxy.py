"""A TCP proxy that can go silent: connections stay open and nothing comes through any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK = 65_536


class TcpProxy:
    """Passes octets on to one port of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def go_silent(self) -> None:
        """Half-open from now on, new connections too."""
        self._passing.clear()

    def speak_again(self) -> None:
        """What waited comes through."""
        self._passing.set()

    def cut(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        with contextlib.suppress(OSError, ExceptionGroup):
            there_reader, there_writer = await asyncio.open_connection(
                "127.0.0.1", self._target_port
            )
            self._writers |= {writer, there_writer}
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, there_writer))
                tasks.create_task(self._pass_on(there_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(CHUNK):
                await self._passing.wait()
                writer.write(octets)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def tcp_proxy(target_port: int) -> AsyncIterator[TcpProxy]:
    """Listening on `port` of 127.0.0.1."""
    proxy = TcpProxy(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.speak_again()
        server.close()
        proxy.cut()
