"""The one secret file: from it every preimage, token and body key is derived.

It lies outside the database, readable by its owner only. Losing it loses all kept completions;
leaking it leaks preimages.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cobot_meter.adapters.secrets.secret_files import (
    SECRET_BYTES,
    is_open_to_others,
    secret_in,
    write_secret,
)
from cobot_meter.domain.errors import SettingInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedKeys:
    """Three independent keys of 32 bytes, never shown, and a mark that tells secrets apart."""

    preimage: bytes = field(repr=False)
    token: bytes = field(repr=False)
    wrapping: bytes = field(repr=False)
    mark: str


def derived_keys(secret: bytes) -> DerivedKeys:
    """The keys that version 1 of the scheme derives from a secret of 32 bytes."""
    return DerivedKeys(
        preimage=_derive(secret, "cobot-meter/1/preimage"),
        token=_derive(secret, "cobot-meter/1/token"),
        wrapping=_derive(secret, "cobot-meter/1/wrapping"),
        mark=_derive(secret, "cobot-meter/1/mark").hex(),
    )


def read_key_file(path: Path, *, begun: bool = False) -> DerivedKeys:
    """Read the secret, or make it at the first start. Raises SettingInvalid.

    Where books have `begun` a secret of today would open nothing of theirs: none is made.
    """
    if not path.exists():
        if begun:
            message = (
                f"{path} is missing, and the books were begun with it: restore it from its backup "
                "(docs/operating.md, \u201cThe lost key\u201d)"
            )
            raise SettingInvalid(message)
        _create(path)
    if is_open_to_others(path):
        message = f"{path} is readable by others; run: chmod 600 {path}"
        raise SettingInvalid(message)
    secret = secret_in(path)
    if secret is None:
        message = f"{path} must hold {2 * SECRET_BYTES} hex digits; restore it from your backup"
        raise SettingInvalid(message)
    return derived_keys(secret)


def _create(path: Path) -> None:
    """Complete or not at all: a half-written secret would be a different one."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    write_secret(fresh, secrets.token_bytes(SECRET_BYTES))
    fresh.rename(path)


def _derive(secret: bytes, name: str) -> bytes:
    return hmac.digest(secret, name.encode(), hashlib.sha256)
