"""What kind of fault an upstream's answer is, as far as it decides what to do next.

Must not know: HTTP, or which upstream said it.
"""

from __future__ import annotations

import enum


class UpstreamFaultKind(enum.StrEnum):
    """`unclassified` where only the fault's own class says something.

    `rate_limited` is a model's provider, `account_limited` our own account there.
    """

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    AUTH = "auth"
    PAYMENT = "payment"
    MODERATION = "moderation"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_LIMITED = "account_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    SERVER = "server"
    NOT_FOUND = "not_found"
    UNCLASSIFIED = "unclassified"


NEUTRAL = UpstreamFaultKind.UNCLASSIFIED
