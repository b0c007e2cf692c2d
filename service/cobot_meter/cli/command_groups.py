"""Commands that are loaded when they are called, in groups that know their names and sentences."""

from __future__ import annotations

import gc
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from cobot_meter.cli.command_table import COMMANDS, Entry
from cobot_meter.domain.outside import text

GUARD = "cobot_meter.cli.terminal:told"


class RootGroup(TyperGroup):
    """Every command of the table."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - typer's own
        """`options` are those of a group; its commands come from the table."""
        super().__init__(**options)
        self.commands.update(_loaded_later(COMMANDS))


class LazyCommand(TyperCommand):
    """Stands for a command until it is called or completed."""

    def __init__(self, name: str, entry: Entry) -> None:
        """Nothing is loaded yet."""
        super().__init__(name, callback=None, help=entry.help, short_help=entry.help)
        self._where = entry.where

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401 - typer's own
        **extra: Any,  # noqa: ANN401 - typer's own
    ) -> Any:  # noqa: ANN401 - typer's own
        """That of the command itself, which goes on from here with words that are text."""
        words = [text(word) for word in args]
        real = loaded(self.name or "", self._where)
        if not gc.isenabled():  # a process of the command's own: see `main`
            gc.freeze()
            gc.enable()
        return real.make_context(info_name, words, parent=parent, **extra)


def loaded(name: str, where: str) -> Any:  # noqa: ANN401 - a command of typer's
    """The command at `module:function`, whose expected errors are one line and an exit code."""
    guard: Callable[[Callable[..., None]], Callable[..., None]] = pkgutil.resolve_name(GUARD)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(guard(pkgutil.resolve_name(where)))
    return get_command(app)


def _loaded_later(entries: Mapping[str, Entry]) -> dict[str, Any]:
    return {
        name: _group(name, entry) if entry.commands else LazyCommand(name, entry)
        for name, entry in entries.items()
    }


def _group(name: str, entry: Entry) -> TyperGroup:
    return TyperGroup(
        name=name,
        help=entry.help,
        short_help=entry.help,
        commands=_loaded_later(entry.commands),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
