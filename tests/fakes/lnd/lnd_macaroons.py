"""Macaroons as lnd bakes them, and what each call wants."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from cobot_meter.adapters.lightning.lnd.macaroon import MacaroonUnreadable, Right, rights_of

# lnd: rpcserver.go MainRPCServerPermissions and the sub-servers' macPermissions.
WANTED: dict[str, frozenset[Right]] = {
    path: frozenset(rights)
    for path, *rights in (
        ("/lnrpc.Lightning/GetInfo", ("info", "read")),
        ("/lnrpc.Lightning/ChannelBalance", ("offchain", "read")),
        ("/lnrpc.Lightning/AddInvoice", ("invoices", "write")),
        ("/lnrpc.Lightning/SubscribeInvoices", ("invoices", "read")),
        ("/lnrpc.Lightning/SendCoins", ("onchain", "write")),
        ("/lnrpc.Lightning/OpenChannelSync", ("onchain", "write"), ("offchain", "write")),
        ("/lnrpc.Lightning/BakeMacaroon", ("macaroon", "generate")),
        ("/invoicesrpc.Invoices/LookupInvoiceV2", ("invoices", "write")),
        ("/invoicesrpc.Invoices/CancelInvoice", ("invoices", "write")),
        ("/invoicesrpc.Invoices/AddHoldInvoice", ("invoices", "write")),
        ("/invoicesrpc.Invoices/SettleInvoice", ("invoices", "write")),
        ("/invoicesrpc.Invoices/SubscribeSingleInvoice", ("invoices", "read")),
        ("/routerrpc.Router/SendPaymentV2", ("offchain", "write")),
        ("/routerrpc.Router/SendToRouteV2", ("offchain", "write")),
        ("/signrpc.Signer/SignOutputRaw", ("signer", "generate")),
    )
}
ENTITIES = ("onchain", "offchain", "address", "message", "peers", "info", "invoices", "signer")
READ = frozenset((entity, "read") for entity in (*ENTITIES, "macaroon"))
WRITE = frozenset((entity, "write") for entity in (*ENTITIES[:-1], "macaroon"))
ADMIN = READ | WRITE | {("signer", "generate"), ("macaroon", "generate")}
INVOICE = frozenset(
    {
        ("invoices", "read"),
        ("invoices", "write"),
        ("address", "read"),
        ("address", "write"),
        ("onchain", "read"),
    }
)


def by_name(paths: Iterable[str]) -> frozenset[Right]:
    """Rights to single calls."""
    return frozenset(("uri", path) for path in paths)


class Bakery:
    """Bakes with one root key, and judges what it has baked."""

    def __init__(self) -> None:
        """A fresh root key."""
        self._root = secrets.token_bytes(32)

    def bake(self, rights: Iterable[Right]) -> bytes:
        """A macaroon in the binary format, version 2."""
        ops = b"".join(
            _field(3, _field(1, entity.encode()) + _field(2, action.encode()))
            for entity, action in sorted(rights)
        )
        identifier = b"\x03" + _field(1, secrets.token_bytes(16)) + _field(2, b"0") + ops
        signature = self._sign(identifier)
        location = _packet(1, b"lnd")
        return b"\x02" + location + _packet(2, identifier) + b"\0\0" + _packet(6, signature)

    def refusal(self, macaroon: bytes, path: str) -> str | None:
        """What lnd says to a call with this macaroon; None when it lets it through."""
        if not macaroon:
            return "expected 1 macaroon, got 0"
        try:
            rights = rights_of(macaroon)
        except MacaroonUnreadable:
            return "cannot determine data format of binary-encoded macaroon"
        signature = macaroon[-32:]
        if self._sign(_identifier(macaroon)) != signature:
            return "verification failed: signature mismatch after caveat verification"
        if ("uri", path) in rights or WANTED[path] <= rights:
            return None
        return "permission denied"

    def _sign(self, identifier: bytes) -> bytes:
        return hmac.new(self._root, identifier, hashlib.sha256).digest()


def _identifier(macaroon: bytes) -> bytes:
    after_location = macaroon[1 + 2 + len(b"lnd") + 1 :]
    end = len(after_location) - 2 - 2 - 32
    start = 1 if after_location[0] < 128 else 2
    return after_location[start:end]


def _packet(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + _varint(len(content)) + content


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
