"""OpenRouter's errors in one table: of what kind, whether it may have run, when to come again.

What is most certain is read first: `availability`, then `error_type`, then what the words and the
metadata tell, then the status. Must not know: sockets, or our fault classes. Source: OpenRouter's
OpenAPI document (27 values of ApiErrorType) and recorded bodies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cobot_meter.adapters.upstreams.exact_json import plain_loads
from cobot_meter.domain import outside
from cobot_meter.domain.errors import UpstreamFaultKind

K = UpstreamFaultKind
RETRY_AFTER_MAX_S = 86_400
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_TEXT_MAX = 2_000
_MS = 1_000
_FIRST_REDIRECT = 300
_FIRST_SERVER_ERROR = 500
_TIMED_OUT = 408
_FIRST_STATUS, _LAST_STATUS = 100, 599

KIND_BY_TYPE: Mapping[str, UpstreamFaultKind] = {
    "context_length_exceeded": K.CONTEXT_LENGTH,
    "max_tokens_exceeded": K.CONTEXT_LENGTH,
    "token_limit_exceeded": K.CONTEXT_LENGTH,
    "string_too_long": K.CONTEXT_LENGTH,
    "invalid_request": K.BAD_REQUEST,
    "invalid_prompt": K.BAD_REQUEST,
    "content_policy_violation": K.MODERATION,
    "refusal": K.MODERATION,
    "invalid_image": K.BAD_REQUEST,
    "image_too_large": K.BAD_REQUEST,
    "image_too_small": K.BAD_REQUEST,
    "unsupported_image_format": K.BAD_REQUEST,
    "image_download_failed": K.BAD_REQUEST,
    "authentication": K.AUTH,
    "payment_required": K.PAYMENT,
    "permission_denied": K.AUTH,
    "not_found": K.NOT_FOUND,
    "image_not_found": K.BAD_REQUEST,
    "precondition_failed": K.BAD_REQUEST,
    "payload_too_large": K.CONTEXT_LENGTH,
    "unprocessable": K.BAD_REQUEST,
    "rate_limit_exceeded": K.RATE_LIMITED,
    "provider_unavailable": K.OVERLOADED,
    "provider_overloaded": K.OVERLOADED,
    "timeout": K.TIMEOUT,
    "server": K.SERVER,
    "unmapped": K.SERVER,
}
# Said of a request that had gone on to a provider, whatever the status is.
_TYPES_THAT_RAN = frozenset({"provider_unavailable", "provider_overloaded", "timeout", "server"})
_KIND_BY_AVAILABILITY: Mapping[str, UpstreamFaultKind] = {
    "capacity_exhausted": K.RATE_LIMITED,
    "temporarily_unavailable": K.OVERLOADED,
    "model_not_found": K.NOT_FOUND,
    "wrong_endpoint": K.NOT_FOUND,
    "no_endpoints": K.NOT_FOUND,
    "model_deprecated": K.NOT_FOUND,
    "model_unavailable_upstream": K.NOT_FOUND,
    "region_restricted": K.NOT_FOUND,
    "privacy_restricted": K.NOT_FOUND,
    "constraint_filtered": K.NOT_FOUND,
    "free_variant_ended": K.NOT_FOUND,
}
_KIND_BY_STATUS: Mapping[int, UpstreamFaultKind] = {
    400: K.BAD_REQUEST,
    401: K.AUTH,
    402: K.PAYMENT,
    403: K.AUTH,
    404: K.NOT_FOUND,
    408: K.TIMEOUT,
    412: K.BAD_REQUEST,
    413: K.CONTEXT_LENGTH,
    422: K.BAD_REQUEST,
    429: K.RATE_LIMITED,
    503: K.OVERLOADED,
    504: K.TIMEOUT,
    524: K.TIMEOUT,
    529: K.OVERLOADED,
}
# Only where nothing more exact is said. The first that fits; each was seen in real traffic.
_KIND_BY_WORDS: tuple[tuple[re.Pattern[str], UpstreamFaultKind], ...] = (
    (
        re.compile(
            r"key limit exceeded|budget of \S+ exceeded|insufficient credits", re.IGNORECASE
        ),
        K.PAYMENT,
    ),
    (re.compile(r"requires more credits|prompt tokens limit exceeded", re.IGNORECASE), K.PAYMENT),
    (re.compile(r"is not a valid model id|no endpoints found", re.IGNORECASE), K.NOT_FOUND),
    (
        re.compile(r"context length|context window|token limit reached", re.IGNORECASE),
        K.CONTEXT_LENGTH,
    ),
)
# What the words refine: these say more than their status or type does.
_VAGUE = frozenset({K.AUTH, K.BAD_REQUEST, K.SERVER, K.UNCLASSIFIED})


def error_of(body: bytes) -> Mapping[str, object]:
    """The `error` object of an answer, empty when there is none."""
    try:
        document = plain_loads(body)
    except ValueError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return {"message": error} if isinstance(error, str) else _object(error)


def kind_of_error(error: Mapping[str, object], status: int | None = None) -> UpstreamFaultKind:
    """Of what kind an error is. Without a status (mid-stream) its own `code` is used."""
    availability = _text(_object(error.get("availability")).get("code"))
    if availability in _KIND_BY_AVAILABILITY:
        return _KIND_BY_AVAILABILITY[availability]
    metadata = _object(error.get("metadata"))
    if _text(metadata.get("limit_source")) == "openrouter_credits":
        return K.PAYMENT
    if metadata.get("reasons") or metadata.get("patterns"):
        return K.MODERATION
    kind = _kind_by_type_or_status(error, _code(error) if status is None else status)
    if kind is K.RATE_LIMITED and _is_accounts_own(error, metadata):
        return K.ACCOUNT_LIMITED
    if kind in _VAGUE:
        words = _text(error.get("message"))
        return next((said for pattern, said in _KIND_BY_WORDS if pattern.search(words)), kind)
    return kind


def _is_accounts_own(error: Mapping[str, object], metadata: Mapping[str, object]) -> bool:
    """Whether a 429 is OpenRouter's own to our account, and no word of a provider.

    Its own carry the X-RateLimit headers, or name the source.
    """
    limits = _object(metadata.get("headers"))
    return (
        _text(metadata.get("limit_source")).startswith("openrouter")
        or any(name.lower().startswith("x-ratelimit") for name in limits)
        or "free-models-per-" in _text(error.get("message"))
    )


def may_have_run(error: Mapping[str, object], status: int) -> bool:
    """Whether a paid POST that was answered so may have been charged; in doubt, yes.

    Timeouts and 5xx are said after the request went on; so is a success that is no 200. An error
    with `availability` says that no endpoint was there to run it.
    """
    availability = _object(error.get("availability"))
    if availability.get("code") or availability.get("retryable"):
        return False
    late = status >= _FIRST_SERVER_ERROR or status < _FIRST_REDIRECT or status == _TIMED_OUT
    return late or error_type_of(error) in _TYPES_THAT_RAN


def error_type_of(error: Mapping[str, object]) -> str:
    """OpenRouter's own name of the error, empty when it is not said."""
    said = _object(error.get("metadata")).get("error_type") or error.get("error_type")
    return _text(said)


