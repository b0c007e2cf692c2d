"""The operator's socket: commands by line, closed to others, and nothing that stops it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import RequestInvalid, SettingInvalid
from cobot_meter.operator_api import socket as operator_socket
from cobot_meter.operator_api import socket_names
from cobot_meter.operator_api.commands import operator_commands
from cobot_meter.operator_api.socket import OperatorSocket
from cobot_meter.operator_api.socket_names import fitting
from tests.fakes.clock import FakeClock
from tests.flows.rigs.operator_rig import OperatorRig, operator_rig


class Door:
    """A socket that runs, and the rig behind it."""

    def __init__(self, path: Path, tasks: asyncio.TaskGroup, rig: OperatorRig) -> None:
        self.path = path
        self.rig = rig
        self.faults: list[str] = []
        commands = operator_commands(
            cancel_invoice=self.rig.cancellations,
            set_caller=self.rig.callers,
            adopt_node=self.rig.adoption,
            quarantine=self.rig.quarantine,
            keep_releases=self.rig.flows.keep_releases,
        )

        async def explode(_request: Mapping[str, object]) -> Mapping[str, object]:
            raise ZeroDivisionError

        async def hang(_request: Mapping[str, object]) -> Mapping[str, object]:
            await asyncio.Event().wait()
            return {}

        supervisor = Supervisor(clock=FakeClock(), report=self.faults.append)
        self.socket = OperatorSocket(
            path=path,
            tasks=tasks,
            commands={**commands, "explode": explode, "hang": hang},
            supervisor=supervisor,
        )

    async def say(self, *lines: bytes) -> list[dict[str, object]]:
        """Send lines over one connection; the answers until it is closed."""
        with fitting(self.path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        writer.writelines(lines)
        writer.write_eof()
        answers = (await reader.read()).splitlines()
        writer.close()
        return [json.loads(answer) for answer in answers]

    async def ask(self, **request: object) -> dict[str, object]:
        """One command, one answer."""
        return (await self.say(json.dumps(request).encode() + b"\n"))[0]


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Door]:
    """A door that answers for as long as the block lasts."""
    async with operator_rig() as rig, asyncio.TaskGroup() as tasks:
        door = Door(path, tasks, rig)
        async with door.socket.answering():
            yield door


async def refusal(path: Path) -> str:
    """Why a door cannot be opened there."""
    async with operator_rig() as rig:
        with pytest.raises(SettingInvalid) as refused:
            async with Door(path, asyncio.TaskGroup(), rig).socket.answering():
                pass
    return refused.value.message


async def test_commands_are_answered(tmp_path: Path) -> None:
    """Ping, cancel, block and cap go through, several over one connection too."""
    async with opened(tmp_path / "s") as door:
        assert await door.ask(command="ping") == {"ok": True, "result": {"pong": True}}
        await door.rig.teller.invoiced("esc_1")
        canceled = await door.ask(command="cancel_invoice", name="esc_1")
        assert canceled["ok"]
        assert door.rig.fake.rows.escrows["esc_1"].state == "expired"
        answers = await door.say(
            b'{"command":"set_caller","caller_id":"c_1","blocked":true}\n',
            b'{"command":"set_caller","caller_id":"c_1","cap_msat":5000}\n',
            b'{"command":"set_caller","caller_id":"c_1","cap_msat":null}\n',
        )
        results = [answer["result"] for answer in answers]
        assert [result["cap_msat"] for result in results] == [None, 5_000, None]  # type: ignore[index]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"command":7}\n',
        b'{"command":"drop"}\n',
        b'{"command":"cancel_invoice"}\n',
        b'{"command":"cancel_invoice","name":""}\n',
        b'{"command":"set_caller","caller_id":"c_1"}\n',
        b'{"command":"set_caller","caller_id":"c_1","blocked":"yes"}\n',
        b'{"command":"set_caller","caller_id":"c_1","cap_msat":-1}\n',
        b'{"command":"set_caller","caller_id":"c_1","cap_msat":true}\n',
        b'{"command":"set_caller","caller_id":"c_1","cap_msat":1.5}\n',
    ],
)
async def test_what_is_no_command_is_refused(tmp_path: Path, line: bytes) -> None:
    """Each gets a code and a sentence; nothing is written and the socket goes on."""
    async with opened(tmp_path / "s") as door:
        (answer,) = await door.say(line)
        assert (answer["ok"], answer["code"]) == (False, "invalid_request")
        assert not door.rig.fake.rows.journal
        assert (await door.ask(command="ping"))["ok"]


async def test_errors_are_answered_with_their_code(tmp_path: Path) -> None:
    """What a command raises on purpose comes back as code and sentence."""
    async with opened(tmp_path / "s") as door:
        answer = await door.ask(command="cancel_invoice", name="esc_9")
        assert answer["code"] == "not_found"
        assert "esc_9" in str(answer["message"])


async def test_a_bug_closes_one_connection_only(tmp_path: Path) -> None:
    """A command that breaks is reported; the others are still served."""
    async with opened(tmp_path / "s") as door:
        assert await door.say(b'{"command":"explode"}\n') == []
        assert door.faults == ["operator socket"]
        assert (await door.ask(command="ping"))["ok"]


async def test_a_command_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hangs is given up, and that is said."""
    monkeypatch.setattr(operator_socket, "COMMAND_S", 0.01)
    async with opened(tmp_path / "s") as door:
        assert (await door.ask(command="hang"))["code"] == "timeout"


