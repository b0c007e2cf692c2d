"""The compiled stubs of LND's gRPC: the one file that imports lndgrpc.

Importing that package sets GRPC_SSL_CIPHER_SUITES for the whole process, which would weaken every
other gRPC client in it: the variable is put back as it was. Its client classes are never used: they
print errors and answer None.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

CIPHERS = "GRPC_SSL_CIPHER_SUITES"


def _compiled(name: str) -> Any:  # noqa: ANN401 - protobuf's messages and stubs ship no types
    before = os.environ.get(CIPHERS)
    try:
        return importlib.import_module(f"lndgrpc.compiled.{name}")
    finally:
        if before is None:
            os.environ.pop(CIPHERS, None)
        else:
            os.environ[CIPHERS] = before


lnrpc = _compiled("lightning_pb2")
invoicesrpc = _compiled("invoices_pb2")
staterpc = _compiled("stateservice_pb2")
routerrpc = _compiled("router_pb2")
signrpc = _compiled("signer_pb2")
lightning_services = _compiled("lightning_pb2_grpc")
invoices_services = _compiled("invoices_pb2_grpc")
state_services = _compiled("stateservice_pb2_grpc")
router_services = _compiled("router_pb2_grpc")
signer_services = _compiled("signer_pb2_grpc")
