"""Digests that tie rows to the entries that made them: what the journal says of a row in one word.

An entry keeps the digest of those values of its row that no other fact of it repeats, so that an
audit can tell an edited row from the one that was written. Digests of sealed bodies are of what is
stored, never of what is in it. Must not know: storage, or who looks.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from operator import attrgetter
from typing import Any, NamedTuple, get_args, get_type_hints

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.escrow.record import Escrow, Opening
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.transition import StoredBodies

# The scheme's number stands before each: another scheme must not be mistaken for a forgery.
SCHEME = "1"
DIGEST_CHARS = 32
ROW = "row_sha256"
# A fact of its own, outside the digest: entries from before revision 0013 lack it.
UPSTREAM = "upstream"
DROPPED = "dropped"
SEALED_KEY, SEALED_REQUEST, SEALED_COMPLETION = (
    "sealed.key",
    "sealed.request",
    "sealed.completion",
)

Facts = dict[str, str | int | None]


def opened_digest(escrow: Escrow) -> str:
    """Of everything that is fixed when an escrow opens."""
    always, later = _fixed_fields()
    said = always(escrow)
    for name, value_of, unsaid, parts in later:
        value = value_of(escrow)
        if value != unsaid:
            said += parts(value) if parts else (f"{name} {value}",)
    return _digest(*said)


# Fields that have a default and were in the scheme from its beginning, and one by another name.
_ALWAYS_SAID = frozenset(
    {
        *("idempotency_key", "continues", "credit_fee_bps", "markup_bps", "safety_bps"),
        *("request_pusd", "cache_write_pusd", "reasoning_pusd"),
    }
)
_SAID_AS = {"least_pusd": "least"}
_Values = Callable[[Any], tuple[Any, ...]]


class _Later(NamedTuple):
    """A field that came later than the scheme: its name, where it is, and what goes unsaid."""

    name: str
    value_of: Callable[[Any], Any]
    unsaid: object
    parts: _Values | None


@functools.cache
def _fixed_fields() -> tuple[_Values, tuple[_Later, ...]]:
    """What the digest says of any escrow, and what only of those that have it.

    A field of `Opening`, or of a part of it, with a default came later than the scheme: it is said
    with its name, after all others, and not at its default, so that digests of before stay true.
    """
    always: list[str] = []
    later: list[_Later] = []
    for path, field, inner in _walk(Opening):
        if field.default is MISSING or field.name in _ALWAYS_SAID:
            always.append(path)
            continue
        parts = attrgetter(*(one for one, _, _ in _walk(inner))) if inner else None
        name = _SAID_AS.get(field.name, field.name)
        later.append(_Later(name, attrgetter(path), field.default, parts))
    return attrgetter(*always), tuple(later)


def _walk(made: type[Any], within: str = "") -> Iterator[tuple[str, Field[Any], type[Any] | None]]:
    """Every field by its path; those of a part that is always there in the part's place."""
    types = get_type_hints(made)
    for field in fields(made):
        path, inner = within + field.name, _part_of(types[field.name])
        if inner and field.default is MISSING:
            yield from _walk(inner, f"{path}.")
        else:
            yield path, field, inner


def _part_of(annotation: Any) -> type[Any] | None:  # noqa: ANN401 - an annotation
    """The dataclass that it names, alone or beside None."""
    named = (annotation, *get_args(annotation))
    return next((one for one in named if isinstance(one, type) and is_dataclass(one)), None)


def topup_digest(topup: Topup) -> str:
    """Of the whole row as the entry leaves it."""
    return _digest(
        topup.topup_id,
        topup.caller_id,
        topup.address_key,
        topup.amount_msat,
        topup.opened_at_ms,
        topup.state.value,
        topup.version,
        topup.attempt,
        topup.payment_hash,
        topup.payment_request,
        topup.expires_at_s,
        topup.paid_msat,
        topup.settle_index,
    )


def api_key_digest(key: ApiKey) -> str:
    """Of the whole row as the entry leaves it."""
    return _digest(
        key.key_id,
        key.caller_id,
        key.made_at_ms,
        key.state.value,
        key.version,
        key.secret_sha256,
        key.hint,
        key.rotations,
        key.name,
        key.limits.limit_msat,
        key.limits.day_limit_msat,
        key.limits.models,
        *(() if key.limits.privacy is PrivacyTier.PUBLIC else (key.limits.privacy.value,)),
    )


def sealed_facts(bodies: StoredBodies | None) -> Facts:
    """What an entry says of the sealed bodies that it stored."""
    if bodies is None:
        return {}
    facts: Facts = {
        name: sealed_digest(body)
        for name, body in (
            (SEALED_KEY, bodies.wrapped_key),
            (SEALED_REQUEST, bodies.request),
            (SEALED_COMPLETION, bodies.completion),
        )
        if body is not None
    }
    return facts | {SEALED_REQUEST: DROPPED} if bodies.drop_request else facts


def sealed_digest(body: bytes) -> str:
    """Of one sealed body as it is stored."""
    return hashlib.sha256(body).hexdigest()


def _digest(*values: str | int | None) -> str:
    digest = hashlib.sha256(repr(values).encode()).hexdigest()
    return f"{SCHEME}:{digest[:DIGEST_CHARS]}"
