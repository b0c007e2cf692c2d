"""The events of an API key: all of them are its owner's word. The journal has them in full."""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.api_key.record import KeyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyChanged:
    """Its name, its limits or both are others; both stand here as they are afterwards."""

    name: str
    limits: KeyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRotated:
    """It has another text from here on; the one before names nobody any more.

    `secret_sha256` is the digest of the new text in hex, `hint` how that begins.
    """

    secret_sha256: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked:
    """It names nobody any more, for good."""


ApiKeyEvent = ApiKeyChanged | ApiKeyRotated | ApiKeyRevoked
