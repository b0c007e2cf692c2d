"""What an HTTP fault means for money: nothing sent, refused, or unknown.

Must not know: what was asked. The one question is whether the other side may have charged us;
where the answer is not certain it is yes (OutcomeUnknown), because every repeat is a charge.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import httpx
import orjson

from service.domain.errors import (
    CostNotYetKnown,
    OutcomeUnknown,
    UpstreamRefused,
    UpstreamUnreachable,
)

# TimeoutError is an OSError, and so are resets that no library has wrapped.
TRANSPORT_FAULTS = (httpx.HTTPError, aiohttp.ClientError, OSError)

_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
_FIRST_REDIRECT = 300
_FIRST_SERVER_ERROR = 500
_TIMED_OUT = 408
_KEY_REFUSED = frozenset({401, 403})
_BUSY = frozenset({408, 429, *range(500, 600)})
_RETRY_AFTER_MAX_S = 86_400
_RETRY_AFTER_DIGITS_MAX = 6
_SAID_MAX = 200

# What callers may read. A status not listed here repeats the upstream's own words; those listed
# would tell strangers about our account, or are not about the request.
_OWN_WORDS = {
    401: "the upstream does not accept our key",
    402: "the upstream account cannot pay for this now",
    403: "the upstream does not permit this to our key",
    429: "the upstream is rate-limited",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer, read whole. `retry_after` is the header's text."""

    status: int
    body: bytes
    retry_after: str | None = None


def fault_of_send(error: Exception) -> UpstreamUnreachable | OutcomeUnknown:
    """What a transport fault during a paid POST means.

    httpx-aiohttp reports a connection that broke *after* the request was sent as
    `httpx.ConnectTimeout`; only aiohttp's own exception beneath it tells the two apart.
    """
    cause = error.__cause__
    origin = cause if isinstance(cause, aiohttp.ClientError) else error
    if isinstance(origin, _NOTHING_SENT):
        return UpstreamUnreachable(f"the upstream cannot be reached ({type(origin).__name__})")
    return OutcomeUnknown(
        f"the connection to the upstream broke after the request was sent ({type(origin).__name__})"
    )


def fault_of_run(answer: HttpAnswer) -> UpstreamRefused | OutcomeUnknown:
    """What an HTTP error in answer to a paid POST means."""
    error = _error_object(answer.body)
    availability = error.get("availability")
    not_run = isinstance(availability, dict) and bool(
        availability.get("code") or availability.get("retryable")
    )
    if _may_have_run(answer.status) and not not_run:
        return OutcomeUnknown(f"the upstream answered {answer.status} and may have run the request")
    return UpstreamRefused(
        _said(answer.status, error),
        status=answer.status,
        retry_after_s=_retry_after_s(answer.retry_after, availability),
    )


def fault_of_lookup(answer: HttpAnswer, generation_id: str) -> UpstreamRefused | CostNotYetKnown:
    """What an HTTP error in answer to a cost look-up means.

    A 404 cannot be told from *never existed*, and a 402 passes once the account is topped up.
    """
    if answer.status in _KEY_REFUSED:
        return UpstreamRefused(_said(answer.status, {}), status=answer.status)
    return CostNotYetKnown(
        f"no record of {generation_id} yet (the upstream answered {answer.status})",
        retry_after_s=_retry_after_s(answer.retry_after, None),
    )


def fault_of_query(answer: HttpAnswer) -> UpstreamRefused | UpstreamUnreachable:
    """What an HTTP error in answer to a free question (models, key) means."""
    if answer.status in _BUSY:
        return UpstreamUnreachable(
            f"the upstream answered {answer.status}",
            retry_after_s=_retry_after_s(answer.retry_after, None),
        )
    return UpstreamRefused(_said(answer.status, _error_object(answer.body)), status=answer.status)


def _may_have_run(status: int) -> bool:
    """Timeouts and 5xx are said after the request went on; so is a success that is no 200."""
    return status >= _FIRST_SERVER_ERROR or status < _FIRST_REDIRECT or status == _TIMED_OUT


def _error_object(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _said(status: int, error: dict[str, object]) -> str:
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and metadata.get("reasons"):
        return "the upstream's moderation refused the prompt"
    words = _OWN_WORDS.get(status)
    if words:
        return words
    message = error.get("message")
    if isinstance(message, str) and message:
        return f"the upstream refused the request: {message[:_SAID_MAX]}"
    return f"the upstream answered {status}"


def _retry_after_s(header: str | None, availability: object) -> int | None:
    """Whole seconds, at most a day; dates and anything else are passed over."""
    if header and header.isascii() and header.isdigit() and len(header) <= _RETRY_AFTER_DIGITS_MAX:
        return min(int(header), _RETRY_AFTER_MAX_S)
    asked = availability.get("retry_after") if isinstance(availability, dict) else None
    if isinstance(asked, int) and asked >= 0:
        return min(asked, _RETRY_AFTER_MAX_S)
    return None
