"""The end of a command by a fault that nobody foresaw: one sentence, exit 4, a kept traceback.

It is the interpreter's own hook and no `except`: nothing is caught, the process ends. Must not
know: which command it was.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from types import TracebackType

from cobot_meter.cli.exit_codes import ExitCode

LOG = logging.getLogger(__name__)
PREFIX = "cobot-meter-"


def end_unforeseen(
    kind: type[BaseException], error: BaseException, frames: TracebackType | None
) -> None:
    """Say it, and end with exit code 4. Raises SystemExit, which the interpreter takes as its own.

    A service has its log, and the traceback goes there; any other command has a file of its own.
    """
    if logging.getLogger().handlers:
        LOG.critical("ended by a fault that nobody foresaw", exc_info=(kind, error, frames))
        where = "the log has its traceback"
    else:
        where = _kept("".join(traceback.format_exception(kind, error, frames)))
    sentence = f"cobot-meter: {kind.__name__}: this is a fault of the program, and {where}"
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
    raise SystemExit(ExitCode.BROKEN)


def _kept(text: str) -> str:
    """Readable by its owner only: a message in it may name what it was about."""
    try:
        descriptor, path = tempfile.mkstemp(prefix=PREFIX, suffix=".traceback")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        sys.stderr.write(text)
        return "its traceback stands above"
    return f"its traceback is in {path}"
