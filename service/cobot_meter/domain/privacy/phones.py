"""Telephone numbers: written as only they are, or with a word that says what they are.

Must not know: which country's they are. Who must know that reads tables of tens of megabytes.
"""

from __future__ import annotations

import re

from cobot_meter.domain.privacy.pieces import beginning_in

_NOT_DIGITS = re.compile(r"[^0-9]")
_BEFORE, _AFTER = 48, 12
_INTERNATIONAL = re.compile(
    r"(?<![\w.)])(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0?\d{0,4}\))?[ .-]?\d[\d .-]{5,16}\d"
)
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.+-])(?:(?:\+?1|001)[ .-])?(?:\(\d{3}\) ?|\d{3}([.-]))\d{3}(?(1)\1|-)\d{4}(?![\d.-])"
)
_LEADING_ZERO = re.compile(
    r"(?<![\w.,:/-])(?!\d\d[ .-]\d\d[ .-](?:19|20)\d\d(?!\d))"  # a date is none
    r"\(?0[1-9]\d{0,3}\)?(?:[ .-]\d{2,4}){2,5}(?![\d.,])"
)
_BY_LOOK = (_INTERNATIONAL, _NORTH_AMERICAN, _LEADING_ZERO)
_OTHER = re.compile(r"(?<![\w.,])\(?\d[\d ().-]{4,18}\d(?![\d.,]\d)")
_DIGITS = range(6, 16)
_WORDS = re.compile(
    r"\b(?:tele)?(?:phones?|fon|fax|mobile|cell|sms|whatsapp|dial|hotline|tel)\b"
    r"|\b(?:call|reach|text|ring|contact) (?:me|us|him|her|them|back|on|at)\b|you can call\b"
    r"|\banswering at\b|\bmessages? (?:to|on)\b|\b(?:office|desk|direct): ",
    re.IGNORECASE,
)
_WORDS_AFTER = re.compile(r"\W{0,3}(?:office|fax|mobile|cell|tel|home|work)\b", re.IGNORECASE)


def is_phone(text: str, start: int, end: int) -> bool:
    """Whether one begins in this part of `text`; a word for it may stand before or behind."""
    if any(_begins(one, text, start, end) for one in _BY_LOOK):
        return True
    return any(_is_called_one(text, other) for other in beginning_in(_OTHER, text, start, end))


def _begins(pattern: re.Pattern[str], text: str, start: int, end: int) -> bool:
    return any(True for _ in beginning_in(pattern, text, start, end))


def _is_called_one(text: str, other: re.Match[str]) -> bool:
    if len(_NOT_DIGITS.sub("", other[0])) not in _DIGITS:
        return False
    at = other.start()
    return bool(
        _WORDS.search(text, max(at - _BEFORE, 0), at)
        or _WORDS_AFTER.match(text, other.end(), other.end() + _AFTER)
    )
