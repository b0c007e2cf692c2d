"""The command line: `cobot-meter`, and `python -m service`.

The one place that reads the process's environment. Must not know: what any command does.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

import service
from service.cli import database_commands
from service.cli.caller_commands import block_caller, cap_caller, list_callers, unblock_caller
from service.cli.demo import demo
from service.cli.doctor import doctor
from service.cli.invoice_commands import cancel_invoice, list_invoices, show_invoice
from service.cli.ledger_commands import audit, ledger
from service.cli.lnd_commands import adopt, bake
from service.cli.market_commands import models, pay
from service.cli.serving_commands import serve, simulator
from service.cli.set_aside import set_aside
from service.cli.terminal import open_terminal, told
from service.cli.upstream_commands import rebase

GRPC_SAYS = "GRPC_VERBOSITY"  # read once, when gRPC is loaded; who sets it sees gRPC's own words


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    os.environ.setdefault(GRPC_SAYS, "NONE")  # else gRPC writes beside our one sentence
    command_line()()


def _say(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cobot-meter {service.__version__}")
        raise typer.Exit


def command_line() -> typer.Typer:
    """Every command by its name."""
    app = typer.Typer(
        name="cobot-meter",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_surroundings)
    app.command("serve")(told(serve))
    app.command("demo")(told(demo))
    app.command("pay")(told(pay))
    app.command("models")(told(models))
    app.command("ledger")(told(ledger))
    app.command("audit")(told(audit))
    app.command("doctor")(told(doctor))
    app.command("simulator")(told(simulator))
    app.add_typer(_invoices(), name="invoices")
    app.add_typer(_callers(), name="callers")
    app.add_typer(_lnd(), name="lnd")
    app.add_typer(_upstream(), name="upstream")
    app.add_typer(_database(), name="db")
    return app


def _surroundings(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Say the version and exit.", callback=_say, is_eager=True),
    ] = False,
) -> None:
    """Sell LLM completions to other agents over Lightning, and keep books that balance."""
    context.obj = open_terminal(os.environ)


def _invoices() -> typer.Typer:
    app = typer.Typer(help="List, show and cancel invoices.", no_args_is_help=True)
    app.command("list")(told(list_invoices))
    app.command("show")(told(show_invoice))
    app.command("cancel")(told(cancel_invoice))
    app.command("set-aside")(told(set_aside))
    return app


def _callers() -> typer.Typer:
    app = typer.Typer(help="List callers, fix their caps, block them.", no_args_is_help=True)
    app.command("list")(told(list_callers))
    app.command("cap")(told(cap_caller))
    app.command("block")(told(block_caller))
    app.command("unblock")(told(unblock_caller))
    return app


def _database() -> typer.Typer:
    app = typer.Typer(help="Update, check and copy the books' tables.", no_args_is_help=True)
    app.command("upgrade")(told(database_commands.upgrade))
    app.command("check")(told(database_commands.check))
    app.command("copy")(told(database_commands.copy))
    return app


def _lnd() -> typer.Typer:
    app = typer.Typer(help="Connect a real lnd.", no_args_is_help=True)
    app.callback()(_lnd_is_a_group)
    app.command("bake")(told(bake))
    app.command("adopt")(told(adopt))
    return app


def _upstream() -> typer.Typer:
    app = typer.Typer(help="Say which usage upstream costs count against.", no_args_is_help=True)
    app.callback()(_upstream_is_a_group)
    app.command("rebase")(told(rebase))
    return app


def _upstream_is_a_group() -> None:
    """Say which usage upstream costs count against."""


def _lnd_is_a_group() -> None:
    """Connect a real lnd."""
