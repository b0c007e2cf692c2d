"""Events of NIP-01: what is signed, and how the id is made that is signed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from cobot_pay.nostr.keys import NostrKey, is_signed

Tags = tuple[tuple[str, ...], ...]


class EventRefused(Exception):
    """It is no event, or not what its key has signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A signed event; made by `sign_event`, or taken from outside by `read_event`."""

    id: str
    pubkey: str
    created_at: int
    kind: int
    tags: Tags
    content: str
    sig: str

    def tag(self, name: str) -> str:
        """The value of the first tag of that name; empty without one."""
        return next((tag[1] for tag in self.tags if len(tag) > 1 and tag[0] == name), "")

    def document(self) -> dict[str, Any]:
        """The event as the JSON object of NIP-01."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """What an event says, before anybody signs it."""

    kind: int
    content: str
    created_at: int
    tags: Tags = ()


def sign_event(key: NostrKey, said: Unsigned) -> Event:
    """The event signed by this key, with the id that NIP-01 makes of it."""
    digest = _digest(key.public, said.created_at, said.kind, said.tags, said.content)
    return Event(
        id=digest.hex(),
        pubkey=key.public,
        created_at=said.created_at,
        kind=said.kind,
        tags=said.tags,
        content=said.content,
        sig=key.sign(digest).hex(),
    )


def read_event(document: object) -> Event:
    """An event from outside. Raises EventRefused unless its id and its signature are its own."""
    if not isinstance(document, Mapping):
        raise EventRefused("it is no JSON object")
    found = _Members(document)
    event = Event(
        id=found.text("id"),
        pubkey=found.text("pubkey"),
        created_at=found.number("created_at"),
        kind=found.number("kind"),
        tags=found.tags(),
        content=found.text("content"),
        sig=found.text("sig"),
    )
    try:
        digest = _digest(event.pubkey, event.created_at, event.kind, event.tags, event.content)
    except UnicodeEncodeError as fault:
        raise EventRefused("it has half a character in it") from fault
    if digest.hex() != event.id:
        raise EventRefused("its id is not made from what it says")
    if not is_signed(digest, public=event.pubkey, signature=event.sig):
        raise EventRefused("its key has not signed it")
    return event


class _Members:
    """The members of a JSON object, each of the type that an event has there."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def text(self, name: str) -> str:
        value = self._document.get(name)
        if not isinstance(value, str):
            raise EventRefused(f"its {name} is no text")
        return value

    def number(self, name: str) -> int:
        value = self._document.get(name)
        if type(value) is not int:
            raise EventRefused(f"its {name} is no integer")
        return value

    def tags(self) -> Tags:
        value = self._document.get("tags")
        if not isinstance(value, list | tuple) or not all(map(_is_tag, value)):
            raise EventRefused("its tags are no lists of texts")
        return tuple(tuple(tag) for tag in value)


def _is_tag(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _digest(
    pubkey: str, created_at: int, kind: int, tags: Sequence[Sequence[str]], content: str
) -> bytes:
    said = [0, pubkey, created_at, kind, tags, content]
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).digest()
