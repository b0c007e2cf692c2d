"""A value that never shows itself, and the file it may lie in. Must not know: what it opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.domain.errors import SettingInvalid

SECRET_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never shows itself in a log or a traceback."""

    _value: str

    def reveal(self) -> str:
        """The value, for the one place that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"


def read_secret_file(path: Path, *, named: str) -> str:
    """The one line that a file of systemd, Docker or Kubernetes holds, without its end of line.

    `named` is the variable that names the file. Raises SettingInvalid, never with what it holds.
    """
    try:
        with path.open("rb") as file:
            held = file.read(SECRET_BYTES_MAX + 1)
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is no path"
        message = f"{named}: cannot read {path}: {why}"
        raise SettingInvalid(message) from None
    try:
        value = held.decode().strip(" \t\r\n")
    except UnicodeDecodeError as fault:
        message = f"{named}: {path} holds no text: its byte {fault.start + 1} is not UTF-8"
        raise SettingInvalid(message) from None
    if not value or len(held) > SECRET_BYTES_MAX:
        what = "is empty" if not value else f"has more than {SECRET_BYTES_MAX} bytes"
        message = f"{named}: {path} {what}: put the value into it, on one line"
        raise SettingInvalid(message)
    return value
