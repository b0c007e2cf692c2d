"""`openrouter-simulator`: the look-alike on an address of its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import uvicorn

from openrouter_simulator import __version__
from openrouter_simulator.app import build_simulator

NAME = "openrouter-simulator"
MAX_PORT = 65_535


class MachineClock:
    """The machine's own time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


def main(words: Sequence[str] | None = None) -> None:
    """Serve until a signal ends it; what does not fit ends with exit 2 and one sentence."""
    chosen = parser().parse_args(words)
    host, port = chosen.listen
    app = build_simulator(
        seed=chosen.seed,
        credit_usd=chosen.credit_usd,
        lag_s=chosen.lag_s,
        latency_s=chosen.latency_s,
        clock=MachineClock(),
        api_key=chosen.key,
        book_path=chosen.book,
    )
    shown = f"[{host}]" if ":" in host else host
    print(
        f"OpenRouter's API: http://{shown}:{port}/api/v1   control: http://{shown}:{port}/control"
    )
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


def parser() -> argparse.ArgumentParser:
    """The options, each with what it means."""
    options = argparse.ArgumentParser(prog=NAME, description=__doc__)
    options.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    options.add_argument(
        "--listen",
        type=address,
        default=("127.0.0.1", 8403),
        metavar="HOST:PORT",
        help="where to listen (127.0.0.1:8403)",
    )
    options.add_argument(
        "--credit-usd", type=usd, default=Decimal(25), help="what the account begins with (25)"
    )
    options.add_argument(
        "--lag-s", type=seconds, default=0.5, help="until a generation's record appears (0.5)"
    )
    options.add_argument(
        "--latency-s", type=seconds, default=0.2, help="until the first token comes (0.2)"
    )
    options.add_argument("--key", default="", help="the only key accepted; without it any is")
    options.add_argument("--book", type=Path, help="a file that remembers what was charged")
    options.add_argument("--seed", type=int, default=1, help="the same answers for the same seed")
    return options


def address(text: str) -> tuple[str, int]:
    """Host and port. Raises ArgumentTypeError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > MAX_PORT:
        message = f"{text!r} is not HOST:PORT, such as 127.0.0.1:8403"
        raise argparse.ArgumentTypeError(message)
    return host.strip("[]"), int(port)


def usd(text: str) -> Decimal:
    """An amount of 0 or more. Raises ArgumentTypeError."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        message = f"{text!r} is not an amount in USD, such as 25"
        raise argparse.ArgumentTypeError(message)
    return amount


def seconds(text: str) -> float:
    """A time of 0 or more. Raises ArgumentTypeError."""
    try:
        length = float(text)
    except ValueError:
        length = -1.0
    if not 0 <= length < float("inf"):
        message = f"{text!r} is not a time in seconds, such as 0.5"
        raise argparse.ArgumentTypeError(message)
    return length


if __name__ == "__main__":
    main()
