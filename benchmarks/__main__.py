"""`python -m benchmarks [name ...]`: measure, and print tables.

Without names: all but `credit`, which takes half an hour and installs other people's programs.
Nothing here fails because a figure is bad: on a machine that others use too, a bar that is missed
says little. Read the ratios of several runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
from collections.abc import Callable, Mapping

from benchmarks import (
    answers,
    fallback,
    free_asks,
    in_flight,
    ledger,
    postgres,
    pricing,
    real_node,
    slow_connections,
    whole_cycle,
)
from benchmarks.budgets import bursts
from benchmarks.credit import books, growth, path, streams
from benchmarks.rig.sizes import FULL, SMOKE, Size

CREDIT = (path, streams, books, growth)
# A word for several.
TOGETHER = {"credit": tuple(module.NAME for module in CREDIT)}
BENCHMARKS: Mapping[str, Callable[[Size], str]] = {
    module.NAME: module.measure
    for module in (
        *(whole_cycle, in_flight, free_asks, ledger, pricing, answers, fallback),
        *(slow_connections, postgres, real_node, bursts),
        *CREDIT,
    )
}
UNNAMED = tuple(name for name in BENCHMARKS if name not in TOGETHER["credit"])


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=", ".join((*BENCHMARKS, *TOGETHER))
    )
    parser.add_argument("--smoke", action="store_true", help="only see that they run")
    given = parser.parse_args()
    names = [one for name in given.names for one in TOGETHER.get(name, (name,))]
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    print(_surroundings(), flush=True)
    for name in names or UNNAMED:
        print(f"\n## {name}\n", flush=True)
        print(BENCHMARKS[name](SMOKE if given.smoke else FULL), flush=True)
        print(f"\nload after {_load()}", flush=True)


def _load() -> str:
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def _surroundings() -> str:
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, load before {_load()}"
    )


if __name__ == "__main__":
    main()
