"""Personal data with a structure: numbers and addresses that say by themselves what they are.

Names, and where people live, have none: they are not found here. One pass picks what has digits
enough, and everything else looks at those few pieces only. Must not know: whose text it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cobot_meter.domain.privacy import check_digits
from cobot_meter.domain.privacy.ibans import iban_at
from cobot_meter.domain.privacy.national_numbers import is_national_code, is_national_number
from cobot_meter.domain.privacy.phones import is_phone
from cobot_meter.domain.privacy.pieces import beginning_in

CARD, IBAN, PHONE, EMAIL, ADDRESS = "card", "iban", "phone", "email", "ip_address"
NATIONAL, LICENCE = "national_id", "licence"

# What has digits and what usually stands between them, on one line.
_NUMBER = re.compile(r"[\d+(][\d ().+-]{4,40}\d")
_LETTERED = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,6}+\d[A-Za-z0-9]|\d{6,8}[A-Za-z+-])[A-Za-z0-9]{0,32}"
)
_CUT_CHARS = 40
_CARD_DIGITS, _NATIONAL_DIGITS, _PHONE_DIGITS, _V4_DOTS = 12, 9, 6, 3
_NOT_DIGITS = re.compile(r"[^0-9]")

_CARD = re.compile(
    r"(?<!\d)(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{5})(?!\d)"
)
_CARD_STARTS = re.compile(r"3[0-9]|4|5|6|2[2-7]|1800|2131")
_ALIKE_MIN = 2

_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_V6_COLONS = 7
_V6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])")
_OCTET_MAX = 255
_OWN_NETWORKS = re.compile(
    r"0\.|10\.|127\.|169\.254\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.0\.2\.|198\.51\.100\."
    r"|203\.0\.113\.|22[4-9]\.|2[3-5]\d\."
)

_LOCAL_PART = re.compile(r"[A-Za-z0-9._%+'-]{1,64}$")
_LOCAL_PART_MAX = 64
_DOMAIN = re.compile(r"@((?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})(?![A-Za-z0-9-])")
_NO_MAILBOX = re.compile(r"(?:^|\.)(?:example|test|invalid|localhost|local)(?:\.(?:com|org|net))?$")
_NO_PERSON = frozenset({"git", "noreply", "no-reply", "hg"})

_PAPERS = ("licen", "passport", "identity card", "social security", "taxpayer", "tax id")
_NUMBERED_PAPER = re.compile(
    r"\b(?:driv(?:er|ing)(?:['\u2019]?s)? licen[cs]e|passport|identity card|social security"
    r"|tax(?:payer)? id)[\w ]{0,16}?(?: (?:number|no\.?|id|is|was)|:|#)[\s:#]{0,3}(?:is |was )?"
    r"(?=[A-Z-]{0,6}\d{3})[A-Z0-9-]{6,16}\b",
    re.IGNORECASE,
)


def personal_data(text: str, lowered: str) -> Iterator[str]:
    """The type of each piece of personal data in `text`; a type may come more than once.

    `lowered` is the same text in lower case.
    """
    if "@" in text:
        yield from _emails(text)
    if text.count(":") >= _V6_COLONS:
        yield from _long_addresses(text)
    for pieces, kind_of in ((_NUMBER, _of_number), (_LETTERED, _of_letters)):
        for piece in pieces.finditer(text):
            kind = kind_of(text, piece.start(), piece.end())
            if kind is not None:
                yield kind
    if any(word in lowered for word in _PAPERS):
        yield from (LICENCE for _ in _NUMBERED_PAPER.finditer(text))


def _long_addresses(text: str) -> Iterator[str]:
    for word in text.split():
        if word.count(":") >= _V6_COLONS and _V6.search(word):
            yield ADDRESS


def _emails(text: str) -> Iterator[str]:
    at = text.find("@")
    while at >= 0:
        person = _LOCAL_PART.search(text, max(at - _LOCAL_PART_MAX, 0), at)
        domain = _DOMAIN.match(text, at)
        if person and domain and _is_mailbox(person[0].lower(), domain[1].lower()):
            yield EMAIL
        at = text.find("@", at + 1)


def _is_mailbox(person: str, domain: str) -> bool:
    return person not in _NO_PERSON and not _NO_MAILBOX.search(domain)


def _of_number(text: str, start: int, end: int) -> str | None:
    """What begins in this run of digits; the surest first, and each only where it can be."""
    digits = len(_NOT_DIGITS.sub("", text[start:end]))
    cut = end - start >= _CUT_CHARS  # what begins near its end goes on behind it
    if (cut or digits >= _CARD_DIGITS) and _has_card(text, start, end):
        return CARD
    if (cut or text.count(".", start, end) >= _V4_DOTS) and _has_address(text, start, end):
        return ADDRESS
    if digits >= _NATIONAL_DIGITS and is_national_number(text, start, end):
        return NATIONAL
    return PHONE if digits >= _PHONE_DIGITS and is_phone(text, start, end) else None


def _of_letters(text: str, start: int, end: int) -> str | None:
    if iban_at(text, start):
        return IBAN
    return NATIONAL if is_national_code(text, start, end) else None


def _has_card(text: str, start: int, end: int) -> bool:
    return any(_is_card(found[0]) for found in beginning_in(_CARD, text, start, end))


def _has_address(text: str, start: int, end: int) -> bool:
    return any(_is_public(found[0]) for found in beginning_in(_V4, text, start, end))


def _is_card(said: str) -> bool:
    digits = _NOT_DIGITS.sub("", said)
    return (
        len(set(digits)) >= _ALIKE_MIN
        and _CARD_STARTS.match(digits) is not None
        and check_digits.luhn(digits)
    )


def _is_public(address: str) -> bool:
    parts = address.split(".")
    octets = all(int(part) <= _OCTET_MAX and str(int(part)) == part for part in parts)
    return octets and not _OWN_NETWORKS.match(address)
