"""What browsers want to hear before a page of another origin may ask and read: all of it, openly.

Credentials here are headers that a page sends on purpose and never a cookie, so every origin may
read every answer; `Access-Control-Allow-Credentials` is not said. Must not know: routes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cobot_meter.http_api.http.exchange import Header, PlainAnswer

NO_CONTENT = 204
_EXPOSED = (
    b"WWW-Authenticate, Location, Retry-After, X-Escrow-Id, X-Generation-Id, X-Should-Retry, Allow"
)
CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
)
_ASKED_FOR = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")
_USUAL = b"Authorization, X-Api-Key, Content-Type, Idempotency-Key, Prefer, Accept, *"
_REQUESTED = b"access-control-request-headers"
_DAY_S = b"86400"


def preflight_answer(methods: Sequence[str], headers: Sequence[tuple[bytes, bytes]]) -> PlainAnswer:
    """204: these methods, and whichever headers the page wants to send."""
    asked = next((value for name, value in headers if name == _REQUESTED), b"")
    allowed = asked if _ASKED_FOR.fullmatch(asked) else _USUAL
    listed = ", ".join(methods).encode("ascii")
    return PlainAnswer(
        NO_CONTENT,
        [
            (b"allow", listed),
            (b"access-control-allow-methods", listed),
            (b"access-control-allow-headers", allowed),
            (b"access-control-max-age", _DAY_S),
            (b"vary", b"Access-Control-Request-Headers"),
        ],
        b"",
    )
