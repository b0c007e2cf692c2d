"""The operator's door into a running service: a Unix socket, one JSON object a line, mode 0600.

One process writes the books, so a command that changes something asks the process that does.
Whoever may open the socket file is the operator: there is no other authentication.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson

from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import CobotMeterError, RequestInvalid, SettingInvalid
from cobot_meter.operator_api.commands import Command, Document
from cobot_meter.operator_api.socket_names import fitting

LINE_BYTES_MAX = 16_384
CONNECTIONS_MAX = 16
COMMANDS_MAX = 100  # of one connection
IDLE_S = 10.0
COMMAND_S = 30.0
BACKLOG = 16
PROBE_S = 1.0


class OperatorSocket:
    """Listens at `path` and answers, for as long as a block lasts."""

    def __init__(
        self,
        *,
        path: Path,
        commands: Mapping[str, Command],
        tasks: asyncio.TaskGroup,
        supervisor: Supervisor,
    ) -> None:
        """`commands` by name; `supervisor` keeps a bug in one from ending the process."""
        self._path = path
        self._commands = commands
        self._tasks = tasks
        self._supervisor = supervisor
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._conversations: set[asyncio.Task[None]] = set()
        self._over = False

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Serve the socket. Raises SettingInvalid when another process listens there already.

        Leaving closes it, stops what is being answered and takes the file away.
        """
        server = await asyncio.start_unix_server(
            self._connected, sock=_listener(self._path), limit=LINE_BYTES_MAX
        )
        try:
            yield
        finally:
            self._over = True
            server.close()
            self._path.unlink(missing_ok=True)
            for conversation in self._conversations:
                conversation.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._over:
            writer.close()  # accepted as it closed: nobody is left to answer
            return
        task = self._tasks.create_task(self._supervised(reader, writer), name="operator socket")
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        # Not in a `finally`: one that is cancelled before it began would never reach it.
        task.add_done_callback(lambda _ended: writer.close())

    async def _supervised(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._supervisor.once("operator socket", lambda: self._converse(reader, writer))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._slots.locked():
            return  # too many at once: closed without a word
        async with self._slots:
            for _ in range(COMMANDS_MAX):
                line = await _line(reader)
                if not line:
                    return
                answer = orjson.dumps(await self._answer(line)) + b"\n"
                with contextlib.suppress(ConnectionError, TimeoutError):
                    writer.write(answer)
                    async with asyncio.timeout(IDLE_S):
                        await writer.drain()

    async def _answer(self, line: bytes) -> Document:
        try:
            name, request = _request(line)
            command = self._commands.get(name)
            if command is None:
                message = (
                    f"there is no command {name[:40]!r}; there are {', '.join(self._commands)}"
                )
                raise RequestInvalid(message, param="command")
            async with asyncio.timeout(COMMAND_S):
                return {"ok": True, "result": await command(request)}
        except CobotMeterError as error:
            return {"ok": False, "code": error.code, "message": error.message}
        except TimeoutError:
            message = "the command took too long; look at the books before repeating it"
            return {"ok": False, "code": "timeout", "message": message}


def _listener(path: Path) -> socket.socket:
    _make_room(path)
    fresh = path.with_name(f"{path.name}.new")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fresh.unlink(missing_ok=True)
        with fitting(fresh) as name:
            listener.bind(name)
        fresh.chmod(0o600)
        listener.listen(BACKLOG)
        fresh.rename(path)  # only now can anybody find it, and it is closed to others
    except OSError as fault:
        listener.close()
        message = f"cannot listen at {path}: {fault.strerror}"
        raise SettingInvalid(message) from None
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _make_room(path: Path) -> None:
    """Take a socket away that nobody listens at any more. Raises SettingInvalid."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        message = f"{path} is not a socket: move it away"
        raise SettingInvalid(message)
    with fitting(path) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # somebody is there, only slow
    message = f"another process serves from {path.parent}: stop it first"
    raise SettingInvalid(message)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """One line; nothing when there is none, or none in time, or one too long."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await reader.readuntil(b"\n")
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""


def _request(line: bytes) -> tuple[str, Document]:
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        message = "a line must be a JSON object with a command"
        raise RequestInvalid(message, param="command")
    return request["command"], request
