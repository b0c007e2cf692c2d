"""What lnd's errors mean. Almost all of them are code UNKNOWN, so the text decides.

The texts are lnd's own (invoices/errors.go, rpcperms/interceptor.go, macaroons/service.go,
lnrpc/invoicesrpc/addinvoice.go at v0.21) and pinned by tests against a real node. Whatever is not
in the table is *unknown*, never *failed*.
"""

from __future__ import annotations

import enum

from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable


class LndVerdict(enum.Enum):
    """What an error of lnd says."""

    UNKNOWN = "unknown"  # nobody knows whether the call took effect
    UNREACHABLE = "unreachable"  # no connection, or it broke under the call
    NOT_READY = "not ready"  # wallet missing or locked, or lnd is starting or stopping
    DENIED = "denied"  # the macaroon is true and has no right to this call
    MACAROON_INVALID = "macaroon invalid"  # of another node, expired, revoked or no macaroon
    NOT_FOUND = "not found"
    EXISTS = "exists"
    SETTLED = "settled"
    CANCELED = "canceled"
    STILL_OPEN = "still open"
    REFUSED = "refused"  # the same call can never succeed


# Code (empty: any), a piece of the text, what it says. The first row that fits counts.
TABLE = (
    ("NOT_FOUND", "unable to locate invoice", LndVerdict.NOT_FOUND),
    ("NOT_FOUND", "there are no existing invoices", LndVerdict.NOT_FOUND),
    ("UNKNOWN", "unable to locate invoice", LndVerdict.NOT_FOUND),
    ("UNKNOWN", "there are no existing invoices", LndVerdict.NOT_FOUND),
    ("UNKNOWN", "invoice with payment hash already exists", LndVerdict.EXISTS),
    ("UNKNOWN", "invoice already settled", LndVerdict.SETTLED),
    ("UNKNOWN", "invoice already canceled", LndVerdict.CANCELED),
    ("UNKNOWN", "invoice still open", LndVerdict.STILL_OPEN),
    ("UNKNOWN", "amount cannot be negative", LndVerdict.REFUSED),
    ("UNKNOWN", "is too large, max is", LndVerdict.REFUSED),
    ("UNKNOWN", "memo too large", LndVerdict.REFUSED),
    ("UNKNOWN", "greater than max expiry", LndVerdict.REFUSED),
    ("UNKNOWN", "permission list cannot be empty", LndVerdict.REFUSED),  # and names macaroons
    ("UNKNOWN", "wallet not created", LndVerdict.NOT_READY),
    ("UNKNOWN", "wallet locked", LndVerdict.NOT_READY),
    ("UNKNOWN", "waiting to start", LndVerdict.NOT_READY),
    ("UNKNOWN", "in the process of starting up", LndVerdict.NOT_READY),
    ("UNKNOWN", "server is still in the process of starting", LndVerdict.NOT_READY),
    ("UNKNOWN", "server shutting down", LndVerdict.NOT_READY),
    ("UNKNOWN", "permission denied", LndVerdict.DENIED),
    ("UNKNOWN", "verification failed", LndVerdict.MACAROON_INVALID),
    ("UNKNOWN", "cannot get macaroon", LndVerdict.MACAROON_INVALID),
    ("UNKNOWN", "expected 1 macaroon", LndVerdict.MACAROON_INVALID),
    ("UNKNOWN", "unmarshal v2", LndVerdict.MACAROON_INVALID),
    ("UNKNOWN", "macaroon", LndVerdict.MACAROON_INVALID),
    ("UNAVAILABLE", "", LndVerdict.UNREACHABLE),
    ("CANCELLED", "", LndVerdict.UNREACHABLE),
)


class LndFault(NodeUnavailable):
    """An error that lnd or the way to it gave; by itself it says only that we do not know.

    Whoever made the call turns a `verdict` that answers it into an answer.
    """

    def __init__(self, call: str, *, code: str, details: str) -> None:
        """`call` names the RPC; `code` is gRPC's name (`UNKNOWN`), `details` lnd's text."""
        self.verdict = verdict_of(code, details)
        self.code_name = code
        self.details = details
        super().__init__(f"lnd did not answer {call} usefully ({code}): {details}")

    def refused(self) -> InvoiceRefused:
        """An InvoiceRefused with lnd's own text: the answer where the call can never succeed."""
        return InvoiceRefused(f"lnd refuses: {self.details}")


def verdict_of(code: str, details: str) -> LndVerdict:
    """What the error says; UNKNOWN for everything that the table does not name."""
    for known_code, text, verdict in TABLE:
        if code == known_code and text in details:
            return verdict
    return LndVerdict.UNKNOWN
