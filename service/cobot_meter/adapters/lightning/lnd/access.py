"""How to reach one LND node: where, with which files, and how long to wait.

Must not know: gRPC, or what is asked of the node.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cobot_meter.adapters.lightning.lnd.files import certificate_fault, macaroon_fault
from cobot_meter.domain.errors import SettingInvalid

MAX_FILE_OCTETS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class LndAccess:
    """`address` is `host:port` of lnd's gRPC; `network` as in `NodeIdentity`."""

    address: str
    tls_cert_path: Path
    macaroon_path: Path
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LndTimeouts:
    """Seconds. `add_s` is longer: lnd makes invoices behind one lock (lnd#10606).

    A stream without an event for `quiet_s` makes us ask whether the node is well; one without an
    event for `silent_s` is opened anew whatever the node says. `keepalive_s` must not be under
    lnd's client-ping-min-wait (5 s).
    """

    call_s: float = 5.0
    add_s: float = 10.0
    quiet_s: float = 60.0
    silent_s: float = 1_800.0
    keepalive_s: float = 30.0
    keepalive_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class LndSecrets:
    """What the two files hold."""

    certificate: bytes
    macaroon: bytes


def read_secrets(access: LndAccess) -> LndSecrets:
    """The certificate (PEM) and the macaroon (binary). Raises SettingInvalid in one sentence."""
    certificate = _read(access.tls_cert_path, "TLS certificate")
    macaroon = _read(access.macaroon_path, "macaroon")
    fault = certificate_fault(access.tls_cert_path, certificate) or macaroon_fault(
        access.macaroon_path, macaroon
    )
    if fault is not None:
        raise SettingInvalid(fault)
    return LndSecrets(certificate, macaroon)


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_OCTETS)
    except PermissionError as fault:
        raise SettingInvalid(
            f"cannot read lnd's {what} at {path}: {fault.strerror}: give the file to the user that "
            f"runs this service (its number is {os.geteuid()}), or let systemd hand it over"
        ) from fault
    except OSError as fault:
        raise SettingInvalid(f"cannot read lnd's {what} at {path}: {fault.strerror}") from fault
