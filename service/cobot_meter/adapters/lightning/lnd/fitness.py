"""Is this node fit to sell with: every check says in one sentence what is wrong and what to do.

Nothing is changed at the node. Rights are probed by calls that are wrong in a way that lnd refuses
before it does anything: a right that is there costs nothing, and one that is missing answers
`permission denied`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cobot_meter.adapters.lightning.lnd.access import LndAccess, LndTimeouts
from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.errors import LndFault, LndVerdict
from cobot_meter.adapters.lightning.lnd.files import validity_of
from cobot_meter.adapters.lightning.lnd.macaroon import (
    MacaroonUnreadable,
    rights_of,
    spending_rights,
)
from cobot_meter.adapters.lightning.lnd.messages import Message, identity_of
from cobot_meter.adapters.lightning.lnd.stubs import (
    invoicesrpc,
    lnrpc,
    routerrpc,
    signrpc,
    staterpc,
)
from cobot_meter.domain.errors import SettingInvalid

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


DEFAULT_TIMEOUTS = LndTimeouts()
PLAY_NETWORK = "regtest"
WARNING = "warning: "
SOON_MS = 14 * 86_400 * 1_000
LEAST_VERSION = (0, 21, 0)
BAKE = "bake one with `cobot-meter lnd bake`"
WALLET_STATES = {
    staterpc.NON_EXISTING: "lnd has no wallet yet: create it with `lncli create`",
    staterpc.LOCKED: "lnd's wallet is locked: unlock it with `lncli unlock`",
    staterpc.UNLOCKED: "lnd is still starting: wait until `lncli state` says SERVER_ACTIVE",
    staterpc.RPC_ACTIVE: "lnd is still starting: wait until `lncli state` says SERVER_ACTIVE",
    staterpc.WAITING_TO_START: "lnd waits to become the leader of its cluster: ask that one",
}

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCheck:
    """One check. `detail` is one sentence: what is so, or what is wrong and what to do."""

    name: str
    well: bool
    detail: str


async def examine(
    access: LndAccess, *, now_ms: int, timeouts: LndTimeouts = DEFAULT_TIMEOUTS
) -> tuple[NodeCheck, ...]:
    """Every check, in the order in which to put things right, less those that a failed one bars.

    Names: reachable, wallet, macaroon, version, synced, network, inbound, rights, spending.
    """
    try:
        connection = LndConnection(access, timeouts)
    except SettingInvalid as fault:
        return (NodeCheck(name="reachable", well=False, detail=fault.message),)
    try:
        return tuple([check async for check in _checks(connection, now_ms)])
    finally:
        await connection.close()


async def _checks(connection: LndConnection, now_ms: int) -> AsyncIterator[NodeCheck]:
    try:
        state = await connection.call("State.GetState", staterpc.GetStateRequest())
    except LndFault as fault:
        detail = _dated(connection, now_ms) or _unreachable(connection, fault)
        yield NodeCheck(name="reachable", well=False, detail=detail)
        return
    detail = _soon_over(connection, now_ms) or f"{connection.access.address} answers"
    yield NodeCheck(name="reachable", well=True, detail=detail)
    if state.state != staterpc.SERVER_ACTIVE:
        detail = WALLET_STATES.get(state.state, f"lnd is in the unknown state {state.state}")
        yield NodeCheck(name="wallet", well=False, detail=detail)
        return
    yield NodeCheck(name="wallet", well=True, detail="lnd's wallet is unlocked and it serves")
    try:
        info = await connection.call("Lightning.GetInfo", lnrpc.GetInfoRequest())
    except LndFault as fault:
        if fault.verdict is not LndVerdict.DENIED:
            yield _macaroon_fault(connection, fault)
            return
    else:
        for check in _info_checks(connection.access, info):
            yield check
        yield await _inbound(connection, info)
    yield await _rights(connection)
    yield await _spending(connection)


def _dated(connection: LndConnection, now_ms: int) -> str | None:
    """Whether the certificate's own dates are why the node cannot be reached."""
    validity, path = validity_of(connection.secrets.certificate), connection.access.tls_cert_path
    if validity is None or validity.from_ms <= now_ms <= validity.until_ms:
        return None
    if now_ms < validity.from_ms:
        return (
            f"the certificate {path} is valid from {validity.begins} on, which is ahead of this "
            "machine's clock: set the clock"
        )
    return (
        f"the certificate {path} expired on {validity.ends}: copy lnd's tls.cert anew; when that "
        "is the same one, remove tls.cert and tls.key beside lnd and restart it, which makes others"
    )


def _soon_over(connection: LndConnection, now_ms: int) -> str | None:
    validity, path = validity_of(connection.secrets.certificate), connection.access.tls_cert_path
    if validity is None or validity.until_ms - now_ms > SOON_MS:
        return None
    return (
        f"{WARNING}the certificate {path} expires on {validity.ends}: remove tls.cert and tls.key "
        "beside lnd, restart it, and copy the new tls.cert"
    )


