"""Logs on standard error: a JSON object a line, or lines for a person on a terminal.

Nothing that a caller sent or that a model answered is ever passed to a logger; a test plants
canaries and looks at every line. Must not know: prompts, answers, secrets.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from cobot_meter.domain import outside

AUTO, JSON, PLAIN = "auto", "json", "plain"
FORMATS = (AUTO, JSON, PLAIN)
MESSAGE = "message"
FIRST = ("at", "level", MESSAGE)
_LIBRARIES = ("uvicorn", "uvicorn.error", "httpx", "aiohttp", "alembic", "asyncio")


class Unfailing:
    """A stream whose reader may be gone and whose disk may be full.

    Lines are written where sales are booked: one that cannot be written is lost, and nothing else.
    """

    def __init__(self, stream: IO[Any]) -> None:
        """`stream` takes text or octets."""
        self._stream = stream

    def write(self, line: str | bytes) -> int:
        """Write it if that can be."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._stream.write(line))
        return len(line)

    def flush(self) -> None:
        """Hand on what is buffered if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def set_up_logs(level: str, form: str = AUTO) -> None:
    """Send everything to standard error; libraries only from `warning` on.

    Our own events go straight there: the standard library's records take twice as long.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    plain = form == PLAIN or (form == AUTO and sys.stderr.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, _stamped(), *_rendered(plain=plain)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", Unfailing(sys.stderr)))
        if plain
        else structlog.BytesLoggerFactory(file=cast("BinaryIO", Unfailing(sys.stderr.buffer))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(plain=plain, as_bytes=False),
            ],
            foreign_pre_chain=[_named, structlog.stdlib.add_log_level, _stamped()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def event_logger() -> FilteringBoundLogger:
    """For events of our own, none of which is critical; silent where nobody has set up logs."""
    if structlog.is_configured():
        logger: FilteringBoundLogger = structlog.get_logger()
        return logger
    silent: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    return silent


def _named(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The logger's own name, which says what part of the program it was."""
    event["name"] = event["_record"].name
    return event


def _stamped() -> Processor:
    """ISO 8601 with its zone, which is always UTC."""
    return structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")


def _rendered(*, plain: bool, as_bytes: bool = True) -> list[Processor]:
    if plain:
        return [
            _shown,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                timestamp_key="at",
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer(MESSAGE),
        _in_order,
        _json_line if as_bytes else _json_text,
    ]


def _shown(_logger: object, _method: str, event: EventDict) -> EventDict:
    """No value moves the cursor of the terminal that it is shown on."""
    return {
        name: outside.shown(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _in_order(_logger: object, _method: str, event: EventDict) -> EventDict:
    """When, how bad and what stand first, so that a line can be read without a tool."""
    return {**{name: event[name] for name in FIRST}, **event}


def _json_line(_logger: object, _method: str, event: EventDict) -> bytes:
    try:
        return orjson.dumps(event, default=repr)
    except TypeError:  # half a character, or a key that is no text
        mended: Any = outside.value({str(name): value for name, value in event.items()})
        return orjson.dumps(mended, default=repr)


def _json_text(logger: object, method: str, event: EventDict) -> str:
    return _json_line(logger, method, event).decode()
