"""Asks a wallet service over a relay (NIP-47), one question at a time. Must not know payments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cobot_pay import wall_clock
from cobot_pay.nostr.ciphers import NIP04, NIP44, CannotDecrypt, Encryption
from cobot_pay.nostr.events import Event, Unsigned, sign_event
from cobot_pay.nostr.keys import NostrKey
from cobot_pay.nostr.relay import Relay, RelayLost

INFO, REQUEST, RESPONSE = 13_194, 23_194, 23_195


class ServiceUnfit(Exception):
    """The service cannot be asked, and nothing was: the text says why."""


class ServiceRefused(Exception):
    """The service answered with an error; `code` is NIP-47's word for it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a service says of itself: the methods that it knows, and how it wants to be written."""

    methods: frozenset[str]
    cipher: str


class WalletService:
    """One wallet service, as it is reached over one connection to a relay."""

    def __init__(self, relay: Relay, *, key: NostrKey, service: str) -> None:
        """`key` is the one that the service knows us by, `service` its public key."""
        self._relay = relay
        self._key = key
        self._service = service

    async def capabilities(self) -> Capabilities:
        """What the info event says that it keeps at the relay. Raises ServiceUnfit, RelayLost."""
        name = await self._relay.listen(kinds=[INFO], authors=[self._service], limit=1)
        async for event in self._relay.events(name, author=self._service):
            if event is None:
                break
            if event.kind == INFO:
                return _capabilities(event)
        raise ServiceUnfit("the wallet service has left no word of itself at its relay")

    async def ask(
        self, method: str, params: Mapping[str, object], *, cipher: str, for_s: int
    ) -> Mapping[str, Any]:
        """The `result` of its answer, waited for without an end. Raises ServiceRefused, RelayLost.

        The service is told to pass over a request that is older than `for_s` seconds.
        """
        encryption = Encryption(cipher, mine=self._key, theirs=self._service)
        now_s = wall_clock.now_s()
        request = sign_event(
            self._key,
            Unsigned(
                kind=REQUEST,
                content=encryption.encrypt(json.dumps({"method": method, "params": params})),
                created_at=now_s,
                tags=(
                    ("p", self._service),
                    ("encryption", cipher),
                    ("expiration", str(now_s + for_s)),
                ),
            ),
        )
        wanted = {"kinds": [RESPONSE], "authors": [self._service], "#e": [request.id]}
        name = await self._relay.listen(**wanted)
        await self._relay.publish(request)
        async for event in self._relay.events(name, author=self._service):
            if event is not None and event.kind == RESPONSE and event.tag("e") == request.id:
                answer = _answer(encryption, event)
                if answer is not None:
                    return _result(answer)
        raise RelayLost("the relay ended its answer")


def _capabilities(event: Event) -> Capabilities:
    """A service that names no encryption was written before there was a choice: NIP-04."""
    named = event.tag("encryption").replace(",", " ").split() or [NIP04]
    for cipher in (NIP44, NIP04):
        if cipher in named:
            return Capabilities(methods=frozenset(event.content.split()), cipher=cipher)
    raise ServiceUnfit(f"the wallet service wants to be written in {' or '.join(named)[:100]}")


def _answer(encryption: Encryption, event: Event) -> dict[str, Any] | None:
    """What it says; None for what cannot be read, after which a better one may come."""
    try:
        answer = json.loads(encryption.decrypt(event.content))
    except (CannotDecrypt, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _result(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    error, result = answer.get("error"), answer.get("result")
    if isinstance(error, dict):
        raise ServiceRefused(str(error.get("code"))[:40], str(error.get("message"))[:200])
    return result if isinstance(result, dict) else {}
