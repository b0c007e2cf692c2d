"""`python -m tests.mutation`: change the money core in 300 places, and see that a test notices.

Each mutant runs in a copy of the tree, against the tests that are nearest to its file first and
then against all fast ones, until one fails. With `--slow` the long proofs judge what is left. What
lives is printed; a mutant that means the same as the original stands in `equivalent.txt` with its
reason, and does not count.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant, drawn

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
SHARE = 0.97
# A mutant may loop for ever; the slowest honest run of all fast tests takes a tenth of this.
TIMEOUT_S = 900
CORE = tuple(
    f"service/cobot_meter/{name}.py"
    for name in (
        *("domain/money", "domain/callers"),
        *("domain/pricing/prices", "domain/pricing/quotes", "domain/pricing/exchange_rates"),
        *("domain/escrow/machine", "domain/escrow/bookings", "domain/escrow/holds"),
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
STAGES = (
    ("tests/domain", FAST),
    ("tests/flows", FAST),
    ("tests/http_api tests/contracts tests/fakes tests/background", FAST),
)
# The proofs over whole machines take minutes, and notice what no single test does.
SLOW_STAGE = ("tests/domain tests/flows", "slow and not (postgres or real_nodes)")


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
    parser.add_argument("--only", default="", help="a part of the path of the files to change")
    parser.add_argument("--slow", action="store_true", help="let the long proofs judge too")
    given = parser.parse_args()
    paths = [path for path in CORE if given.only in path]
    every = drawn(ROOT, paths, number=given.mutants, seed=given.seed)
    same = equivalents()
    mutants = [mutant for mutant in every if mutant.name not in same]
    lived: list[Verdict] = []
    for number, verdict in enumerate(verdicts(mutants, jobs=given.jobs, slow=given.slow), start=1):
        died = f"killed by {verdict.killed_by}" if verdict.killed_by else "LIVES"
        print(f"{number}/{len(mutants)} {verdict.seconds:4.0f} s  {verdict.mutant}  {died}")
        sys.stdout.flush()
        if verdict.killed_by is None:
            lived.append(verdict)
    dead = len(mutants) - len(lived)
    print(f"\n{dead} of {len(mutants)} died; {len(every) - len(mutants)} are named as equivalent")
    for verdict in lived:
        print(f"✗ {verdict.mutant}")
    return 0 if dead >= SHARE * len(mutants) else 1


def equivalents() -> set[str]:
    """The names of the mutants that mean the same; `#` lines say why."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def verdicts(mutants: Sequence[Mutant], *, jobs: int, slow: bool) -> Iterator[Verdict]:
    """Each as it is known, `jobs` of them at once, in copies of the tree."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    known: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    for mutant in mutants:
        waiting.put(mutant)

    def judge(copy: Path) -> None:
        while not waiting.empty():
            known.put(_judged(waiting.get(), copy, slow=slow))

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(jobs) as pool:
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


def _judged(mutant: Mutant, copy: Path, *, slow: bool) -> Verdict:
    file = copy / mutant.path
    original = file.read_bytes()
    began_s = time.monotonic()
    try:
        file.write_bytes(mutant.applied(original))
        killed_by = _first_failure(mutant, copy, slow=slow)
    finally:
        file.write_bytes(original)
    return Verdict(mutant, killed_by, time.monotonic() - began_s)


def _first_failure(mutant: Mutant, copy: Path, *, slow: bool) -> str | None:
    nearest = sorted(
        str(path.relative_to(copy))
        for path in (copy / "tests").rglob(f"test_*{Path(mutant.path).stem}*.py")
    )
    stages = [(" ".join(nearest), FAST)] if nearest else []
    stages += [*STAGES, SLOW_STAGE] if slow else STAGES
    for paths, marks in stages:
        found = _run(paths.split(), marks, copy)
        if found is not None:
            return found
    return None


def _run(paths: Sequence[str], marks: str, copy: Path) -> str | None:
    """The first test that failed; None when all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    try:
        ended = subprocess.run(
            [*command, "-m", marks, *paths],
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
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else f"exit code {ended.returncode}"


if __name__ == "__main__":
    sys.exit(main())
