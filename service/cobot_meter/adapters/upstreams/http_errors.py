"""What an HTTP fault means for money: nothing sent, refused, or unknown.

The one question is whether the other side may have charged us; where the answer is not certain it
is yes (OutcomeUnknown), because every repeat is a charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import httpx

from cobot_meter.adapters.upstreams.error_taxonomy import ErrorTaxonomy, error_of
from cobot_meter.domain import outside
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    OutcomeUnknown,
    UpstreamFaultKind,
    UpstreamRefused,
    UpstreamUnreachable,
)

K = UpstreamFaultKind
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
_TIMED_OUT = (TimeoutError, httpx.TimeoutException)
_KEY_REFUSED = frozenset({401, 403})
_BUSY = frozenset({408, 429, *range(500, 600)})
_SAID_MAX = 200

# What callers may read. A kind not listed here repeats the upstream's own words; those listed would
# tell strangers about our account, or are not about the request.
_OWN_WORDS = {
    K.AUTH: "the upstream does not permit this to our key",
    K.PAYMENT: "the upstream account cannot pay for this now",
    K.RATE_LIMITED: "the upstream is rate-limited",
    K.ACCOUNT_LIMITED: "the upstream is rate-limited",
    K.MODERATION: "the upstream's moderation refused the prompt",
}
_OWN_WORDS_BY_STATUS = {401: "the upstream does not accept our key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer, read whole. `retry_after` and `date` are the headers' texts."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None


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
        "the connection to the upstream broke after the request was sent "
        f"({type(origin).__name__})",
        kind=K.TIMEOUT if isinstance(error, _TIMED_OUT) else K.SERVER,
    )


def fault_of_run(errors: ErrorTaxonomy, answer: HttpAnswer) -> UpstreamRefused | OutcomeUnknown:
    """What an HTTP error in answer to a paid POST means."""
    error = error_of(answer.body)
    kind = errors.kind(error, answer.status)
    if errors.may_have_run(error, answer.status):
        return OutcomeUnknown(
            f"the upstream answered {answer.status} and may have run the request", kind=kind
        )
    return _refused(answer, error, kind, errors)


def fault_of_lookup(
    errors: ErrorTaxonomy, answer: HttpAnswer, generation_id: str
) -> UpstreamRefused | CostNotYetKnown:
    """What an HTTP error in answer to a cost look-up means.

    A 404 cannot be told from *never existed*; a 402, or a key's limit, passes once there is credit.
    """
    error = error_of(answer.body)
    kind = errors.kind(error, answer.status)
    if answer.status in _KEY_REFUSED and kind is not K.PAYMENT:
        return _refused(answer, error, kind, errors)
    return CostNotYetKnown(
        f"no record of {generation_id} yet (the upstream answered {answer.status})",
        retry_after_s=_retry_after_s(answer, error, errors),
    )


def fault_of_query(
    errors: ErrorTaxonomy, answer: HttpAnswer
) -> UpstreamRefused | UpstreamUnreachable:
    """What an HTTP error in answer to a free question (models, key) means."""
    error = error_of(answer.body)
    kind = errors.kind(error, answer.status)
    if answer.status in _BUSY:
        return UpstreamUnreachable(
            f"the upstream answered {answer.status}",
            retry_after_s=_retry_after_s(answer, error, errors),
            kind=kind,
        )
    return _refused(answer, error, kind, errors)


def words_of(
    error: Mapping[str, object],
    kind: UpstreamFaultKind,
    errors: ErrorTaxonomy,
    *,
    status: int | None = None,
    failed: str = "the upstream refused the request",
) -> str:
    """One sentence for callers, which begins with `failed` and repeats the upstream's own words.

    Never repeated is what the upstream says of our account.
    """
    words = _OWN_WORDS_BY_STATUS.get(status or 0) or _OWN_WORDS.get(kind)
    if words:
        return words
    message = error.get("message")
    if isinstance(message, str) and message and not errors.tells_of_account(message):
        return f"{failed}: {outside.shown(message, most=_SAID_MAX)}"
    return f"the upstream answered {status}" if status else failed


def _refused(
    answer: HttpAnswer,
    error: Mapping[str, object],
    kind: UpstreamFaultKind,
    errors: ErrorTaxonomy,
) -> UpstreamRefused:
    return UpstreamRefused(
        words_of(error, kind, errors, status=answer.status),
        status=answer.status,
        retry_after_s=_retry_after_s(answer, error, errors),
        kind=kind,
    )


def _retry_after_s(
    answer: HttpAnswer, error: Mapping[str, object], errors: ErrorTaxonomy
) -> int | None:
    return errors.retry_after_s(error, header=answer.retry_after, date=answer.date)
