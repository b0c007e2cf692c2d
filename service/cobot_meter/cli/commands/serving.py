"""`serve` and `simulator`: run until a signal ends them, and say where things listen."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import typer
from rich.console import Console

from cobot_meter.cli.streams import hang_up
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import run, terminal_of
from cobot_meter.wiring.app import Running, serve_simulator
from cobot_meter.wiring.app import serve as serve_until_stopped
from cobot_meter.wiring.logs import set_up_logs
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import Settings

ASK = (
    """curl -i {url}/v1/chat/completions -d '{{"model": "openai/gpt-5-mini", "messages": """
    """[{{"role": "user", "content": "hello"}}]}}'"""
)


def serve(context: typer.Context) -> None:
    """Sell completions until SIGTERM or Ctrl-C, then finish what runs and stop."""
    terminal = terminal_of(context)
    settings = terminal.settings()
    set_up_logs(settings.run.log_level, settings.run.log_format)

    def started(running: Running) -> None:
        with _nobody_reads():
            _say_where(terminal.out, settings, running)

    def waits(parts: tuple[str, ...]) -> None:
        with _nobody_reads():
            terminal.out.print(f"not selling yet, waiting for: {', '.join(parts)}", soft_wrap=True)
            terminal.out.file.flush()

    run(serve_until_stopped(settings, started=started, waits=waits))


def simulator(context: typer.Context) -> None:
    """Run the simulated OpenRouter alone, for a service that is told to use it."""
    terminal = terminal_of(context)
    settings = terminal.settings()
    set_up_logs(settings.run.log_level, settings.run.log_format)

    def started(address: Address) -> None:
        terminal.out.print(f"the simulated OpenRouter listens at {address.url}/api/v1")
        terminal.out.print(f"faults, prices, limits and its book are under {address.url}/control")
        sys.stdout.flush()

    run(serve_simulator(settings, started=started))


@contextlib.contextmanager
def _nobody_reads() -> Iterator[None]:
    """Who reads the table may go away; what is sold goes on."""
    try:
        yield
    except OSError:
        hang_up()


def _say_where(out: Console, settings: Settings, running: Running) -> None:
    table = plain_table()
    table.add_column("what", no_wrap=True)
    table.add_column("where", overflow="fold")
    url = settings.face.public_url if settings.face.listen.port else running.face.url
    table.add_row("completions", f"{url}/v1/chat/completions")
    table.add_row("prices", f"{url}/v1/models")
    if running.simulator:
        table.add_row("upstream", f"{running.simulator.url}/api/v1 (simulated)")
    else:
        table.add_row("upstream", settings.upstream.base_url)
    if running.node_face:
        table.add_row("wallet", f"{running.node_face.url}/pay (play money)")
    elif settings.node.lnd:
        table.add_row("node", f"{settings.node.lnd.address} ({settings.node.network})")
    if running.metrics:
        table.add_row("metrics", f"{running.metrics.url}/metrics")
    table.add_row("data", str(settings.data_dir))
    out.print(table)
    out.print("Ask, and get an invoice (Ctrl-C stops the service):", style="dim")
    out.print(ASK.format(url=url), soft_wrap=True)
    out.file.flush()
