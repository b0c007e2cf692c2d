"""`python leash.py PARENT COMMAND ...`: become the command, and end with the parent at the latest.

Between the parent and a node stands this file, so that nothing runs between fork and exec in a
process that has threads. On Linux the kernel kills what is on the leash when the parent is gone,
even by SIGKILL; elsewhere only the parent's orderly end stops it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the parent's death to be ours, and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # else it went before the leash was on
        os.execv(command[0], command)  # noqa: S606 - to become the command is the point


if __name__ == "__main__":
    main()
