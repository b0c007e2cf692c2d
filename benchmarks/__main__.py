"""`python -m benchmarks [name ...]`: measure, and print tables.

Without names: all but `credit`, which takes half an hour and installs other people's programs, and
those that read recorded data, unless `--data` or COBOT_BENCH_DATA says where they are.
Nothing here fails because a figure is bad: on a machine that others use too, a bar that is missed
says little. Read the ratios of several runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

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
from benchmarks.cobots import calls
from benchmarks.consensus import agreement, panel
from benchmarks.credit import books, growth, path, streams
from benchmarks.models import watch
from benchmarks.privacy import detection
from benchmarks.rig.sizes import FULL, SMOKE, Size
from benchmarks.routing import measured, recorded

CREDIT = (path, streams, books, growth)
# A word for several.
TOGETHER = {"credit": tuple(module.NAME for module in CREDIT)}
BENCHMARKS: Mapping[str, Callable[[Size], str]] = {
    module.NAME: module.measure
    for module in (
        *(whole_cycle, in_flight, free_asks, ledger, pricing, answers, fallback, watch),
        *(slow_connections, postgres, real_node, calls, measured, bursts, panel),
        *CREDIT,
    )
}
# Those that read recorded data of other people, which are not here.
ON_DATA: Mapping[str, Callable[[Size, Path], str]] = {
    module.NAME: module.measure for module in (detection, agreement)
}
UNNAMED = tuple(name for name in BENCHMARKS if name not in TOGETHER["credit"])


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=", ".join((*BENCHMARKS, *ON_DATA, *TOGETHER))
    )
    data = os.environ.get(recorded.DATA) or None
    parser.add_argument("--data", type=Path, default=data, help="a folder of recorded data")
    parser.add_argument("--smoke", action="store_true", help="only see that they run")
    given = parser.parse_args()
    if given.data:
        os.environ[recorded.DATA] = str(given.data)
    names = [one for name in given.names for one in TOGETHER.get(name, (name,))]
    there = _measures(given.data)
    unknown = set(names) - there.keys()
    if unknown & ON_DATA.keys():
        parser.error(f"{', '.join(sorted(unknown & ON_DATA.keys()))} needs --data DIR")
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(there)}")
    print(_surroundings(), flush=True)
    for name in names or (*UNNAMED, *(ON_DATA if given.data else ())):
        print(f"\n## {name}\n", flush=True)
        print(there[name](SMOKE if given.smoke else FULL), flush=True)
        print(f"\nload after {_load()}", flush=True)


def _measures(data: Path | None) -> Mapping[str, Callable[[Size], str]]:
    """All that can be measured; what needs recorded data only where there are some."""
    if data is None:
        return BENCHMARKS

    def with_data(measure: Callable[[Size, Path], str]) -> Callable[[Size], str]:
        return lambda size: measure(size, data)

    return {**BENCHMARKS, **{name: with_data(measure) for name, measure in ON_DATA.items()}}


def _load() -> str:
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def _surroundings() -> str:
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, load before {_load()}"
    )


if __name__ == "__main__":
    main()
