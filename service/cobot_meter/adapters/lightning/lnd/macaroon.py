"""What a macaroon of lnd may do, read from the macaroon itself.

lnd writes the rights into the identifier in plain text (go-macaroon-bakery, version 3), and caveats
can only narrow them. Must not know: connections, or whether the node agrees.
"""

from __future__ import annotations

from collections.abc import Iterator

Right = tuple[str, str]  # entity and action, or `uri` and the RPC's path

# The least that the service calls, paying back a hold included; `GetState` needs no macaroon.
BAKE_URIS = (
    "/lnrpc.Lightning/GetInfo",
    "/lnrpc.Lightning/ChannelBalance",
    "/lnrpc.Lightning/AddInvoice",
    "/lnrpc.Lightning/SubscribeInvoices",
    "/lnrpc.Lightning/ListInvoices",
    "/invoicesrpc.Invoices/LookupInvoiceV2",
    "/invoicesrpc.Invoices/CancelInvoice",
    "/invoicesrpc.Invoices/AddHoldInvoice",
    "/invoicesrpc.Invoices/SettleInvoice",
    "/invoicesrpc.Invoices/SubscribeSingleInvoice",
)
HARMLESS_URIS = frozenset(BAKE_URIS) | {
    "/lnrpc.Lightning/LookupInvoice",
    "/lnrpc.Lightning/ListChannels",
    "/verrpc.Versioner/GetVersion",
}
# Rights with which money can leave, or a macaroon be made with which it can.
SPENDING = frozenset(
    {
        ("offchain", "write"),
        ("onchain", "write"),
        ("signer", "generate"),
        ("macaroon", "generate"),
    }
)

_VERSION = 2  # of the binary macaroon format
_IDENTIFIER = 2  # its field of that number
_BAKERY_VERSION = 3
_OPS, _ENTITY, _ACTION = 3, 1, 2  # of bakery's MacaroonId and Op
_LENGTH_DELIMITED = 2


class MacaroonUnreadable(ValueError):
    """Octets that are no macaroon of lnd."""


def rights_of(macaroon: bytes) -> frozenset[Right]:
    """Every right that the macaroon was baked with. Raises MacaroonUnreadable."""
    identifier = _identifier_of(macaroon)
    if not identifier or identifier[0] != _BAKERY_VERSION:
        raise MacaroonUnreadable("it is not a macaroon that lnd made")
    rights = set()
    for number, op in _fields(identifier[1:]):
        if number == _OPS:
            parts = list(_fields(op))
            entity = b"".join(text for number, text in parts if number == _ENTITY)
            actions = [text for number, text in parts if number == _ACTION]
            rights |= {(entity.decode(), action.decode()) for action in actions}
    if not rights:
        raise MacaroonUnreadable("it names no rights")
    return frozenset(rights)


def spending_rights(rights: frozenset[Right]) -> frozenset[Right]:
    """Those with which money could leave; an RPC by name that we do not know counts as one."""
    unknown = {(kind, name) for kind, name in rights if kind == "uri" and name not in HARMLESS_URIS}
    return (rights & SPENDING) | unknown


def _identifier_of(macaroon: bytes) -> bytes:
    if macaroon[:1] != bytes([_VERSION]):
        raise MacaroonUnreadable("it is not a binary macaroon")
    at = 1
    while at < len(macaroon):
        kind, at = _varint(macaroon, at)
        if kind == 0:
            break
        content, at = _octets(macaroon, at)
        if kind == _IDENTIFIER:
            return content
    raise MacaroonUnreadable("it has no identifier")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of every field of a protobuf message that has only text and octets."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 != _LENGTH_DELIMITED:
            raise MacaroonUnreadable("its identifier has a field of an unknown kind")
        content, at = _octets(message, at)
        yield tag >> 3, content


def _octets(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _varint(data, at)
    if at + length > len(data):
        raise MacaroonUnreadable("it is cut short")
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        octet = data[at]
        at += 1
        value |= (octet & 127) << shift
        if octet < 128:  # noqa: PLR2004 - the top bit says that more follows
            return value, at
        shift += 7
    raise MacaroonUnreadable("it is cut short")
