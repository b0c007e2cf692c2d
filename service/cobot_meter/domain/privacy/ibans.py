"""Account numbers of ISO 13616. Must not know: banks."""

from __future__ import annotations

import re

from cobot_meter.domain.privacy import check_digits

_IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20"
    " EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27"
    " JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18"
    " NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24"
    " TR26 UA29 VA22 VG24 XK20"
)
_LENGTH_OF = {word[:2]: int(word[2:]) for word in _IBAN_LENGTHS.split()}
_IBAN_HEAD = re.compile(r"[A-Z]{2}\d\d", re.IGNORECASE)
_IBAN_SIGNS = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+){0,8}")
_IBAN_TEXT_MAX = 42
_BETWEEN = re.compile("[ -]")


def iban_at(text: str, start: int) -> bool:
    """Whether one begins here: with a country's letters, as long as its are, its sum right."""
    if not _IBAN_HEAD.match(text, start):
        return False
    signs = _IBAN_SIGNS.match(text, start, start + _IBAN_TEXT_MAX)
    joined = _BETWEEN.sub("", signs[0]).upper() if signs else ""
    length = _LENGTH_OF.get(joined[:2])
    return length is not None and len(joined) >= length and check_digits.iban(joined[:length])
