"""Numbers that a country knows its people by: a look of their own, or a word before their digits.

Must not know: where else in a text they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cobot_meter.domain.privacy import check_digits
from cobot_meter.domain.privacy.pieces import beginning_in

_BEFORE = 48
_SIGNS = re.compile(r"[ .+-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalNumber:
    """How a country's number is written; `words` must stand before one that is only digits."""

    written: re.Pattern[str]
    holds: Callable[[str], bool]
    words: re.Pattern[str] | None = None

    def is_in(self, text: str, start: int, end: int) -> bool:
        """Whether one begins in this part of `text`."""
        found = beginning_in(self.written, text, start, end)
        return any(self._is(text, each) for each in found)

    def _is(self, text: str, found: re.Match[str]) -> bool:
        at = found.start()
        if self.words and not self.words.search(text, max(at - _BEFORE, 0), at):
            return False
        return self.holds(found[0])


def _number(pattern: str, holds: Callable[[str], bool], words: str | None = None) -> NationalNumber:
    return NationalNumber(
        written=re.compile(rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"),
        holds=holds,
        words=re.compile(rf"\b(?:{words})\b", re.IGNORECASE) if words else None,
    )


def _digits(holds: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same check without what stands between the digits."""
    return lambda said: holds(_SIGNS.sub("", said))


def _always(_said: str) -> bool:
    return True


def _eleven(*weights: int) -> Callable[[str], bool]:
    return _digits(lambda digits: check_digits.eleven(digits, weights))


# With signs between the digits that nothing else has, or with a word before them.
_OF_DIGITS = (
    _number(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}", _always),
    _number(r"9\d\d-[5-9]\d-\d{4}", _always),
    _number(r"(?!000|666|9\d\d)\d{3} ?\d\d ?\d{4}", _always, "ssn|social security(?: number)?"),
    _number(r"\d{3}\.\d{3}\.\d{3}-\d\d", _digits(check_digits.brazilian)),
    _number(r"\d{11}", _digits(check_digits.brazilian), "cpf"),
    _number(r"\d{6}-[1-8]\d{6}", _always),
    _number(r"\d{6}[+-]\d{4}", _digits(check_digits.luhn)),
    _number(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d-\d{4}", _always, "cpr|personnummer"),
    _number(r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", _digits(check_digits.belgian)),
    _number(
        r"[12] ?\d\d ?\d\d ?\d\d ?\d{3} ?\d{3} ?\d\d",
        _digits(check_digits.french),
        "nir|s[eé]cu(?:rit[eé] sociale)?",
    ),
    _number(r"[2-9]\d{3} ?\d{4} ?\d{4}", _digits(check_digits.verhoeff), "aadhaar|aadhar|uid"),
    _number(
        r"\d{3}[ -]?\d{3}[ -]?\d{3}", _digits(check_digits.luhn), "sin|social insurance(?: number)?"
    ),
    _number(
        r"\d{3}[ -]?\d{3}[ -]?\d{4}", _eleven(10, 9, 8, 7, 6, 5, 4, 3, 2, 1), "nhs(?: number)?"
    ),
    _number(r"\d{3} ?\d{3} ?\d{3}", _eleven(1, 4, 3, 7, 5, 8, 6, 9, 10), "tfn|tax file number"),
    _number(r"\d{9}", _eleven(9, 8, 7, 6, 5, 4, 3, 2, -1), "bsn|burgerservicenummer"),
    _number(r"\d{11}", _always, "pesel|steuer-?id(?:entifikationsnummer)?|idnr"),
    _number(r"\d{13}", _digits(check_digits.luhn), "south african id|rsa id|id number"),
    _number(r"\d{4} ?\d{4} ?\d{4}", _always, "my number|個人番号"),
    _number(
        r"[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]",
        check_digits.chinese,
    ),
)
_OF_LETTERS = (
    _number(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", _always),
    _number(r"(?:\d{8}|[XYZ]\d{7})[TRWAGMYFPDXBNJZSQVHLCKE]", check_digits.spanish),
    _number(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", check_digits.italian),
    _number(
        r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d[-+A-F]\d{3}[0-9A-FHJ-NPR-Y]",
        check_digits.finnish,
    ),
    _number(r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", _always, "pan|permanent account"),
    _number(r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", _always),
    _number(r"[STFG]\d{7}[A-Z]", check_digits.singaporean),
)


def is_national_number(text: str, start: int, end: int) -> bool:
    """Whether one of digits begins in this part of `text`; words for it may stand before."""
    return any(one.is_in(text, start, end) for one in _OF_DIGITS)


def is_national_code(text: str, start: int, end: int) -> bool:
    """Whether one with letters in it does."""
    return any(one.is_in(text, start, end) for one in _OF_LETTERS)
