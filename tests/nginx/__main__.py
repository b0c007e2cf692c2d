"""`python -m tests.nginx`: see that there is an nginx to test with, or say what is left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.nginx.fixtures import LEFT_OUT
from tests.nginx.proxy import binary

INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light")


def main() -> int:
    """Install it where it is missing and may be installed; never a failure of the tests."""
    if binary() is not None:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("· nginx, from Debian's packages", flush=True)
        # Debian's package would start a server of its own; the tests start theirs.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (("apt-get", "update", "-qq"), INSTALL):
            subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    if binary() is None:
        print(f"· left out: {LEFT_OUT}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
