"""The state file of the development node: facts, one JSON line each, only ever appended.

Must not know: invoices' rules, the network or time. A line goes to the operating system in one
write before its effect is answered, so a killed process loses nothing; a line torn by a kill was
never answered and is dropped. A power cut may lose the last lines: this is a development node.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.errors import NodeUnavailable, SettingInvalid
from cobot_meter.domain.money import AMOUNT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """The first line: whose invoices these are. `key` is the private key, 64 hex digits."""

    network: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An invoice was made. `preimage` is 64 hex digits."""

    payment_hash: str
    preimage: str
    payment_request: str
    amount_msat: int
    memo: str
    created_at_s: int
    expiry_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A payment has arrived and is held: neither settled nor given back."""

    payment_hash: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """The held payment was given back."""

    payment_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The payment was taken."""

    payment_hash: str
    amount_paid_msat: int
    settle_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """The invoice can never be paid: somebody canceled it, or its time was over."""

    payment_hash: str


InvoiceFact = Added | Accepted | Reopened | Settled | Canceled
Fact = Born | InvoiceFact

_KINDS: dict[str, type[Fact]] = {
    kind.__name__.lower(): kind for kind in (Born, Added, Accepted, Reopened, Settled, Canceled)
}


def read_facts(path: Path) -> tuple[list[Fact], int]:
    """All whole lines of the file and their length in octets; nothing when there is no file.

    Raises SettingInvalid when a line (other than a torn last one) cannot be understood.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    return list(_parse(path, whole)), len(whole)


def _parse(path: Path, content: bytes) -> Iterator[Fact]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            values = orjson.loads(line)
            fact = _KINDS[values.pop("fact")](**values)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise SettingInvalid(
                f"the development node's state {path} is damaged in line {number}: move it away"
            ) from fault
        if not all(_sound(getattr(fact, f.name), f.type) for f in fields(fact)):
            raise SettingInvalid(f"the development node's state {path} is odd in line {number}")
        yield fact


def _sound(said: object, kind: object) -> bool:
    """Whether the node can have written this: of its type, and something that books can hold."""
    if type(said).__name__ != kind:
        return False
    if isinstance(said, str):
        return outside.text(said) == said
    return outside.count(said, most=AMOUNT_MAX) is not None


class DevNodeLog:
    """The open file, locked for this process. Raises SettingInvalid when another one has it."""

    def __init__(self, *, path: Path) -> None:
        """Open or begin the file; `facts` is what it held."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as fault:
            raise SettingInvalid(f"cannot keep the development node's state: {fault}") from fault
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.facts, self._length = read_facts(path)
            os.ftruncate(self._file, self._length)
        except BlockingIOError as fault:
            os.close(self._file)
            raise SettingInvalid(f"another process runs the development node on {path}") from fault
        except SettingInvalid:
            os.close(self._file)
            raise

    def append(self, fact: Fact) -> None:
        """Hand the fact to the operating system, whole or not at all. Raises NodeUnavailable."""
        values = {f.name: getattr(fact, f.name) for f in fields(fact)}
        line = orjson.dumps({"fact": type(fact).__name__.lower(), **values}) + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as fault:
            raise NodeUnavailable(
                f"the development node cannot write its state: {fault}"
            ) from fault
        if written < len(line):  # a full disk: leave no torn line before the next one
            os.ftruncate(self._file, self._length)
            raise NodeUnavailable("the development node cannot write its state: the disk is full")
        self._length += written

    def close(self) -> None:
        """Let go of the file; nothing is left to be written."""
        os.close(self._file)
