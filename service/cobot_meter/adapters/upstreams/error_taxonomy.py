"""How an upstream's errors are read: of what kind, whether it may have run, when to come again.

The reading is shared, and what the words of one upstream mean is a table in that upstream's folder.
Must not know: sockets, our fault classes, or any upstream.
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
# What the words refine: these say more than their status or type does.
_VAGUE = frozenset({K.AUTH, K.BAD_REQUEST, K.SERVER, K.UNCLASSIFIED})


def error_of(body: bytes) -> Mapping[str, object]:
    """The `error` object of an answer, empty when there is none."""
    try:
        document = plain_loads(body)
    except ValueError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return {"message": error} if isinstance(error, str) else object_of(error)


class ErrorTaxonomy:
    """Errors of the shape that OpenAI gave them; an upstream with more to say reads more."""

    def __init__(
        self,
        *,
        by_type: Mapping[str, UpstreamFaultKind],
        by_words: tuple[tuple[re.Pattern[str], UpstreamFaultKind], ...],
        types_that_ran: frozenset[str] = frozenset(),
        account_words: tuple[str, ...] = (),
    ) -> None:
        """`by_words` counts only where nothing more exact is said, and the first that fits.

        `types_that_ran` are said after a request had gone on. A message with one of `account_words`
        is about our account, and not for callers.
        """
        self._by_type = by_type
        self._by_words = by_words
        self._types_that_ran = types_that_ran
        self._account_words = account_words

    def kind(self, error: Mapping[str, object], status: int | None = None) -> UpstreamFaultKind:
        """Of what kind an error is. Without a status (mid-stream) its own `code` is used."""
        kind = self._by_type_or_status(error, _code(error) if status is None else status)
        if kind not in _VAGUE:
            return kind
        words = text_of(error.get("message"))
        return next((said for pattern, said in self._by_words if pattern.search(words)), kind)

    def may_have_run(self, error: Mapping[str, object], status: int) -> bool:
        """Whether a paid POST that was answered so may have been charged; in doubt, yes.

        Timeouts and 5xx are said after the request went on; so is a success that is no 200.
        """
        late = status >= _FIRST_SERVER_ERROR or status < _FIRST_REDIRECT or status == _TIMED_OUT
        return late or error_type_of(error) in self._types_that_ran

    def retry_after_s(
        self, error: Mapping[str, object], *, header: str | None, date: str | None
    ) -> int | None:
        """Whole seconds, at most a day, None when nothing usable was said.

        `header` is Retry-After; what the error itself says is measured from the answer's own
        `date`.
        """
        told = _retry_after(header, date)
        if told is None:
            told = self.retry_told_s(error, date)
        return None if told is None else min(told, RETRY_AFTER_MAX_S)

    def retry_told_s(self, error: Mapping[str, object], date: str | None) -> int | None:  # noqa: ARG002
        """What the error says of it beside the header: nothing, unless an upstream has a way."""
        return None

    def tells_of_account(self, message: str) -> bool:
        """Whether a message is about our account."""
        return any(words in message for words in self._account_words)

    def _by_type_or_status(
        self, error: Mapping[str, object], status: int | None
    ) -> UpstreamFaultKind:
        named = self._by_type.get(error_type_of(error))
        if named is not None and named is not K.SERVER:
            return named
        if status is None:
            return named or K.UNCLASSIFIED
        late = K.SERVER if status >= _FIRST_SERVER_ERROR else K.BAD_REQUEST
        return _KIND_BY_STATUS.get(status, late)


def error_type_of(error: Mapping[str, object]) -> str:
    """The upstream's own name of the error, empty when it is not said."""
    said = object_of(error.get("metadata")).get("error_type") or error.get("error_type")
    return text_of(said)


def _retry_after(header: str | None, date: str | None) -> int | None:
    """Both forms of the header: seconds (some write a fraction), or the date when to come again."""
    said = (header or "").strip()
    if _SECONDS.fullmatch(said):
        return math.ceil(float(said))
    again, answered = moment_of(said), moment_of(date)
    if again is None or answered is None:
        return None
    return max(math.ceil((again - answered).total_seconds()), 0)


def moment_of(date: str | None) -> datetime | None:
    """A date as HTTP writes it; one without a zone is UTC, as HTTP means it."""
    try:
        moment = parsedate_to_datetime(date) if date else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _code(error: Mapping[str, object]) -> int | None:
    """`error.code`, which has been seen as text; None when it is no HTTP status."""
    code = outside.count(error.get("code"), most=_LAST_STATUS)
    return code if code is not None and code >= _FIRST_STATUS else None


def object_of(value: object) -> Mapping[str, object]:
    """The object, empty for what is none."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """The text within bounds, empty for what is none."""
    return outside.maybe_text(value, most=_TEXT_MAX)
