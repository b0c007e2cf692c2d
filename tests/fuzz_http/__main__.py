"""`python -m tests.fuzz_http --inputs 100000 --seed 1`: exit 0 when nothing gave way."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz_http.fuzz import Fuzz


def main() -> int:
    """Send so many inputs; `--first` goes on where another run stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        fuzz = Fuzz(Path(name), chosen.seed)
        verdict = asyncio.run(fuzz.run(chosen.first, chosen.inputs))
    print(f"{verdict} in {time.monotonic() - began_s:.0f} s")
    for wrong in verdict.wrongs[:20]:
        print(f"✗ {wrong}")
    return 1 if verdict.wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
