"""Is this node fit to sell with: every check says in one sentence what is wrong and what to do.

Changes nothing at the node. Must not know: who asks, or what happens when a check fails.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.adapters.lightning.lnd_access import LndAccess, LndTimeouts
from service.adapters.lightning.lnd_connection import LndConnection
from service.adapters.lightning.lnd_errors import LndFault, LndVerdict
from service.adapters.lightning.lnd_files import validity_of
from service.adapters.lightning.lnd_macaroon import (
    MacaroonUnreadable,
    rights_of,
    spending_rights,
)
from service.adapters.lightning.lnd_messages import Message, identity_of
from service.adapters.lightning.lnd_probes import (
    is_permitted,
    needed_probes,
    path_of,
    spending_probes,
)
from service.adapters.lightning.lnd_stubs import lnrpc, staterpc
from service.domain.errors import SettingInvalid

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
