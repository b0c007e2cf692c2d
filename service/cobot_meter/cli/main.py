"""The command line: `cobot-meter`, and `python -m cobot_meter`.

The one place that reads the process's environment.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer
from typer.main import get_command

import cobot_meter
from cobot_meter.cli.command_groups import RootGroup
from cobot_meter.cli.streams import prepare_streams
from cobot_meter.cli.unforeseen import end_unforeseen

NAME = "cobot-meter"
GRPC_SAYS = "GRPC_VERBOSITY"  # read once, when gRPC is loaded; who sets it sees gRPC's own words


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    os.environ.setdefault(GRPC_SAYS, "NONE")  # else gRPC writes beside our one sentence
    sys.excepthook = end_unforeseen
    prepare_streams()
    gc.disable()  # until the command is loaded: modules are no garbage, and a fifth of a start
    get_command(command_line())(prog_name=NAME)


def _say(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {cobot_meter.__version__}")
        raise typer.Exit


def command_line() -> typer.Typer:
    """Every command by its name."""
    app = typer.Typer(
        name=NAME,
        cls=RootGroup,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_surroundings)
    return app


def _surroundings(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Say the version and exit.", callback=_say, is_eager=True),
    ] = False,
) -> None:
    """Sell LLM completions to other agents over Lightning, and keep books that balance.

    Exit codes of every command: 0 right, 1 a finding, 2 usage or settings, 3 could not look, 4
    broken.
    """
    context.obj = os.environ
