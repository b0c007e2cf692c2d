"""An API key as its row has it: whose it is, by which digest it is found, and what it may spend.

The text of a key is nowhere: it is derived from our secret and the id, shown when it is made, and
found again by its SHA-256. Must not know: HTTP, sales, or how the text is derived.
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass, field

from cobot_meter.domain.routing.hints import PrivacyTier

SECRET_PREFIX = "sk-cobot-"  # noqa: S105 - what every key begins with
HINT_CHARS = len(SECRET_PREFIX) + 6
_SECRET = re.compile(r"sk-cobot-[A-Za-z0-9_-]{43}")

# A key that was changed so often is no key that somebody uses.
VERSIONS_MAX = 1_000
NAME_CHARS_MAX = 80
MODELS_MAX = 32


class ApiKeyState(enum.StrEnum):
    """Revoked is for good: who needs another key makes one."""

    LIVE = "live"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What a key may spend in all and on one UTC day, in msat; None for whatever its caller may.

    `models` are the ids it may ask for, one space between them; empty for every model. `privacy` is
    the lowest tier that what it asks has: its requests may be raised, and never fall below.
    """

    limit_msat: int | None = None
    day_limit_msat: int | None = None
    models: str = ""
    privacy: PrivacyTier = PrivacyTier.PUBLIC

    @property
    def allowed_models(self) -> frozenset[str] | None:
        """The models it may ask for, None for every one."""
        return frozenset(self.models.split()) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """What whoever makes a key may choose."""

    name: str = ""
    limits: KeyLimits = field(default_factory=KeyLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key, made at `made_at_ms` in Unix milliseconds.

    `secret_sha256` is the digest of its text, `hint` how that begins; `rotations` says how often it
    was given another text, and `version` counts its events.
    """

    key_id: str
    caller_id: str
    made_at_ms: int
    state: ApiKeyState
    version: int
    secret_sha256: str
    hint: str
    rotations: int
    name: str
    limits: KeyLimits

    @classmethod
    def made(cls, key_id: str, secret: str, *, caller_id: str, wish: KeyWish, at_ms: int) -> ApiKey:
        """The key as it begins; `secret` is its text, of which only the digest is kept."""
        return cls(
            key_id=key_id,
            caller_id=caller_id,
            made_at_ms=at_ms,
            state=ApiKeyState.LIVE,
            version=1,
            secret_sha256=secret_digest(secret),
            hint=secret[:HINT_CHARS],
            rotations=0,
            name=wish.name,
            limits=wish.limits,
        )

    @property
    def is_live(self) -> bool:
        """Whether it still names its caller."""
        return self.state is ApiKeyState.LIVE


def secret_digest(secret: str) -> str:
    """The SHA-256 of a key's text in hex, by which it is found.

    The text has 256 bits that nobody can guess, so nothing slower is needed.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret(text: str) -> bool:
    """Whether this has the shape of a key's text."""
    return _SECRET.fullmatch(text) is not None
