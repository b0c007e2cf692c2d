"""Logs: one JSON object a line on standard error. Must not know: prompts, answers, secrets.

Nothing that a caller sent or that a model answered is ever passed to a logger; a test plants
canaries and greps every captured line.
"""

from __future__ import annotations

import logging

import orjson

_LIBRARIES = ("uvicorn", "uvicorn.error", "httpx", "aiohttp", "alembic", "asyncio")


class JsonLines(logging.Formatter):
    """`{"at", "level", "name", "message"}`, with the traceback when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; whatever cannot be JSON is shown by its repr."""
        line = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "name": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=repr).decode()


def set_up_logs(level: str) -> None:
    """Send everything to standard error as JSON; libraries only from `warning` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
