"""Small JSON bodies of the routes beside the sale: a few named fields, and a sentence for each.

Must not know: what the fields are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.api_key.record import MODELS_MAX, NAME_CHARS_MAX, KeyLimits, KeyWish
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import AMOUNT_MAX, MSAT_PER_SAT
from cobot_meter.domain.routing.hints import PrivacyTier

SAT_MAX = AMOUNT_MAX // MSAT_PER_SAT
_LIMIT_FIELDS = {"limit_sat": "limit_msat", "day_limit_sat": "day_limit_msat"}
KEY_FIELDS = frozenset({"name", *_LIMIT_FIELDS, "models", "privacy"})


def fields_of(content: bytes, known: frozenset[str]) -> Mapping[str, Any]:
    """The members of a JSON object; none of an empty body. Raises RequestInvalid."""
    if not content.strip():
        return {}
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise RequestInvalid("The body is not JSON.") from None
    return _known(document, known, "The body")


def _known(document: object, known: frozenset[str], what: str) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        message = f"{what} must be a JSON object."
        raise RequestInvalid(message)
    unknown = next((name for name in document if name not in known), None)
    if unknown is not None:
        name = outside.shown(unknown, most=NAME_CHARS_MAX)
        message = f"{what} has no field {name!r}; there are {', '.join(sorted(known))}."
        raise RequestInvalid(message, param=name)
    return document


def topup_sat(fields: Mapping[str, Any]) -> int:
    """`amount_sat`, as whole sat above zero. Raises RequestInvalid."""
    if fields.get("amount_sat") is None:
        message = 'Say how much to top up by, in whole sat: {"amount_sat": 1000}.'
        raise RequestInvalid(message, param="amount_sat")
    return _sat("amount_sat", fields["amount_sat"])


def key_wish(document: object, *, before: KeyWish | None = None) -> KeyWish:
    """Name and limits of a key; what is not said stays as `before`. Raises RequestInvalid."""
    said = _known(document, KEY_FIELDS, "A key")
    before = before or KeyWish()
    limits = {
        field: _limit(name, said[name]) if name in said else getattr(before.limits, field)
        for name, field in _LIMIT_FIELDS.items()
    }
    models = _models(said["models"]) if "models" in said else before.limits.models
    name = _name(said["name"]) if "name" in said else before.name
    privacy = _privacy(said["privacy"]) if "privacy" in said else before.limits.privacy
    return KeyWish(name=name, limits=KeyLimits(**limits, models=models, privacy=privacy))


def _limit(name: str, said: object) -> int | None:
    return None if said is None else _sat(name, said) * MSAT_PER_SAT


def _sat(name: str, said: object) -> int:
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise _wrong(name, 'must be a number of sat, written as a number (1000 and not "1000")')
    if said <= 0:
        raise _wrong(name, "must be above zero")
    if said > SAT_MAX:
        raise _wrong(name, f"is more than there is to be had: at most {SAT_MAX}")
    if said != int(said):
        raise _wrong(name, "must be whole: there is no part of a sat here")
    return int(said)


def _name(said: object) -> str:
    name = outside.shown(said, most=NAME_CHARS_MAX + 1).strip() if isinstance(said, str) else None
    if name is None or len(name) > NAME_CHARS_MAX:
        raise _wrong("name", f"must be a text of at most {NAME_CHARS_MAX} characters")
    return name


def _models(said: object) -> str:
    if said is None:
        return ""
    names = [outside.identifier(one) for one in said] if isinstance(said, list) else []
    known = [name for name in names if name is not None]
    if not 0 < len(known) == len(names) <= MODELS_MAX:
        raise _wrong(
            "models", f"must be null for every model, or a list of 1 to {MODELS_MAX} model ids"
        )
    return " ".join(dict.fromkeys(known))


def _privacy(said: object) -> PrivacyTier:
    """The lowest tier of what the key asks; null takes the demand away."""
    if said is None:
        return PrivacyTier.PUBLIC
    if not isinstance(said, str) or said not in {tier.value for tier in PrivacyTier}:
        raise _wrong("privacy", f"must be one of {', '.join(PrivacyTier)}, or null for none")
    return PrivacyTier(said)


def _wrong(name: str, what: str) -> RequestInvalid:
    return RequestInvalid(f"{name} {what}.", param=name)