async def test_silence_and_endless_lines_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says nothing, or more than a line may hold, is closed without an answer."""
    monkeypatch.setattr(operator_socket, "IDLE_S", 0.01)
    async with opened(tmp_path / "s") as door:
        reader, writer = await asyncio.open_unix_connection(str(door.path))
        assert await reader.read() == b""
        writer.close()
        assert await door.say(b"x" * (2 * operator_socket.LINE_BYTES_MAX)) == []
        assert door.faults == []


async def test_nobody_else_may_open_it(tmp_path: Path) -> None:
    """The socket's file is for its owner alone, and it is gone with the service."""
    async with opened(tmp_path / "s") as door:
        mode = door.path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not door.path.exists()


async def test_a_stale_socket_is_taken_away(tmp_path: Path) -> None:
    """What a killed service left behind does not stop the next one."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with opened(path) as door:
        assert (await door.ask(command="ping"))["ok"]


async def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    """A second service is refused in one line, and the first goes on."""
    async with opened(tmp_path / "s") as door:
        assert "another process" in await refusal(door.path)
        assert (await door.ask(command="ping"))["ok"]


async def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    """Somebody's file in the socket's place is refused by name and kept."""
    path = tmp_path / "s"
    path.write_text("mine")
    assert "not a socket" in await refusal(path)
    assert path.read_text() == "mine"


async def test_a_deep_data_directory_is_no_hindrance(tmp_path: Path) -> None:
    """A path longer than a socket's address holds is reached by way of its directory."""
    deep = tmp_path / ("d" * 150) / "s"
    deep.parent.mkdir()
    async with opened(deep) as door:
        assert (await door.ask(command="ping"))["ok"]
        assert "another process" in await refusal(deep)
    assert list(deep.parent.iterdir()) == []


async def test_a_system_without_that_way_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no such way exists the start is refused with what to change."""
    monkeypatch.setattr(socket_names, "DESCRIPTORS", tmp_path / "nowhere")
    deep = tmp_path / ("d" * 150) / "s"
    deep.parent.mkdir()
    assert "shorter data directory" in await refusal(deep)


@pytest.mark.parametrize("turns", range(1, 6))
async def test_who_comes_as_it_closes_is_hung_up_on(tmp_path: Path, turns: int) -> None:
    """So many turns of the loop after it was let in: what never began is closed too."""
    async with opened(tmp_path / "s") as door:
        with fitting(door.path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        for _ in range(turns):
            await asyncio.sleep(0)
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Where the socket cannot be made the start is refused with the reason."""
    assert "cannot listen" in await refusal(tmp_path / "none" / "s")


async def test_leaving_ends_every_conversation(tmp_path: Path) -> None:
    """A connection that is kept open, and a command under way, do not hold the service up."""
    async with opened(tmp_path / "s") as door:
        reader, writer = await asyncio.open_unix_connection(str(door.path))
        writer.write(b'{"command":"hang"}\n')
        await door.ask(command="ping")
    assert await reader.read() == b""
    writer.close()


async def test_a_block_and_a_cap_at_the_same_moment_both_stand(tmp_path: Path) -> None:
    """Two operators over the socket at once: neither takes back what the other said (K4.16)."""
    async with opened(tmp_path / "operator.sock") as door:
        await asyncio.gather(
            door.ask(command="set_caller", caller_id="c_1", blocked=True),
            door.ask(command="set_caller", caller_id="c_1", cap_msat=5_000),
        )
        standing = await door.rig.books.standing("c_1")
        assert (standing.blocked, standing.cap_override_msat) == (True, 5_000)


@pytest.mark.parametrize("said", ["c_a\0b", "c_\n", "c_\u00e9", "c_" + "x" * 300, "", 7, None])
async def test_a_name_that_no_book_holds_is_refused(said: object, tmp_path: Path) -> None:
    """With what an id is, before any database is asked for it."""
    async with operator_rig() as rig:
        commands = operator_commands(
            cancel_invoice=rig.cancellations,
            set_caller=rig.callers,
            adopt_node=rig.adoption,
            quarantine=rig.quarantine,
            keep_releases=rig.flows.keep_releases,
        )
        for name, request in (
            ("set_caller", {"caller_id": said, "blocked": True}),
            ("cancel_invoice", {"name": said}),
        ):
            with pytest.raises(RequestInvalid, match="must be an id: 1 to 200"):
                await commands[name](request)
