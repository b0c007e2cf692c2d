"""Reads typed values out of named variables, and knows which of them exist.

Must not know: what the values mean. Every refusal names the variable and says what fits.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from service.domain.errors import SettingInvalid
from service.domain.money import AMOUNT_MAX, MSAT_PER_SAT, RATE_MAX, pusd_from_text, usd_text
from service.domain.outside import shown
from service.wiring.secret import Secret, read_secret_file
from service.wiring.setting_addresses import split_address, url_fault
from service.wiring.setting_text import fault_of, told_value, trimmed

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
