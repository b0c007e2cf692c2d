"""Transitions of API keys: what was made, changed, rotated or revoked, as entries of the journal.

The entries say everything that the row has, so an audit makes the row anew from them alone; the
digest of a key's text is no secret. Must not know: storage, or who may say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from cobot_meter.domain.api_key import events as on
from cobot_meter.domain.api_key.machine import api_key_changes
from cobot_meter.domain.api_key.record import ApiKey, ApiKeyState, KeyLimits
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.transitions.row_digests import ROW, api_key_digest
from cobot_meter.domain.transitions.transition import Facts, Transition

API_KEY_MADE = "api_key_made"
_CHANGED, _ROTATED, _REVOKED = "api_key_changed", "api_key_rotated", "api_key_revoked"
# The kinds of entries that are of a key.
API_KEY_KINDS = frozenset({API_KEY_MADE, _CHANGED, _ROTATED, _REVOKED})
_LIMITS = tuple(field.name for field in dataclasses.fields(KeyLimits))
_PRIVACY = "privacy"
Told = Mapping[str, str | int | None]


def make_api_key(key: ApiKey) -> Transition:
    """The key's first row."""
    return Transition(
        key=f"{key.key_id}/{API_KEY_MADE}",
        kind=API_KEY_MADE,
        subject_id=key.key_id,
        caller_id=key.caller_id,
        at_ms=key.made_at_ms,
        api_key=key,
        facts={
            "secret_sha256": key.secret_sha256,
            "hint": key.hint,
            **_wished(key.name, key.limits),
            ROW: api_key_digest(key),
        },
    )


def api_key_transition(before: ApiKey, event: on.ApiKeyEvent, *, at_ms: int) -> Transition:
    """What `event` makes true of `before`. Raises IllegalTransition.

    Two who say the same at once have said it once; of two who say different things the second
    finds the row moved on.
    """
    changes = api_key_changes(before, event)
    after = dataclasses.replace(before, **changes)
    kind, facts = _told(event)
    digest = api_key_digest(after)
    same = f"/{digest}" if kind == _CHANGED else ""
    return Transition(
        key=f"{after.key_id}/{kind}/{after.version}{same}",
        kind=kind,
        subject_id=after.key_id,
        caller_id=after.caller_id,
        at_ms=at_ms,
        api_key=after,
        api_key_changed=tuple(changes),
        facts={**facts, ROW: digest},
    )


def api_key_as_made(key_id: str, caller_id: str, facts: Told, *, at_ms: int) -> ApiKey:
    """The key as its first entry says it. Raises KeyError, ValueError for what it does not say."""
    return ApiKey(
        key_id=key_id,
        caller_id=caller_id,
        made_at_ms=at_ms,
        state=ApiKeyState.LIVE,
        version=1,
        secret_sha256=str(facts["secret_sha256"]),
        hint=str(facts["hint"]),
        rotations=0,
        name=str(facts["name"]),
        limits=_limits(facts),
    )


def api_key_event_of(kind: str, facts: Told) -> on.ApiKeyEvent:
    """The event as it was told. Raises ValueError and KeyError for what no event has."""
    match kind:
        case "api_key_changed":
            return on.ApiKeyChanged(name=str(facts["name"]), limits=_limits(facts))
        case "api_key_rotated":
            return on.ApiKeyRotated(
                secret_sha256=str(facts["secret_sha256"]), hint=str(facts["hint"])
            )
        case "api_key_revoked":
            return on.ApiKeyRevoked()
        case _:
            message = f"no event of a key is called {kind!r}"
            raise ValueError(message)


def _told(event: on.ApiKeyEvent) -> tuple[str, dict[str, str | int | None]]:
    match event:
        case on.ApiKeyChanged():
            return _CHANGED, _wished(event.name, event.limits)
        case on.ApiKeyRotated():
            return _ROTATED, {"secret_sha256": event.secret_sha256, "hint": event.hint}
        case on.ApiKeyRevoked():
            return _REVOKED, {}


def _wished(name: str, limits: KeyLimits) -> dict[str, str | int | None]:
    """The words of an entry; a tier that demands nothing goes unsaid, as before revision 0023."""
    said = {one: getattr(limits, one) for one in _LIMITS if one != _PRIVACY}
    if limits.privacy is not PrivacyTier.PUBLIC:
        said[_PRIVACY] = limits.privacy.value
    return {"name": name, **said}


def _limits(facts: Told) -> KeyLimits:
    return KeyLimits(
        limit_msat=_maybe_msat(facts["limit_msat"]),
        day_limit_msat=_maybe_msat(facts["day_limit_msat"]),
        models=str(facts["models"]),
        privacy=PrivacyTier(str(facts.get(_PRIVACY, PrivacyTier.PUBLIC))),
    )


def _maybe_msat(fact: Facts | str | int | None) -> int | None:
    if fact is None or isinstance(fact, int):
        return fact
    message = f"{fact!r} is no amount"
    raise ValueError(message)
