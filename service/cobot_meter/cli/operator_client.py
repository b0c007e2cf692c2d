"""Gives the running service an operator's command; opens the books itself when none runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from cobot_meter.cli.terminal import CommandFailed, CouldNotLook
from cobot_meter.domain.errors import Broken, DependencyFault, SettingInvalid
from cobot_meter.operator_api.commands import Document
from cobot_meter.operator_api.socket import LINE_BYTES_MAX
from cobot_meter.operator_api.socket_names import fitting
from cobot_meter.wiring.operator_offline import SOCKET_FILE, open_commands
from cobot_meter.wiring.settings.settings import Settings

ANSWER_S = 60.0
_AWAY = frozenset({"timeout", *(kind.code for kind in DependencyFault.__subclasses__())})


async def operate(settings: Settings, command: str, **request: object) -> Document:
    """What the command answered.

    Raises CommandFailed with the service's own words, SettingInvalid when the books cannot be
    opened here.
    """
    try:
        answer = await ask_service(settings.data_dir / SOCKET_FILE, {"command": command, **request})
    except (FileNotFoundError, ConnectionRefusedError):
        async with open_commands(settings) as commands:
            return await commands[command](request)
    if answer.get("ok") is not True or not isinstance(answer.get("result"), dict):
        raise _refused(answer)
    result: Document = answer["result"]  # type: ignore[assignment]
    return result


def _refused(answer: Document) -> Exception:
    """The service's own words, as whoever has to act would be told here."""
    said, code = answer.get("message"), answer.get("code")
    if said is None:
        return CouldNotLook("the service gave no answer")
    message = str(said)
    if code == SettingInvalid.code:
        return SettingInvalid(message)
    if code in _AWAY:
        return CouldNotLook(message)
    return Broken(message) if code == Broken.code else CommandFailed(message)


async def ask_service(socket_path: Path, request: Document) -> Document:
    """One line there and one back; empty when the service hung up.

    Raises FileNotFoundError or ConnectionRefusedError when none runs, CommandFailed when it does
    not answer in time.
    """
    with fitting(socket_path) as name:
        reader, writer = await asyncio.open_unix_connection(name, limit=LINE_BYTES_MAX)
    try:
        writer.write(orjson.dumps(request) + b"\n")
        async with asyncio.timeout(ANSWER_S):
            answer = orjson.loads(await reader.readline())
    except TimeoutError:
        message = "the service did not answer in time; look at the books before repeating this"
        raise CouldNotLook(message) from None
    except (ConnectionError, ValueError):
        return {}
    finally:
        writer.close()
    return answer if isinstance(answer, dict) else {}
