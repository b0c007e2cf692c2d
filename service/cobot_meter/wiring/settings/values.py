"""Reads typed values out of named variables, and knows which of them exist.

Every refusal names the variable and says what fits. A secret never shows itself.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.money import AMOUNT_MAX, MSAT_PER_SAT, RATE_MAX, pusd_from_text, usd_text
from cobot_meter.domain.outside import shown
from cobot_meter.wiring.settings.text import fault_of, told_value, trimmed

PORT_MAX = 65_535
HOST_MAX = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")
_HTTP = ("http", "https")
_LOCAL_NAME = "localhost"
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def split_address(value: str) -> tuple[str, int] | None:
    """Host and port of `127.0.0.1:8402`, `node.example:10009` or `[::1]:8402`; else None."""
    host, colon, port = value.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if bracketed != (":" in bare) or not is_host(bare):
        return None
    return bare, int(port)


def is_host(host: str) -> bool:
    """An IP address without a zone, or a name; what ends in a number must be an address."""
    if _ip(host) is not None:
        return "%" not in host
    labels = host.removesuffix(".").split(".")
    well = len(host) <= HOST_MAX and all(_LABEL.fullmatch(label) for label in labels)
    return well and not labels[-1][0].isdigit()


def url_fault(url: str, *, with_query: bool = False) -> str | None:
    """What keeps this from being an http address without credentials; None: nothing.

    The address itself is never in the words: a password may stand in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address that can be read"
    faults = {
        "has a space in it": " " in url,
        "does not begin with https:// or http://": parts.scheme not in _HTTP or not parts.netloc,
        "has a user or a password in it, which would be shown: leave them out": "@" in parts.netloc,
        "names no host": not is_host(host),
        "has something behind its path: leave `?` or `#` and the rest out": bool(
            parts.fragment or (parts.query and not with_query)
        ),
    }
    return next((fault for fault, stands in faults.items() if stands), None)


def is_loopback(host: str) -> bool:
    """Only this machine can be meant."""
    address = _ip(host)
    if address is None:
        return host.lower().removesuffix(".") == _LOCAL_NAME
    return address.is_loopback


def is_every_address(host: str) -> bool:
    """`0.0.0.0` and `::`: a place to listen, and none to be called at."""
    address = _ip(host)
    return address is not None and address.is_unspecified


def host_of(url: str) -> str:
    """The host of a URL that `url_fault` found nothing wrong with."""
    return urlsplit(url).hostname or ""


def is_encrypted(url: str) -> bool:
    """Nobody on the way reads what is sent there."""
    return urlsplit(url).scheme == "https"


def _ip(host: str) -> _IP | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


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


PUSD_PER_MICRO_USD = 1_000_000
SECONDS_MAX = 10_000_000
FILE = "_FILE"
NAME_MAX = 80
_INTEGER = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


