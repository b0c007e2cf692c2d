"""`python -m tests.postgres`: see that there is a server to test with, or say what is left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.postgres.cluster import binaries
from tests.postgres.fixtures import LEFT_OUT

INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql")


def main() -> int:
    """Install it where it is missing and may be installed; never a failure of the tests."""
    if binaries() is not None:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("· PostgreSQL, from Debian's packages", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (("apt-get", "update", "-qq"), INSTALL):
            subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    if binaries() is None:
        print(f"· left out: {LEFT_OUT}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