def retry_after_s(
    error: Mapping[str, object], *, header: str | None, date: str | None
) -> int | None:
    """Whole seconds, at most a day, None when nothing usable was said.

    `header` is Retry-After; of a cap the metadata names the reset, which is measured from the
    answer's own `date`. A daily cap whose reset cannot be told is a day away.
    """
    told = _retry_after(header, date)
    if told is None:
        told = outside.count(_object(error.get("availability")).get("retry_after"))
    if told is None:
        return _until_reset_s(_object(error.get("metadata")), date)
    return min(told, RETRY_AFTER_MAX_S)


def _retry_after(header: str | None, date: str | None) -> int | None:
    """Both forms of the header: seconds (some write a fraction), or the date when to come again."""
    said = (header or "").strip()
    if _SECONDS.fullmatch(said):
        return math.ceil(float(said))
    again, answered = _moment(said), _moment(date)
    if again is None or answered is None:
        return None
    return max(math.ceil((again - answered).total_seconds()), 0)


def _until_reset_s(metadata: Mapping[str, object], date: str | None) -> int | None:
    daily = "daily" in _text(metadata.get("limit_source"))
    reset_ms = outside.time_ms(_object(metadata.get("headers")).get("X-RateLimit-Reset"))
    answered = _moment(date)
    if answered is None or reset_ms is None:
        return RETRY_AFTER_MAX_S if daily else None
    left_s = -(-reset_ms // _MS) - int(answered.timestamp())
    return min(max(left_s, 0), RETRY_AFTER_MAX_S)


def _moment(date: str | None) -> datetime | None:
    """A date as HTTP writes it; one without a zone is UTC, as HTTP means it."""
    try:
        moment = parsedate_to_datetime(date) if date else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _kind_by_type_or_status(error: Mapping[str, object], status: int | None) -> UpstreamFaultKind:
    named = KIND_BY_TYPE.get(error_type_of(error))
    if named is not None and named is not K.SERVER:
        return named
    if status is None:
        return named or K.UNCLASSIFIED
    return _KIND_BY_STATUS.get(status, K.SERVER if status >= _FIRST_SERVER_ERROR else K.BAD_REQUEST)


def _code(error: Mapping[str, object]) -> int | None:
    """`error.code`, which has been seen as text; None when it is no HTTP status."""
    code = outside.count(error.get("code"), most=_LAST_STATUS)
    return code if code is not None and code >= _FIRST_STATUS else None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return outside.maybe_text(value, most=_TEXT_MAX)