class Values:
    """The variables of one prefix; each read makes its name known."""

    def __init__(self, environ: Mapping[str, str], *, prefix: str) -> None:
        """`environ` is only read."""
        self._environ = environ
        self._prefix = prefix
        self._known: set[str] = set()

    @property
    def known(self) -> frozenset[str]:
        """Every variable that was asked for so far."""
        return frozenset(self._known)

    def refuse_unknown(self) -> None:
        """A misspelt setting would be a silent default: stop instead."""
        for name in sorted(self._environ):
            if name.startswith(self._prefix) and name not in self._known:
                close = difflib.get_close_matches(name[:NAME_MAX], self._known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                told = shown(name, most=NAME_MAX)
                message = f"{told} is not a setting of this version{hint}"
                raise SettingInvalid(message)

    def retired(self, name: str, instead: str, reason: str) -> None:
        """Stop for a setting of an earlier version. Raises SettingInvalid."""
        if self._environ.get(self.full(name), "").strip():
            message = (
                f"{self.full(name)} is no setting any more: {reason}; use {self.full(instead)}"
            )
            raise SettingInvalid(message)

    def text(self, name: str, default: str) -> str:
        """Any non-empty text in ASCII."""
        value = self._raw(name, default)
        if not value:
            self.refuse(name, value, "a value; unset it to use the default")
        return value

    def path(self, name: str, default: str) -> Path:
        """A path, in whatever script its owner writes."""
        value = self._raw(name, default, ascii_only=False)
        if not value:
            self.refuse(name, value, "a value; unset it to use the default")
        return Path(value)

    def maybe_path(self, name: str) -> Path | None:
        """A path, or None where it is unset or empty."""
        value = self._raw(name, "", ascii_only=False)
        return Path(value) if value else None

    def full(self, name: str) -> str:
        """The variable as it is written in the environment."""
        return self._prefix + name

    def given(self, name: str) -> bool:
        """Whether it is set at all."""
        full = self.full(name)
        self._known.add(full)
        return bool(trimmed(self._environ.get(full, "")))

    def required(self, name: str, wanted: str) -> str:
        """Any non-empty text in ASCII; there is no default."""
        self._demand(name, wanted)
        return self._raw(name, "")

    def required_path(self, name: str, wanted: str) -> Path:
        """A path; there is no default."""
        self._demand(name, wanted)
        return self.path(name, "")

    def optional(self, name: str) -> str:
        """Any text in ASCII; empty when it is not set."""
        return self._raw(name, "")

    def secret(self, name: str, *, prefixed: bool = True) -> Secret:
        """The value, or what the file of the variable with `_FILE` behind its name holds.

        Empty when neither is set. No refusal repeats anything of it.
        """
        full = self.full(name) if prefixed else name
        named = full + FILE
        self._known |= {full, named} if prefixed else set()
        value = trimmed(self._environ.get(full, ""))
        path = self._checked(named, self._environ.get(named, ""), ascii_only=False)
        if value and path:
            message = f"{full} and {named} are both set: set one of the two"
            raise SettingInvalid(message)
        if path:
            value, named = read_secret_file(Path(path), named=named), f"{named} ({path})"
        self._checked(named if path else full, value, blanks=False)
        return Secret(value)

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        value = self._raw(name, default)
        if value not in choices:
            self.refuse(name, value, f"one of {', '.join(choices)}")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Words separated by commas; none by default."""
        return tuple(word.strip() for word in self._raw(name, "").split(",") if word.strip())

    def networks(self, name: str) -> tuple[str, ...]:
        """Networks in CIDR notation, separated by commas."""
        words = self.words(name)
        for word in words:
            try:
                ipaddress.ip_network(word)
            except ValueError:
                self.refuse(name, word, "networks such as 10.0.0.0/8, separated by commas")
        return words

    def url(self, name: str, default: str) -> str:
        """An http address without credentials, without a slash at its end."""
        value = self._raw(name, default)
        if not value:
            self.refuse(name, value, "a value; unset it to use the default")
        fault = url_fault(value)
        if fault:
            message = f"{self.full(name)} {fault}; it is an address such as https://host/path"
            raise SettingInvalid(message)
        return value.rstrip("/")

    def integer(self, name: str, default: int, *, at_least: int = 0, at_most: int = 10**12) -> int:
        """A whole number in a range."""
        value = self._raw(name, str(default))
        if not _INTEGER.fullmatch(value) or not at_least <= int(value) <= at_most:
            self.refuse(name, value, f"a whole number from {at_least} to {at_most}")
        return int(value)

    def sat_as_msat(self, name: str, default: int) -> int:
        """A whole number of satoshis, in msat."""
        return self.integer(name, default) * MSAT_PER_SAT

    def pusd(self, name: str, default: str, *, most: int = AMOUNT_MAX) -> int:
        """An amount of USD such as 0.25, in pico-USD and at most `most` of them."""
        value = self._raw(name, default)
        if not _DECIMAL.fullmatch(value):
            self.refuse(name, value, "an amount of USD such as 0.25")
        try:
            return pusd_from_text(value, most=most)
        except ValueError:
            self.refuse(name, value, f"an amount of USD up to {usd_text(most)}")

    def usd_micro(self, name: str, default: str) -> int:
        """A price in USD with at most six decimals, in micro-USD, above zero."""
        pusd = self.pusd(name, default, most=RATE_MAX * PUSD_PER_MICRO_USD)
        if not pusd or pusd % PUSD_PER_MICRO_USD:
            self.refuse(name, self._raw(name, default), "a price in USD, six decimals at most")
        return pusd // PUSD_PER_MICRO_USD

    def seconds(self, name: str, default: str, *, at_least: float = 0) -> float:
        """A duration in seconds, fractions allowed; four months at most."""
        value = self._raw(name, default)
        if not _DECIMAL.fullmatch(value):
            self.refuse(name, value, "a number of seconds such as 0.5 or 30")
        if not at_least <= float(value) <= SECONDS_MAX:
            self.refuse(name, value, f"a number of seconds from {at_least} to {SECONDS_MAX}")
        return float(value)

    def host_and_port(self, name: str, default: str) -> tuple[str, int]:
        """`127.0.0.1:8402` or `[::1]:8402`; port 0 lets the system choose."""
        value = self._raw(name, default)
        found = split_address(value)
        if found is None:
            self.refuse(name, value, "an address and port such as 127.0.0.1:8402")
        return found

    def refuse(self, name: str, value: str, wanted: str) -> NoReturn:
        """Stop the start: what was given, and what would fit. Raises SettingInvalid."""
        message = f"{self._prefix}{name} must be {wanted}, not {told_value(value)}"
        raise SettingInvalid(message)

    def _demand(self, name: str, wanted: str) -> None:
        if not self.given(name):
            message = f"{self.full(name)} is missing: set it to {wanted}"
            raise SettingInvalid(message)

    def _raw(self, name: str, default: str, *, ascii_only: bool = True) -> str:
        full = self.full(name)
        self._known.add(full)
        return self._checked(full, self._environ.get(full, default), ascii_only=ascii_only)

    def _checked(
        self, full: str, given: str, *, ascii_only: bool = True, blanks: bool = True
    ) -> str:
        value = trimmed(given)
        fault = fault_of(value, ascii_only=ascii_only, blanks=blanks)
        if fault:
            message = f"{full} {fault}"
            raise SettingInvalid(message)
        return value
