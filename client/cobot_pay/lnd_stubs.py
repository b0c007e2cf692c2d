"""The compiled stubs of LND's gRPC, imported without the traces their package leaves.

It sets GRPC_SSL_CIPHER_SUITES for the whole process, which would weaken every other gRPC client in
it: the variable is put back as it was.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

CIPHERS = "GRPC_SSL_CIPHER_SUITES"


def lnd_stubs(name: str) -> Any:  # noqa: ANN401 - protobuf's messages and stubs ship no types
    """The module `lndgrpc.compiled.<name>`, such as `lightning_pb2` or `router_pb2_grpc`."""
    before = os.environ.get(CIPHERS)
    try:
        return importlib.import_module(f"lndgrpc.compiled.{name}")
    finally:
        if before is None:
            os.environ.pop(CIPHERS, None)
        else:
            os.environ[CIPHERS] = before
