"""`python -m tests.mutation`: change the money core in 300 places, and see that a test notices.

Each mutant runs in a copy of the tree, against the fast tests that run the changed statement (found
by a run before all), the nearest and quickest first, until one fails; what runs at import is judged
by all of them. With `--slow` the long proofs judge what is left. What
lives is printed; a mutant that means the same as the original stands in `equivalent.txt` with its
reason, and does not count. `--again REPORT` tries once more what lived in the output of a run.
"""

from __future__ import annotations

import argparse
import enum
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, drawn
from tests.mutation.reach import NOTES, Reaching, marked, read, statement_at

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
SHARE = 0.97
LIVES = "LIVES"
_LINE = re.compile(r":[0-9]+: ")
# A mutant may loop for ever; the slowest honest run of all fast tests takes a tenth of this.
TIMEOUT_S = 900
CORE = tuple(
    f"service/cobot_meter/{name}.py"
    for name in (
        *("domain/money", "domain/callers"),
        *("domain/pricing/prices", "domain/pricing/quotes", "domain/pricing/exchange_rates"),
        *("domain/escrow/machine", "domain/escrow/bookings", "domain/escrow/reservations"),
        *("domain/topup/machine", "domain/topup/bookings"),
        *("domain/escrow/asks", "domain/transitions/escrows", "domain/transitions/event_facts"),
        *("domain/transitions/topups", "domain/transitions/node", "domain/transitions/operator"),
        *("domain/transitions/upstream", "domain/upstream/fallback"),
        *("flows/sale/settle_invoice", "flows/sale/issue_invoice", "flows/sale/open_escrow"),
        *("flows/sale/deliver_completion", "flows/sale/run_completion", "flows/sale/find_cost"),
    )
)
COPIED = ("service", "client", "simulator", "tests", "benchmarks", "deploy", "docs", "proto")
COPIED_FILES = ("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
FAST = "not (slow or foreign_clients or postgres or real_nodes or real_upstream)"
GROUPS = (
    "tests/domain",
    "tests/flows",
    "tests/http_api tests/contracts tests/fakes tests/background",
)
# The quickest of the tests that run a statement nearly always tell: so many seconds of them.
AT_FIRST_S = 3
PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")
# The proofs over whole machines take minutes, and notice what no single test does.
SLOW_STAGE = (("tests/domain", "tests/flows"), "slow and not (postgres or real_nodes)")


class Reach(enum.Enum):
    """Who judges: the nearest tests, all fast ones, or the long proofs too."""

    NEAR = enum.auto()
    FAST = enum.auto()
    SLOW = enum.auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: `killed_by` is the first test that failed, None while it lives."""

    mutant: Mutant
    killed_by: str | None
    seconds: float


def main() -> int:
    """Exit 0 when at least 97 % of the mutants that are not equivalent die."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of PATH:LINE: of what is changed")
    parser.add_argument("--again", type=Path, help="the output of a run: what lived in it")
    parser.add_argument("--slow", action="store_true", help="let the long proofs judge too")
    parser.add_argument("--near", action="store_true", help="let only the nearest tests judge")
    given = parser.parse_args()
    lots = drawn(ROOT, CORE, number=sys.maxsize, seed=given.seed)
    every = [mutant for mutant in lots if given.only in str(mutant)]
    if given.again:
        lived_before = alive_in(given.again.read_text(encoding="utf-8"))
        every = [mutant for mutant in every if _line(mutant) in lived_before]
    every = every[: given.mutants]
    same = equivalents()
    mutants = [mutant for mutant in every if mutant.name not in same]
    reach = Reach.NEAR if given.near else Reach.SLOW if given.slow else Reach.FAST
    lived: list[Verdict] = []
    for number, verdict in enumerate(verdicts(mutants, jobs=given.jobs, reach=reach), start=1):
        died = f"killed by {verdict.killed_by}" if verdict.killed_by else LIVES
        print(f"{number}/{len(mutants)} {verdict.seconds:4.0f} s  {verdict.mutant}  {died}")
        sys.stdout.flush()
        if verdict.killed_by is None:
            lived.append(verdict)
    dead = len(mutants) - len(lived)
    print(f"\n{dead} of {len(mutants)} died; {len(every) - len(mutants)} are named as equivalent")
    for verdict in lived:
        print(f"✗ {verdict.mutant}")
    return 0 if dead >= SHARE * len(mutants) else 1


def alive_in(report: str) -> set[str]:
    """What a run printed as living, without the numbers of its lines: they come and go."""
    return {
        _LINE.sub(": ", line.split(" s  ", 1)[1].removesuffix(f"  {LIVES}"), count=1)
        for line in report.splitlines()
        if line.endswith(f"  {LIVES}")
    }


def _line(mutant: Mutant) -> str:
    return _LINE.sub(": ", str(mutant), count=1)


