"""POST, GET, PATCH and DELETE /v1/keys: API keys, managed by the proof of a payment.

A key manages none, not even itself: whoever finds one that leaked could make others from it that
outlive its end. Its text is shown when it is made or rotated, and never again. Must not know: ASGI,
or how a text is derived.
"""

from __future__ import annotations

import re
from typing import Any

from cobot_meter.domain.api_key.record import ApiKey, KeyLimits, KeyWish
from cobot_meter.domain.errors import EscrowNotFound
from cobot_meter.domain.money import MSAT_PER_SAT
from cobot_meter.flows.credit.manage_keys import NOT_YOURS, ShownKey
from cobot_meter.flows.offer.quote_request import utc_day
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.chat.route import idempotency_key
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.small_bodies import KEY_FIELDS, fields_of, key_wish
from cobot_meter.ports.books import KeySpending

KEYS_PATH = "/v1/keys"
OK = 200
CREATED = 201
_ONE = re.compile(rf"{KEYS_PATH}/([A-Za-z0-9_]{{1,80}})", re.ASCII)
_ROTATED = re.compile(rf"{KEYS_PATH}/([A-Za-z0-9_]{{1,80}})/rotate", re.ASCII)


class KeyRoutes:
    """The routes of a caller's keys."""

    def __init__(self, *, parts: FaceParts, askers: Askers) -> None:
        """`askers` reads the proof."""
        self._parts = parts
        self._askers = askers

    async def make(self, request: HttpRequest) -> PlainAnswer:
        """201 with a new key and its text; a repeated Idempotency-Key makes no second one.

        Raises RequestInvalid, and what whoever asks is refused for.
        """
        caller_id = await self._owner(request)
        wish = key_wish(fields_of(request.body.take(), KEY_FIELDS))
        named = idempotency_key(request)
        name = None if named is None else f"asked {named}"
        shown = await self._parts.manage_keys.make(caller_id, wish, name=name)
        return json_answer(CREATED, await self.shown(shown), (PRIVATE,))

    async def listed(self, request: HttpRequest) -> PlainAnswer:
        """200 with every key of the caller, newest first, revoked ones too; no texts."""
        caller_id = await self._askers.owner(request)
        keys = await self._parts.manage_keys.listed(caller_id)
        documents = [await self._document(key) for key in keys]
        return json_answer(OK, {"object": "list", "data": documents}, (PRIVATE,))

    async def one(self, request: HttpRequest) -> PlainAnswer:
        """200 with one key of the caller, without its text. Raises EscrowNotFound."""
        caller_id = await self._askers.owner(request)
        key = await self._parts.manage_keys.one(caller_id, _key_id(_ONE, request))
        return json_answer(OK, {"data": await self._document(key)}, (PRIVATE,))

    async def change(self, request: HttpRequest) -> PlainAnswer:
        """200 with the key under another name or limits, which hold from the next request on.

        Raises EscrowNotFound, KeyRevoked, RequestInvalid.
        """
        caller_id = await self._owner(request)
        said = fields_of(request.body.take(), KEY_FIELDS)

        def changed(key: ApiKey) -> KeyWish:
            return key_wish(said, before=KeyWish(name=key.name, limits=key.limits))

        key = await self._parts.manage_keys.change(caller_id, _key_id(_ONE, request), changed)
        return json_answer(OK, {"data": await self._document(key)}, (PRIVATE,))

    async def rotate(self, request: HttpRequest) -> PlainAnswer:
        """200 with the key and its new text, shown only here; the one before ends at once.

        Raises EscrowNotFound, KeyRevoked, RequestInvalid.
        """
        caller_id = await self._owner(request)
        shown = await self._parts.manage_keys.rotate(caller_id, _key_id(_ROTATED, request))
        return json_answer(OK, await self.shown(shown), (PRIVATE,))

    async def revoke(self, request: HttpRequest) -> PlainAnswer:
        """200 with the key, ended for good, now or before. Raises EscrowNotFound."""
        caller_id = await self._askers.owner(request)
        key = await self._parts.manage_keys.revoke(caller_id, _key_id(_ONE, request))
        return json_answer(OK, {"data": await self._document(key)}, (PRIVATE,))

    async def shown(self, shown: ShownKey) -> dict[str, Any]:
        """The document of a key with its text, which is null where it is not shown again."""
        return {"key": shown.secret, "data": await self._document(shown.key)}

    async def _document(self, key: ApiKey) -> dict[str, Any]:
        spending = await self._parts.books.key_spending(key.key_id)
        return api_key_document(key, spending, today=utc_day(self._parts.clock.now_ms()))

    async def _owner(self, request: HttpRequest) -> str:
        """Whom the proof names.

        Raises CallerBlocked, ProofRequired for a key, CredentialInvalid for nobody, and KeyInvalid.
        """
        caller_id = await self._askers.owner(request)
        await self._askers.refuse_blocked(caller_id)
        return caller_id


def api_key_document(key: ApiKey, spending: KeySpending, *, today: str) -> dict[str, Any]:
    """A key as its owner reads it, amounts in msat and limits in sat; its text is not stored."""
    newest = spending.days[0] if spending.days else None
    return {
        "id": key.key_id,
        "object": "api_key",
        "name": key.name,
        "label": f"{key.hint}…",
        "state": key.state.value,
        **limits_document(key.limits),
        "spent_msat": spending.spent_msat,
        "reserved_msat": spending.reserved_msat,
        "spent_today_msat": newest.spent_msat if newest and newest.utc_day == today else 0,
        "created_at_ms": key.made_at_ms,
        "last_used_day": newest.utc_day if newest else None,
        "rotations": key.rotations,
    }


def limits_document(limits: KeyLimits) -> dict[str, Any]:
    """The limits as they are asked for, amounts in sat; null where there is none."""
    return {
        "limit_sat": _sat(limits.limit_msat),
        "day_limit_sat": _sat(limits.day_limit_msat),
        "models": limits.models.split() or None,
        "privacy": limits.privacy.value,
    }


def _sat(msat: int | None) -> int | None:
    return None if msat is None else msat // MSAT_PER_SAT


def _key_id(path: re.Pattern[str], request: HttpRequest) -> str:
    match = path.fullmatch(request.path)
    if match is None:
        raise EscrowNotFound(NOT_YOURS)
    return match[1]
