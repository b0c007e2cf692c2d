"""A guard at the sockets of this process: while it stands, no connection leaves the machine.

Python itself reports every connection and every name that is looked up, whoever makes them; the
guard fails those that are not of this machine before a byte is sent, and remembers them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from collections.abc import Iterator
from functools import cache

HERE = frozenset({"localhost", ""})


class OutsideConnects:
    """What was tried while the guard stood."""

    def __init__(self) -> None:
        self.stands = False
        self.tried: list[str] = []

    def heard(self, event: str, arguments: tuple[object, ...]) -> None:
        """One event of the interpreter. Raises PermissionError for one that leads outside."""
        if not self.stands or event not in {
            "socket.connect",
            "socket.getaddrinfo",
            "socket.sendto",
        }:
            return
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or (isinstance(name, str) and _is_here(name)):
            return
        self.tried.append(str(name))
        raise PermissionError(f"{event} of {name} leaves this machine")


def _is_here(host: str) -> bool:
    if host.lower() in HERE or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@cache
def _hook() -> OutsideConnects:
    """One for the process: the interpreter never lets go of it."""
    guard = OutsideConnects()
    sys.addaudithook(guard.heard)
    return guard


@contextlib.contextmanager
def no_outside_connects() -> Iterator[OutsideConnects]:
    """The guard, standing for as long as the block lasts."""
    guard = _hook()
    guard.tried, guard.stands = [], True
    try:
        yield guard
    finally:
        guard.stands = False
