"""`python -m deploy.regtest build`: build the nodes. Must not know: how they are run."""

from __future__ import annotations

import argparse
import sys

from deploy.regtest.binaries import build, cache_folder
from deploy.regtest.errors import BuildFailed, NodesLeftOut


def main() -> int:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m deploy.regtest", description=__doc__)
    parser.add_argument("what", choices=["build"])
    parser.add_argument("--if-possible", action="store_true", help="0 where there is no Go")
    given = parser.parse_args()
    try:
        print(f"· the nodes are in {build(cache_folder()).folder}")
    except NodesLeftOut as reason:
        print(f"· left out: tests on real nodes, since {reason}")
        return 0 if given.if_possible else 1
    except BuildFailed as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
