"""Settings of the Lightning node: the embedded one, or a real lnd.

A file that cannot be read is found when the node is opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.adapters.lightning.lnd.access import LndAccess
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.addresses import Address, read_address
from cobot_meter.wiring.settings.values import Values

REGTEST = "regtest"
MAINNET = "mainnet"
NETWORKS = (REGTEST, "signet", "testnet", MAINNET)
DEVELOPMENT = "development"
LND = "lnd"
LND_ONLY = ("LND_ADDRESS", "LND_TLS_CERT", "LND_MACAROON")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The node; `lnd` is None for the embedded development node, which listens at `listen`."""

    network: str
    listen: Address
    invoice_expiry_s: int
    ping_interval_s: float
    lnd: LndAccess | None


def read_node(values: Values) -> NodeSettings:
    """The node that is set. Raises SettingInvalid when what is given does not go together."""
    kind = values.choice("NODE", DEVELOPMENT, (DEVELOPMENT, LND))
    network = values.choice("NETWORK", REGTEST, NETWORKS)
    lnd = _lnd(values, network) if kind == LND else None
    if lnd is None:
        _refuse_what_needs_lnd(values, network)
    return NodeSettings(
        network=network,
        listen=read_address(values, "NODE_LISTEN", "127.0.0.1:8404"),
        invoice_expiry_s=values.integer("INVOICE_EXPIRY_S", 600, at_least=1, at_most=86_400),
        ping_interval_s=values.seconds("NODE_PING_INTERVAL_S", "2", at_least=0.01),
        lnd=lnd,
    )


def _lnd(values: Values, network: str) -> LndAccess:
    host, port = values.host_and_port("LND_ADDRESS", "127.0.0.1:10009")
    return LndAccess(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        tls_cert_path=values.required_path("LND_TLS_CERT", "the path of lnd's tls.cert"),
        macaroon_path=values.required_path(
            "LND_MACAROON", "the path of a macaroon from `cobot-meter lnd bake`"
        ),
        network=network,
    )


def _refuse_what_needs_lnd(values: Values, network: str) -> None:
    given = [name for name in LND_ONLY if values.given(name)]
    if given:
        name = values.full(given[0])
        message = f"{name} is set and {values.full('NODE')} is not: set it to {LND}"
        raise SettingInvalid(message)
    if network != REGTEST:
        message = (
            f"{values.full('NETWORK')}={network} needs a real node: set {values.full('NODE')}={LND}"
            f", since the development node plays on {REGTEST} only"
        )
        raise SettingInvalid(message)
