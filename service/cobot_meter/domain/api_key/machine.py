"""The key's state machine: a live key is changed, rotated and revoked; a revoked one is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cobot_meter.domain.api_key import events as on
from cobot_meter.domain.api_key.record import ApiKey, ApiKeyState
from cobot_meter.domain.errors import IllegalTransition

S = ApiKeyState
API_KEY_TRANSITIONS: Mapping[tuple[ApiKeyState, type[on.ApiKeyEvent]], ApiKeyState] = {
    (S.LIVE, on.ApiKeyChanged): S.LIVE,
    (S.LIVE, on.ApiKeyRotated): S.LIVE,
    (S.LIVE, on.ApiKeyRevoked): S.REVOKED,
}


def api_key_changes(key: ApiKey, event: on.ApiKeyEvent) -> dict[str, Any]:
    """The fields that `event` sets, and to what. Raises IllegalTransition for a revoked key."""
    state = API_KEY_TRANSITIONS.get((key.state, type(event)))
    if state is None:
        message = f"{type(event).__name__} cannot happen to a key that is {key.state}"
        raise IllegalTransition(message)
    moved = {} if state is key.state else {"state": state}
    return {**moved, "version": key.version + 1, **_changes(key, event)}


def _changes(key: ApiKey, event: on.ApiKeyEvent) -> dict[str, Any]:
    match event:
        case on.ApiKeyChanged():
            return {"name": event.name, "limits": event.limits}
        case on.ApiKeyRotated():
            return {
                "secret_sha256": event.secret_sha256,
                "hint": event.hint,
                "rotations": key.rotations + 1,
            }
        case on.ApiKeyRevoked():
            return {}
