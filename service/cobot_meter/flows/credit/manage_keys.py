"""API keys at their owner's word: made, listed, changed, given another text, ended.

A key's text is derived from our secret and its id, and shown by whoever calls; the books have its
digest. So a request that is repeated because its answer was lost finds the same key. Must not know:
HTTP, or how an owner proves who he is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cobot_meter.domain.api_key.events import (
    ApiKeyChanged,
    ApiKeyEvent,
    ApiKeyRevoked,
    ApiKeyRotated,
)
from cobot_meter.domain.api_key.faults import KeyRevoked
from cobot_meter.domain.api_key.record import (
    HINT_CHARS,
    VERSIONS_MAX,
    ApiKey,
    KeyWish,
    secret_digest,
)
from cobot_meter.domain.errors import BooksBusy, Conflict, EscrowNotFound, RequestInvalid
from cobot_meter.domain.transitions.api_keys import api_key_transition, make_api_key
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.vault import Vault

TRIES = 8
# Of one caller, at a time and in all: rows that nobody pays for are bounded.
LIVE_MAX = 50
EVER_MAX = 200
NOT_YOURS = "There is no such key, or it is not yours."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A key, and its text as `secret`: None where the key has another one by now, or is revoked."""

    key: ApiKey
    secret: str | None


class ManageKeys:
    """What an owner does with keys. Each word is an entry of the journal."""

    def __init__(self, *, ledger: Ledger, vault: Vault) -> None:
        """`vault` derives ids and texts."""
        self._ledger = ledger
        self._vault = vault

    async def make(self, caller_id: str, wish: KeyWish, *, name: str | None) -> ShownKey:
        """A new key of the caller; with a `name`, the one that this name has made before, if any.

        The `name` is that of an intent, so that a repeated request makes no second key. The text is
        not shown again once the key was given another one, or was revoked. Raises RequestInvalid
        when the caller has too many.
        """
        key_id = self._vault.key_id(caller_id, name)
        known = await self._ledger.books.api_key(key_id)
        if known is not None:
            return self._as_made(known)
        await self._refuse_too_many(caller_id)
        secret = self._vault.key_secret(key_id, 0)
        key = ApiKey.made(
            key_id, secret, caller_id=caller_id, wish=wish, at_ms=self._ledger.now_ms()
        )
        applied = await self._ledger.apply(make_api_key(key))
        return self._as_made(applied.api_key or key)

    def _as_made(self, key: ApiKey) -> ShownKey:
        shown = key.is_live and not key.rotations
        return ShownKey(key=key, secret=self._vault.key_secret(key.key_id, 0) if shown else None)

    async def _refuse_too_many(self, caller_id: str) -> None:
        keys = await self._ledger.books.api_keys_of(caller_id, limit=EVER_MAX)
        if sum(key.is_live for key in keys) >= LIVE_MAX:
            message = f"A caller has at most {LIVE_MAX} keys at a time: revoke one of them first."
            raise RequestInvalid(message)
        if len(keys) >= EVER_MAX:
            message = (
                f"A caller makes at most {EVER_MAX} keys: rotate one that you have, or top up "
                "without a credential and begin as another caller."
            )
            raise RequestInvalid(message)

    async def listed(self, caller_id: str) -> tuple[ApiKey, ...]:
        """The caller's keys, newest first, revoked ones too."""
        return await self._ledger.books.api_keys_of(caller_id, limit=EVER_MAX)

    async def one(self, caller_id: str, key_id: str) -> ApiKey:
        """One of the caller's keys. Raises EscrowNotFound."""
        key = await self._ledger.books.api_key(key_id)
        if key is None or key.caller_id != caller_id:
            raise EscrowNotFound(NOT_YOURS)
        return key

    async def change(
        self, caller_id: str, key_id: str, changed: Callable[[ApiKey], KeyWish]
    ) -> ApiKey:
        """The key with what `changed` makes of it. Raises EscrowNotFound, KeyRevoked."""

        def event(key: ApiKey) -> ApiKeyEvent | None:
            wish = changed(key)
            if (wish.name, wish.limits) == (key.name, key.limits):
                return None
            return ApiKeyChanged(name=wish.name, limits=wish.limits)

        return await self._said(caller_id, key_id, event)

    async def rotate(self, caller_id: str, key_id: str) -> ShownKey:
        """The key under another text; the one before names nobody from here on.

        Raises EscrowNotFound, KeyRevoked.
        """

        def event(key: ApiKey) -> ApiKeyEvent:
            secret = self._vault.key_secret(key.key_id, key.rotations + 1)
            return ApiKeyRotated(secret_sha256=secret_digest(secret), hint=secret[:HINT_CHARS])

        key = await self._said(caller_id, key_id, event)
        return ShownKey(key=key, secret=self._vault.key_secret(key.key_id, key.rotations))

    async def revoke(self, caller_id: str, key_id: str) -> ApiKey:
        """The key, ended: every process hears it with the next request. Raises EscrowNotFound."""
        key = await self.one(caller_id, key_id)
        if not key.is_live:
            return key
        return await self._said(caller_id, key_id, lambda _: ApiKeyRevoked(), ends=True)

    async def _said(
        self,
        caller_id: str,
        key_id: str,
        event_for: Callable[[ApiKey], ApiKeyEvent | None],
        *,
        ends: bool = False,
    ) -> ApiKey:
        """What stands after the owner's word, said anew when another one came between."""
        for _ in range(TRIES):
            key = await self.one(caller_id, key_id)
            if not key.is_live:
                if ends:
                    return key
                raise KeyRevoked("This key is revoked, and stays so: make another one.")
            event = event_for(key)
            if event is None:
                return key
            if key.version >= VERSIONS_MAX and not ends:
                message = f"This key was changed {VERSIONS_MAX} times: revoke it and make another."
                raise RequestInvalid(message)
            transition = api_key_transition(key, event, at_ms=self._ledger.now_ms())
            try:
                applied = await self._ledger.apply(transition)
            except Conflict:
                continue
            return applied.api_key or key
        message = "Others are changing this key at this moment; ask again."
        raise BooksBusy(message, retry_after_s=1)
