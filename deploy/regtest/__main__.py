"""`python -m deploy.regtest build|up`: build the nodes, or run them for a person."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from deploy.regtest.binaries import build, cache_folder
from deploy.regtest.errors import BuildFailed, NodeFault, NodesLeftOut
from deploy.regtest.standing import stay_up


def main() -> int:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m deploy.regtest", description=__doc__)
    parser.add_argument("what", choices=["build", "up"])
    parser.add_argument("--if-possible", action="store_true", help="0 where there is no Go")
    given = parser.parse_args()
    try:
        binaries = build(cache_folder())
        if given.what == "build":
            print(f"· the nodes are in {binaries.folder}")
        else:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(stay_up(binaries))
    except NodesLeftOut as reason:
        print(f"· left out: everything on real nodes, since {reason}")
        return 0 if given.if_possible else 1
    except (BuildFailed, NodeFault) as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
