"""Who is asking: tokens are minted here for a 402, and proved when they come back with a preimage.

A pair proves something only as a whole: the macaroon must be ours, every caveat must be known and
hold, and the preimage must be that of the payment hash in its identifier. What a caveat forbids it
forbids for everything: a pair that has expired names nobody and spends nothing, and one with a
caveat that cannot be read is no pair at all. Whether the invoice is settled is the ledger's matter,
not ours. Nothing here tells a caller why a pair proved nothing.
Must not know: HTTP, the books, or what the caller wants.
"""

from __future__ import annotations

import base64
import enum
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cobot_meter.http_api.l402 import macaroons
from cobot_meter.http_api.l402.credentials import Credential, Credentials
from cobot_meter.http_api.l402.macaroons import Identifier, Macaroon, MacaroonInvalid

SECRET_BYTES_MIN = 32
SERVICES = "chat:0"

_VALID_UNTIL: Final = "chat_valid_until"
_REQUIRED: Final = ("services", _VALID_UNTIL, "caller", "request_sha256")
_KEY: Final = "key"
_KNOWN: Final = frozenset({*_REQUIRED, "escrow", "topup", "preimage", _KEY})
_UNIX_SECOND = re.compile(r"[0-9]{1,12}")


class TokenKind(enum.StrEnum):
    """What a token was minted for; the name of the caveat that holds its id."""

    ESCROW = "escrow"
    TOPUP = "topup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a valid pair proves. Hashes are 64 lower-case hex digits.

    Exactly one of `escrow_id` and `topup_id` is set. With a `key_id` it is that API key, and no
    more: not even its holder's own purchases of another key.
    """

    caller_id: str
    escrow_id: str | None
    topup_id: str | None
    payment_hash: str
    request_sha256: str
    key_id: str | None = None


class Tokens:
    """Mints and proves macaroons. Nothing is stored: all keys are derived from one secret."""

    def __init__(self, *, secret: bytes) -> None:
        """`secret` is at least 32 bytes; whoever has it can mint. Raises ValueError."""
        if len(secret) < SECRET_BYTES_MIN:
            message = f"a token secret has at least {SECRET_BYTES_MIN} bytes"
            raise ValueError(message)
        self._id_key = hmac.digest(secret, b"cobot-meter token id", sha256)
        self._root_key = hmac.digest(secret, b"cobot-meter token root key", sha256)

    def mint(
        self,
        *,
        caller_id: str,
        payment_hash: str,
        subject_id: str,
        request_sha256: str,
        valid_until_s: int,
        kind: TokenKind,
    ) -> str:
        """A macaroon in standard, padded base64: the same again for the same arguments.

        `subject_id` is the escrow or top-up that `kind` says; `valid_until_s` a Unix second.
        """
        token_id = hmac.digest(self._id_key, f"{subject_id}|{caller_id}".encode(), sha256)
        identifier = macaroons.encode_identifier(
            Identifier(payment_hash=bytes.fromhex(payment_hash), token_id=token_id)
        )
        caveats = (
            f"services={SERVICES}",
            f"{_VALID_UNTIL}={valid_until_s}",
            f"caller={caller_id}",
            f"{kind}={subject_id}",
            f"request_sha256={request_sha256}",
        )
        macaroon = macaroons.mint(
            root_key=self._root_key_of(identifier),
            identifier=identifier,
            caveats=tuple(caveat.encode() for caveat in caveats),
        )
        return base64.b64encode(macaroons.encode(macaroon)).decode("ascii")

    def prove(self, credentials: Credentials, *, now_s: int) -> Proof | None:
        """What the first valid pair proves; None when none does.

        Never raises, whatever the pairs hold.
        """
        proofs = (self._proof(pair, now_s) for pair in credentials.pairs)
        return next((proof for proof in proofs if proof is not None), None)

    def _proof(self, pair: Credential, now_s: int) -> Proof | None:
        try:
            macaroon = macaroons.parse(pair.macaroon)
            payment_hash = macaroons.parse_identifier(macaroon.identifier).payment_hash
        except MacaroonInvalid:
            return None
        ours = macaroons.verify(macaroon, root_key=self._root_key_of(macaroon.identifier))
        paid = hmac.compare_digest(sha256(pair.preimage).digest(), payment_hash)
        caveats = _read_caveats(macaroon)
        if not (ours and paid) or caveats is None or now_s >= int(caveats[_VALID_UNTIL]):
            return None
        if caveats.get("preimage", pair.preimage.hex()).lower() != pair.preimage.hex():
            return None
        return Proof(
            caller_id=caveats["caller"],
            escrow_id=caveats.get(TokenKind.ESCROW),
            topup_id=caveats.get(TokenKind.TOPUP),
            payment_hash=payment_hash.hex(),
            request_sha256=caveats["request_sha256"],
            key_id=caveats.get(_KEY),
        )

    def _root_key_of(self, identifier: bytes) -> bytes:
        return hmac.digest(self._root_key, identifier, sha256)


def of_key(macaroon: str, key_id: str) -> str:
    """The macaroon as the holder of one API key gets it: with its preimage it is that key."""
    held = macaroons.parse(base64.b64decode(macaroon))
    caveat = f"{_KEY}={key_id}".encode()
    return base64.b64encode(macaroons.encode(macaroons.narrowed(held, caveat))).decode("ascii")


def _read_caveats(macaroon: Macaroon) -> Mapping[str, str] | None:
    """Every caveat by name, each at its narrowest; None when one is unknown, widens or is missing.

    Whoever holds a token may append caveats, so the first of a name is ours and later ones count
    only when they allow no more.
    """
    read: dict[str, str] = {}
    for caveat in macaroon.caveats:
        name, separator, value = caveat.decode("utf-8", "replace").partition("=")
        if name not in _KNOWN or not separator:
            return None
        if name == _VALID_UNTIL and not _UNIX_SECOND.fullmatch(value):
            return None
        if name in read and not _narrows(name, value, read[name]):
            return None
        read[name] = value
    subjects = [kind for kind in TokenKind if kind in read]
    complete = all(name in read for name in _REQUIRED) and len(subjects) == 1
    return read if complete and read["services"] == SERVICES else None


def _narrows(name: str, value: str, before: str) -> bool:
    if name == _VALID_UNTIL:
        return int(value) <= int(before)
    return value == before