def _unreachable(connection: LndConnection, fault: LndFault) -> str:
    access, details = connection.access, fault.details
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return (
            f"the node at {access.address} shows another certificate than {access.tls_cert_path}:"
            " copy its tls.cert anew"
        )
    if "not in peer certificate" in details or "Hostname Verification" in details:
        return (
            f"the certificate {access.tls_cert_path} is not for {access.address}: add that name to"
            " lnd with tlsextradomain or tlsextraip and remove its old tls.cert and tls.key"
        )
    if "WRONG_VERSION_NUMBER" in details:
        return f"{access.address} does not speak TLS: give the host:port of lnd's gRPC (rpclisten)"
    if "resolving" in details or "target uri" in details:
        return f"{access.address} is no address that can be found: give host:port of lnd's gRPC"
    return f"nothing answers at {access.address} as lnd would: start lnd or mend the address"


def _macaroon_fault(connection: LndConnection, fault: LndFault) -> NodeCheck:
    path = connection.access.macaroon_path
    if fault.verdict is LndVerdict.MACAROON_INVALID:
        detail = f"lnd does not accept the macaroon {path} ({fault.details}): {BAKE}"
    else:
        detail = f"lnd does not say who it is ({fault.details}): look into its log"
    return NodeCheck(name="macaroon", well=False, detail=detail)


def _info_checks(access: LndAccess, info: Message) -> tuple[NodeCheck, ...]:
    said = identity_of(info)
    version = _VERSION.search(info.version)
    new_enough = version is not None and tuple(map(int, version.groups())) >= LEAST_VERSION
    least = ".".join(map(str, LEAST_VERSION))
    return (
        NodeCheck(name="macaroon", well=True, detail=f"lnd accepts {access.macaroon_path}"),
        NodeCheck(
            name="version",
            well=new_enough,
            detail=f"lnd is {info.version}"
            if new_enough
            else f"lnd is {info.version}, which loses or blocks invoices: upgrade to {least}",
        ),
        NodeCheck(
            name="synced",
            well=info.synced_to_chain,
            detail=f"lnd follows its chain at block {info.block_height}"
            if info.synced_to_chain
            else f"lnd has not caught up with its chain (block {info.block_height}): wait for it",
        ),
        NodeCheck(
            name="network",
            well=said.network == access.network,
            detail=f"the node {said.pubkey} is on {said.network}"
            if said.network == access.network
            else f"the node is on {said.network} and the setting says {access.network}: correct"
            " the one that is wrong",
        ),
    )


async def _inbound(connection: LndConnection, info: Message) -> NodeCheck:
    try:
        answer = await connection.call("Lightning.ChannelBalance", lnrpc.ChannelBalanceRequest())
    except LndFault as fault:
        detail = f"lnd does not tell its channel balance ({fault.details}): {BAKE}"
        return NodeCheck(name="inbound", well=False, detail=detail)
    inbound_msat = answer.remote_balance.msat
    if not info.num_active_channels:
        detail = "the node has no active channel, so nobody can pay it: open one"
    elif not inbound_msat:
        detail = "no channel can receive: have somebody open one to the node, or spend from it"
    else:
        detail = f"{info.num_active_channels} active channels can receive {inbound_msat} msat"
        return NodeCheck(name="inbound", well=True, detail=detail)
    return NodeCheck(name="inbound", well=False, detail=detail)


async def _rights(connection: LndConnection) -> NodeCheck:
    """Whether every call that the service makes is permitted."""
    missing = []
    for probe in needed_probes():
        try:
            if not await is_permitted(connection, probe):
                missing.append(path_of(probe[0]))
        except LndFault as fault:
            detail = f"lnd does not tell whether {path_of(probe[0])} is permitted: {fault.details}"
            return NodeCheck(name="rights", well=False, detail=detail)
    if missing:
        detail = f"the macaroon lacks {', '.join(missing)}: {BAKE}"
        return NodeCheck(name="rights", well=False, detail=detail)
    return NodeCheck(name="rights", well=True, detail="the macaroon has what the service needs")


async def _spending(connection: LndConnection) -> NodeCheck:
    """Whether the macaroon can make money leave: by what it says, and by what lnd lets it do."""
    found = set()
    with contextlib.suppress(MacaroonUnreadable):  # then the node's own answers decide
        found |= {
            _named(right) for right in spending_rights(rights_of(connection.secrets.macaroon))
        }
    for probe in spending_probes():
        try:
            if await is_permitted(connection, probe):
                found.add(probe[0])
        except LndFault as fault:
            detail = f"lnd does not tell whether the macaroon can spend: {fault.details}"
            return NodeCheck(name="spending", well=False, detail=detail)
    if not found:
        return NodeCheck(name="spending", well=True, detail="the macaroon cannot spend")
    detail = f"the macaroon can spend ({', '.join(sorted(found))}): {BAKE}"
    is_play = connection.access.network == PLAY_NETWORK
    if is_play:
        detail = f"{WARNING}{detail}; {PLAY_NETWORK} alone allows this"
    return NodeCheck(name="spending", well=is_play, detail=detail)


def _named(right: tuple[str, str]) -> str:
    return right[1] if right[0] == "uri" else ":".join(right)
