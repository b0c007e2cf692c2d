"""`python -m tests.fuzz_upstream --minutes 20 --seed 1`: exit 0 when nothing was found."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz_upstream.fuzz import fuzz

GROWTH_MAX_BYTES = 20 * 2**20


def main() -> int:
    """One run with one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=10**9)
    asked = parser.parse_args()
    until_s = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            fuzz(Path(folder), seed=asked.seed, inputs_max=asked.inputs, until_s=until_s)
        )
    print(report)
    for wrong in report.wrong:
        print(f"✗ {wrong}")
    grown = report.grown_bytes > GROWTH_MAX_BYTES
    if grown:
        print(f"✗ more than {GROWTH_MAX_BYTES} bytes of memory")
    return 1 if report.wrong or grown else 0


if __name__ == "__main__":
    sys.exit(main())
