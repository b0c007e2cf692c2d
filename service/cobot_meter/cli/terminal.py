"""The terminal that a command was typed into: settings, output, and what went wrong."""

from __future__ import annotations

import asyncio
import functools
import re
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.streams import fitting_text, hang_up, is_unicode, prepare_streams
from cobot_meter.domain.errors import Broken, CobotMeterError, DependencyFault, SettingInvalid
from cobot_meter.domain.outside import shown
from cobot_meter.wiring.settings.settings import Settings, read_settings
from cobot_pay.errors import L402Error, PaymentFailed, PaymentUnknown

# A pipe has no width: a row is a line, however long.
WIDTH_PIPED = 100_000
# What is told as a story keeps to this where nobody says how wide the terminal is.
WIDTH_TOLD = 100
SENTENCE_MAX = 1_000
LINE_MAX = 100_000
HUNG_UP = 141  # as a shell says that a program ended by SIGPIPE
JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
# In JSON these stand as escapes: a terminal would act on them.
_ACTING = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_BMP_MAX = 0xFFFF

T = TypeVar("T")
P = ParamSpec("P")


class CommandFailed(Exception):
    """What was asked for could not be done; the message is one line."""

    code = ExitCode.FINDING


class Misused(CommandFailed):
    """A word on the command line that means nothing; the message says which would."""

    code = ExitCode.USAGE


class CouldNotLook(CommandFailed):
    """Who was asked did not answer, or not usefully."""

    code = ExitCode.COULD_NOT_LOOK


EXPECTED = (CobotMeterError, CommandFailed, L402Error, OSError)


class PlainConsole(Console):
    """Whatever is printed moves no cursor, and is laid out as the encoding will show it."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own
        """A text of a cell or a line, its line ends kept."""
        plain = "\n".join(shown(line, most=LINE_MAX) for line in text.split("\n"))
        return super().render_str(fitting_text(plain, self.encoding), **options)

    def on_broken_pipe(self) -> None:
        """Nobody reads any more: `told` ends the command."""
        raise BrokenPipeError


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
        text = orjson.dumps(document, option=JSON_OPTIONS).decode()
        beyond = _ACTING if is_unicode(self.out.encoding) else _BEYOND_ASCII
        self.out.file.write(beyond.sub(_escape, text))

    def print_rows(self, table: Table) -> None:
        """A list whose names are to be typed again: no cell of it is ever cut.

        A terminal that is too narrow breaks the line itself.
        """
        unbounded = self.out.options.update(max_width=WIDTH_PIPED)
        needed = self.out.measure(table, options=unbounded).maximum
        out = self.out if needed <= self.out.width else _console(needed, file=self.out.file)
        out.print(table)

    def mark(self, sign: str, *, style: str = "") -> Text:
        """A sign that this terminal can show."""
        return self.out.render_str(sign, style=style)

    def told_narrow(self) -> Console:
        """For a story: as wide as the terminal, and a hundred columns in a pipe."""
        return open_console(width_piped=WIDTH_TOLD)


def open_terminal(environ: Mapping[str, str]) -> Terminal:
    """Standard output: as wide as the terminal, and never wrapped when it is piped."""
    prepare_streams()
    return Terminal(environ=environ, out=open_console(width_piped=WIDTH_PIPED))


def open_console(*, width_piped: int) -> Console:
    """Standard output, without markup, emoji or guesses at what a word is."""
    return _console(None if sys.stdout.isatty() else width_piped)


def _console(width: int | None, *, file: IO[str] | None = None) -> Console:
    return PlainConsole(width=width, file=file, highlight=False, markup=False, emoji=False)


def terminal_of(context: typer.Context) -> Terminal:
    """The terminal of the environment that the entry put into the context."""
    environ: Mapping[str, str] = context.find_root().obj
    return open_terminal(environ)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own, on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    from uvloop import new_event_loop

    return new_event_loop


def told(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with every expected error as one line on standard error, and its exit code."""

    @functools.wraps(command)
    def guarded(*values: P.args, **options: P.kwargs) -> None:
        try:
            command(*values, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            hang_up()
            raise typer.Exit(HUNG_UP) from None
        except EXPECTED as error:
            fault: BaseException = error
        except BaseExceptionGroup as group:
            fault = _expected(group)
        else:
            return
        message, code = _told(fault)
        try:
            typer.echo(f"cobot-meter: {shown(message, most=SENTENCE_MAX)}", err=True)
        except BrokenPipeError:
            hang_up()
        raise typer.Exit(code)

    return guarded


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code <= _BMP_MAX:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x1_0000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


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


def _told(fault: BaseException) -> tuple[str, ExitCode]:
    """The sentence, and whose move it is."""
    if isinstance(fault, CobotMeterError):
        return fault.message, code_of(fault)
    if isinstance(fault, CommandFailed):
        return str(fault), fault.code
    if isinstance(fault, OSError):
        where = f"{fault.filename}: " if fault.filename else ""
        return f"{where}{fault.strerror or fault}", ExitCode.COULD_NOT_LOOK
    away = isinstance(fault, PaymentUnknown) or (
        isinstance(fault, PaymentFailed) and fault.__cause__ is not None
    )
    return str(fault), ExitCode.COULD_NOT_LOOK if away else ExitCode.FINDING


def code_of(fault: CobotMeterError) -> ExitCode:
    """By who must act: the operator, a part outside, or whoever mends this program."""
    if isinstance(fault, SettingInvalid):
        return ExitCode.USAGE
    if isinstance(fault, DependencyFault):
        return ExitCode.COULD_NOT_LOOK
    return ExitCode.BROKEN if isinstance(fault, Broken) else ExitCode.FINDING
