"""What lies in the two files that reach lnd, when it is not what should lie there.

Copying them goes wrong in a few ways that all look alike from afar ("nothing answers", "macaroon
refused"). Must not know: connections, or what the node says.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass
from pathlib import Path

_BINARY = b"\x02"  # the first octet of every macaroon that lnd makes
_DER = b"\x30"
_PEM = b"-----BEGIN"
_CERTIFICATE = b"-----BEGIN CERTIFICATE"
_HEX = frozenset(b"0123456789abcdefABCDEF")
_SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate counts: Unix ms, and as it says them itself."""

    from_ms: int
    until_ms: int
    begins: str
    ends: str


def certificate_fault(path: Path, held: bytes) -> str | None:
    """Why these octets are not lnd's tls.cert, as one sentence; None: they may be."""
    if not held.strip():
        return f"{path} is empty: copy lnd's tls.cert anew"
    if b"PRIVATE KEY" in held and _CERTIFICATE not in held:
        return f"{path} is a private key, which stays with lnd: give its tls.cert"
    if held.startswith(_BINARY) or _text_macaroon(held):
        return (
            f"{path} is a macaroon: give lnd's tls.cert here, and this as COBOT_METER_LND_MACAROON"
        )
    if held.startswith(_DER):
        return f"{path} is a certificate in DER, not in PEM: give lnd's tls.cert as it is"
    if validity_of(held) is None and not _is_certificate(held):
        cut = ", and looks cut short" if held.startswith(_CERTIFICATE) else ""
        return f"{path} is not a certificate in PEM{cut}: give lnd's tls.cert"
    return None


def macaroon_fault(path: Path, held: bytes) -> str | None:
    """Why these octets are no macaroon as lnd stores it; None: they may be one."""
    if not held.strip():
        return f"{path} is empty: bake the macaroon anew"
    if _PEM in held[:64]:
        return f"{path} is a certificate or a key: give the macaroon that `lnd bake` tells of"
    if held.lstrip()[:1] == b"{":
        return f"{path} holds a macaroon as JSON, and lnd's file is binary: copy the file itself"
    form = _text_macaroon(held)
    if form is not None:
        decode = "xxd -r -p" if form == "hex" else "base64 -d"
        return (
            f"{path} holds the macaroon as {form} text, and lnd's file is binary: copy the file "
            f"itself, or decode it with `{decode}`"
        )
    return None


def validity_of(held: bytes) -> Validity | None:
    """Of the first certificate in it; None when that cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=held.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return None
    for certificate in context.get_ca_certs():
        begins, ends = str(certificate["notBefore"]), str(certificate["notAfter"])
        return Validity(_ms(begins), _ms(ends), begins, ends)
    return None


def _is_certificate(held: bytes) -> bool:
    # Of the libraries that are loaded anyway: cryptography's x509 takes 7 MiB of every process.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=held.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return False
    return True


def _text_macaroon(held: bytes) -> str | None:
    """`hex` or `base64` for a macaroon that somebody wrote down in letters."""
    text = b"".join(held.split())
    if len(text) % 2 == 0 and text[:2] == b"02" and set(text) <= _HEX:
        return "hex"
    try:
        decoded = base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except (binascii.Error, ValueError):
        return None
    return "base64" if decoded[:1] == _BINARY else None


def _ms(said: str) -> int:
    return int(ssl.cert_time_to_seconds(said)) * _SECOND_MS
