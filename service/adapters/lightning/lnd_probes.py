"""Calls that change nothing and still show which rights a macaroon has at the node itself.

Each is wrong in a way that lnd refuses before it does anything, so that a right that is there
costs nothing and one that is missing answers `permission denied`. Must not know: who asks why.
"""

from __future__ import annotations

from service.adapters.lightning.lnd_connection import LndConnection
from service.adapters.lightning.lnd_errors import LndFault, LndVerdict
from service.adapters.lightning.lnd_messages import Message
from service.adapters.lightning.lnd_stubs import invoicesrpc, lnrpc, routerrpc, signrpc

Probe = tuple[str, Message]
UNKNOWN_HASH = bytes(32)  # no preimage of it is known to anybody
PACKAGES = {"Lightning": "lnrpc", "Invoices": "invoicesrpc", "Router": "routerrpc"}
STREAMS = frozenset(
    {"Lightning.SubscribeInvoices", "Invoices.SubscribeSingleInvoice", "Router.SendPaymentV2"}
)
LISTEN_S = 0.5  # a subscription that is permitted stays silent


def needed_probes() -> tuple[Probe, ...]:
    """One for every right in BAKE_URIS."""
    return (
        ("Lightning.GetInfo", lnrpc.GetInfoRequest()),
        ("Lightning.ChannelBalance", lnrpc.ChannelBalanceRequest()),
        ("Lightning.AddInvoice", lnrpc.Invoice(value_msat=-1)),
        ("Lightning.SubscribeInvoices", lnrpc.InvoiceSubscription()),
        ("Lightning.ListInvoices", lnrpc.ListInvoiceRequest(num_max_invoices=1)),
        ("Invoices.LookupInvoiceV2", invoicesrpc.LookupInvoiceMsg(payment_hash=UNKNOWN_HASH)),
        ("Invoices.CancelInvoice", invoicesrpc.CancelInvoiceMsg(payment_hash=b"")),
        ("Invoices.AddHoldInvoice", invoicesrpc.AddHoldInvoiceRequest(hash=b"")),
        ("Invoices.SettleInvoice", invoicesrpc.SettleInvoiceMsg(preimage=b"")),
        (
            "Invoices.SubscribeSingleInvoice",
            invoicesrpc.SubscribeSingleInvoiceRequest(r_hash=b""),
        ),
    )


def spending_probes() -> tuple[Probe, ...]:
    """One for every kind of call with which money can leave."""
    return (
        ("Router.SendPaymentV2", routerrpc.SendPaymentRequest(time_pref=2)),  # beyond -1 to 1
        ("Router.SendToRouteV2", routerrpc.SendToRouteRequest()),  # no route
        ("Lightning.SendCoins", lnrpc.SendCoinsRequest()),  # no address
        ("Lightning.OpenChannelSync", lnrpc.OpenChannelRequest()),  # no peer
        ("Lightning.BakeMacaroon", lnrpc.BakeMacaroonRequest()),  # no rights
        ("Signer.SignOutputRaw", signrpc.SignReq()),  # no transaction
    )


def path_of(name: str) -> str:
    """The RPC as macaroons name it: `/lnrpc.Lightning/GetInfo`."""
    service, _, method = name.partition(".")
    return f"/{PACKAGES[service]}.{service}/{method}"


async def is_permitted(connection: LndConnection, probe: Probe) -> bool:
    """Whether lnd lets the macaroon make this call. Raises LndFault when it cannot be known."""
    name, request = probe
    try:
        if name in STREAMS:
            await connection.stream(name, request, timeout_s=LISTEN_S).read()
        else:
            await connection.call(name, request)
    except LndFault as fault:
        if fault.verdict is LndVerdict.DENIED or fault.code_name == "UNIMPLEMENTED":
            return False
        if fault.code_name in {"DEADLINE_EXCEEDED", "CANCELLED"} and name in STREAMS:
            return True  # silent until our deadline, which either side may be first to notice
        if fault.code_name in {"DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"}:
            raise
        if fault.verdict in {LndVerdict.MACAROON_INVALID, LndVerdict.NOT_READY}:
            raise
    return True
