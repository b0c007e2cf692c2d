"""What a program is told that could not be served: one sentence, in the shape that it reads.

The statuses are chosen by what agents do with them. 400 is the one that makes all of them stop;
402, 409, 429 and 5xx are repeated by some, and for ever by a few, as is whatever has `server_error`
for its type. So whatever repeating cannot change is 400, and only a seller that cannot be reached
is 502: repeating costs nothing there, and finds the answer that was paid for.
"""

from __future__ import annotations

import json

from cobot_pay.errors import (
    BudgetExceeded,
    ChallengeRefused,
    L402Error,
    PaymentFailed,
    PaymentUnknown,
    ProofRefused,
)
from cobot_pay.proxy.listener import Answer

STOP, UNREACHABLE = 400, 502

_CODES: dict[type[L402Error], str] = {
    BudgetExceeded: "budget_exceeded",
    ChallengeRefused: "challenge_refused",
    PaymentFailed: "payment_failed",
    PaymentUnknown: "payment_unknown",
    ProofRefused: "proof_refused",
}
_ANTHROPIC_PATH = "/messages"


def refusal(status: int, text: str, *, code: str, path: str = "") -> Answer:
    """The sentence as an error of OpenAI's, or of Anthropic's where the path is theirs."""
    message = f"cobot-pay: {text}"
    document: dict[str, object]
    if _ANTHROPIC_PATH in path:
        kind = "api_error" if status == UNREACHABLE else "invalid_request_error"
        document = {"type": "error", "error": {"type": kind, "message": message, "code": code}}
    else:
        kind = "upstream_unreachable" if status == UNREACHABLE else "invalid_request_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        document = {"error": error}
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if status != UNREACHABLE:
        headers.append((b"x-should-retry", b"false"))
    return Answer(status=status, headers=headers, body=json.dumps(document).encode())


def refusal_of(fault: L402Error, *, path: str) -> Answer:
    """What a purchase that failed is told as: nothing that is repeated by itself."""
    code = next((code for kind, code in _CODES.items() if isinstance(fault, kind)), "not_bought")
    return refusal(STOP, str(fault), code=code, path=path)
