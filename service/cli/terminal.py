"""The terminal that a command was typed into: settings, output and the words for what went wrong.

Must not know: what any command does.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console

from service.client.errors import L402Error
from service.domain.errors import Broken, CobotMeterError, SettingInvalid
from service.wiring.settings import Settings, read_settings

FAILED = 1
WRONG_SETTING = 2
UNCHECKED = 3
BROKEN = 4
WIDTH_PIPED = 100
JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE

T = TypeVar("T")
P = ParamSpec("P")


class CommandFailed(Exception):
    """What was asked for could not be done; the message is one line."""


EXPECTED = (CobotMeterError, CommandFailed, L402Error, OSError)


@dataclass(frozen=True, slots=True)
class Terminal:
    """One command's surroundings. `environ` is only read."""

    environ: Mapping[str, str]
    out: Console

    def settings(self) -> Settings:
        """The settings of this environment. Raises SettingInvalid."""
        return read_settings(self.environ)

    def write_json(self, document: object) -> None:
        """Print for machines: the same keys at every call, integers as they are."""
        self.out.file.write(orjson.dumps(document, option=JSON_OPTIONS).decode())


def open_terminal(environ: Mapping[str, str]) -> Terminal:
    """Standard output: as wide as the terminal, and of a fixed width when it is piped."""
    width = None if sys.stdout.isatty() else WIDTH_PIPED
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    return Terminal(environ=environ, out=console)


def terminal_of(context: typer.Context) -> Terminal:
    """The terminal that the entry put into the context."""
    terminal = context.find_object(Terminal)
    if terminal is None:
        message = "a command was called without its terminal"
        raise CommandFailed(message)
    return terminal


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own, on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def told(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with every expected error as one line on standard error, and its exit code."""

    @functools.wraps(command)
    def guarded(*values: P.args, **options: P.kwargs) -> None:
        try:
            command(*values, **options)
        except BrokenPipeError:
            raise
        except EXPECTED as error:
            fault: BaseException = error
        except BaseExceptionGroup as group:
            fault = _expected(group)
        else:
            return
        message, code = _told(fault)
        typer.echo(f"cobot-meter: {message}", err=True)
        raise typer.Exit(code)

    return guarded


def _expected(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that a task group wrapped; raises the group when it was not expected."""
    leaves = list(_leaves(group))
    for leaf in leaves:
        if not isinstance(leaf, EXPECTED):
            raise group
    return leaves[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _told(fault: BaseException) -> tuple[str, int]:
    if isinstance(fault, CobotMeterError):
        if isinstance(fault, Broken):
            return fault.message, BROKEN
        return fault.message, WRONG_SETTING if isinstance(fault, SettingInvalid) else FAILED
    if isinstance(fault, OSError):
        where = f"{fault.filename}: " if fault.filename else ""
        return f"{where}{fault.strerror or fault}", FAILED
    return str(fault), FAILED
