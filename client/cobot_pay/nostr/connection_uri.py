"""Reads the URI that a wallet gives out, `nostr+walletconnect://…`: it is a secret that spends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_SCHEMES = ("nostr+walletconnect", "nostrwalletconnect")
_KEY = re.compile(r"[0-9a-f]{64}")
_RELAY_SCHEMES = ("wss", "ws")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnectionUri:
    """Which key serves the wallet, over which relays, and the secret key of ours that it knows."""

    service: str
    relays: tuple[str, ...]
    secret: bytes


def read_connection_uri(text: str) -> ConnectionUri:
    """The parts of the URI. Raises ValueError that says what is missing, never the secret."""
    parts = urlsplit(text.strip())
    if parts.scheme not in _SCHEMES:
        raise ValueError("a wallet's connection begins with nostr+walletconnect://")
    service = (parts.netloc or parts.path.strip("/")).lower()
    if not _KEY.fullmatch(service):
        raise ValueError("the wallet's connection names no public key of 64 hex digits")
    query = parse_qs(parts.query)
    secret = query.get("secret", [""])[0].lower()
    if not _KEY.fullmatch(secret):
        raise ValueError("the wallet's connection has no `secret` of 64 hex digits")
    relays = tuple(one for one in query.get("relay", []) if urlsplit(one).scheme in _RELAY_SCHEMES)
    if not relays:
        raise ValueError("the wallet's connection names no `relay` that begins with wss://")
    return ConnectionUri(service=service, relays=relays, secret=bytes.fromhex(secret))