def equivalents() -> set[str]:
    """The names of the mutants that mean the same; `#` lines say why."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def verdicts(mutants: Sequence[Mutant], *, jobs: int, reach: Reach) -> Iterator[Verdict]:
    """Each as it is known, `jobs` of them at once, in copies of the tree."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    known: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    for mutant in mutants:
        waiting.put(mutant)

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(jobs) as pool:
        reaching = read(_noted(Path(name), jobs))

        def judge(copy: Path) -> None:
            while not waiting.empty():
                known.put(_judged(waiting.get(), copy, reaching, reach=reach))

        judges = [pool.submit(judge, _copy(Path(name) / str(number))) for number in range(jobs)]
        for _ in mutants:
            yield known.get()
        for ended in judges:
            ended.result()


def _copy(target: Path) -> Path:
    leave = shutil.ignore_patterns("__pycache__")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, target / folder, ignore=leave)
    for file in COPIED_FILES:
        shutil.copy2(ROOT / file, target / file)
    return target


def _noted(folder: Path, jobs: int) -> list[Path]:
    """What every fast test reaches, in files, one for each group of them."""
    copy = _copy(folder / "marked")
    for path in CORE:
        file = copy / path
        file.write_text(marked(file.read_text(encoding="utf-8"), path), encoding="utf-8")

    def note(number: int, paths: str) -> Path:
        notes = folder / f"{number}.json"
        command = [*PYTEST, "-p", "tests.mutation.reach", "-m", FAST, *paths.split()]
        environment = {**os.environ, NOTES: str(notes)}
        ended = subprocess.run(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, check=False
        )
        if ended.returncode:
            sys.exit(f"the tests fail before anything is changed:\n{ended.stdout.decode()}")
        return notes

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(note, range(len(GROUPS)), GROUPS))


def _judged(mutant: Mutant, copy: Path, reaching: Reaching, *, reach: Reach) -> Verdict:
    file = copy / mutant.path
    original = file.read_bytes()
    began_s = time.monotonic()
    try:
        line = statement_at(original.decode(), mutant.line)
        file.write_bytes(mutant.applied(original))
        killed_by = _first_failure(_stages(mutant, line, reaching), copy, reach=reach)
    finally:
        file.write_bytes(original)
    return Verdict(mutant, killed_by, time.monotonic() - began_s)


def _first_failure(stages: Iterable[Sequence[str]], copy: Path, *, reach: Reach) -> str | None:
    for tests in stages:
        found = _run(tests, FAST, copy)
        if found is not None or reach is Reach.NEAR:
            return found
    return _run(*SLOW_STAGE, copy) if reach is Reach.SLOW else None


def _stages(mutant: Mutant, line: int | None, reaching: Reaching) -> Iterator[Sequence[str]]:
    """Tests to run, the nearest first: those that reach the statement, or else all fast ones.

    What runs at import, or once because its answer is kept, is reached by no test in particular.
    """
    folder = _mirror(Path(mutant.path).parts[:-1])
    reached = () if line is None else reaching.get((mutant.path, line), ())
    if reached:
        nearest = f"{folder}/test_{Path(mutant.path).stem}"
        yield from _quickest_first(reached, nearest)
        return
    groups = [group.split() for group in GROUPS]
    yield from sorted(groups, key=lambda group: not folder.startswith(tuple(group)))


def _mirror(folders: Sequence[str]) -> str:
    """Where the tests of a folder are: the tests mirror what they test from some folder on."""
    mirrors = ("/".join(("tests", *folders[start:])) for start in range(1, len(folders)))
    return next((mirror for mirror in mirrors if (ROOT / mirror).is_dir()), "tests")


def _quickest_first(
    reaching: Iterable[tuple[float, str]], nearest: str
) -> tuple[Sequence[str], Sequence[str]]:
    """Some seconds of the tests that reach a statement, the nearest file's first; then the rest."""
    folder = nearest.rpartition("/")[0]
    first: list[str] = []
    rest: list[str] = []
    left_s = float(AT_FIRST_S)
    for _, seconds, test in sorted(
        (2 - test.startswith(nearest) - test.startswith(f"{folder}/"), seconds, test)
        for seconds, test in set(reaching)
    ):
        left_s -= seconds
        (first if left_s >= 0 or not first else rest).append(test)
    return first, rest


def _run(paths: Sequence[str], marks: str, copy: Path) -> str | None:
    """The first test that failed; None when all passed."""
    if not paths:
        return None
    named = copy / "named.txt"
    named.write_text("\n".join(paths), encoding="utf-8")
    try:
        ended = subprocess.run(
            [*PYTEST, "-x", "-m", marks, f"@{named}"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return "the time limit"
    if ended.returncode in {0, 5}:
        return None
    if ended.returncode == pytest.ExitCode.USAGE_ERROR:  # the names of tests changed with it
        return _run(sorted({path.split("::")[0] for path in paths}), marks, copy)
    failed = [
        line for line in ended.stdout.splitlines() if line.startswith(("FAILED ", "ERROR tests"))
    ]
    return failed[0].split(" - ")[0] if failed else f"exit code {ended.returncode}"


if __name__ == "__main__":
    sys.exit(main())
