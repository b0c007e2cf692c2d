"""Every transport fault and status is told apart by one question: may it have been charged?"""

from __future__ import annotations

import ssl
from unittest.mock import Mock

import aiohttp
import httpx
import orjson
import pytest

from cobot_meter.adapters.upstreams.http_errors import (
    HttpAnswer,
    fault_of_lookup,
    fault_of_query,
    fault_of_run,
    fault_of_send,
)
from cobot_meter.adapters.upstreams.openrouter.taxonomy import ERRORS
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    OutcomeUnknown,
    UpstreamRefused,
    UpstreamUnreachable,
)

KEY = Mock(name="ConnectionKey", host="upstream", port=443, ssl=True)
REFUSED = OSError(111, "refused")


def raised_from(error: Exception, cause: Exception) -> Exception:
    """As httpx-aiohttp raises: its own class, with aiohttp's beneath."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        raised_from(httpx.ConnectError("no"), aiohttp.ClientConnectorError(KEY, REFUSED)),
        raised_from(httpx.ConnectError("dns"), aiohttp.ClientConnectorDNSError(KEY, REFUSED)),
        raised_from(
            httpx.ConnectError("tls"),
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLError("bad")),
        ),
        raised_from(httpx.ConnectTimeout("slow"), aiohttp.ConnectionTimeoutError("slow")),
        httpx.ConnectError("no"),
        httpx.PoolTimeout("full"),
    ],
)
def test_nothing_sent_is_unreachable(error: Exception) -> None:
    """Only faults from before the first byte are *certainly not charged*."""
    assert isinstance(fault_of_send(error), UpstreamUnreachable)


@pytest.mark.parametrize(
    "error",
    [
        raised_from(httpx.ConnectTimeout("gone"), aiohttp.ServerDisconnectedError()),
        raised_from(httpx.ConnectTimeout("reset"), aiohttp.ClientOSError(104, "reset")),
        raised_from(httpx.ReadTimeout("slow"), aiohttp.SocketTimeoutError("slow")),
        raised_from(httpx.ReadError("cut"), aiohttp.ClientPayloadError("cut")),
        aiohttp.ClientResponseError(Mock(), ()),
        TimeoutError(),
        ConnectionResetError(104, "reset"),
        httpx.RemoteProtocolError("bad"),
    ],
)
def test_broken_after_sending_is_unknown(error: Exception) -> None:
    """A connection that broke later is unknown, even where httpx-aiohttp says ConnectTimeout."""
    assert isinstance(fault_of_send(error), OutcomeUnknown)


def answer(
    status: int, error: dict[str, object] | None = None, retry_after: str | None = None
) -> HttpAnswer:
    """An error answer of OpenRouter's shape."""
    return HttpAnswer(
        status=status, body=orjson.dumps({"error": error or {}}), retry_after=retry_after
    )


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 413, 422, 429])
def test_refusals_are_not_charged(status: int) -> None:
    """Redirects and 4xx are said before anything runs."""
    fault = fault_of_run(ERRORS, answer(status, {"message": "no", "code": status}))
    assert isinstance(fault, UpstreamRefused)
    assert fault.status == status


@pytest.mark.parametrize("status", [202, 204, 408, 500, 502, 503, 504, 524, 529])
def test_may_have_run_is_unknown(status: int) -> None:
    """Timeouts, 5xx and odd successes may have been charged."""
    assert isinstance(fault_of_run(ERRORS, answer(status, {"code": status})), OutcomeUnknown)


@pytest.mark.parametrize(
    "availability",
    [
        {"code": "temporarily_unavailable", "retryable": True, "retry_after": 5},
        {"code": "capacity_exhausted", "retryable": True, "retry_after": 5},
    ],
)
def test_availability_says_it_did_not_run(availability: dict[str, object]) -> None:
    """A 503 that says no endpoint was available has run nothing, and says when to come again."""
    fault = fault_of_run(ERRORS, answer(503, {"code": 503, "availability": availability}))
    assert isinstance(fault, UpstreamRefused)
    assert fault.retry_after_s == 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("999999", 86_400),
        ("99999999999999999999", None),
        ("-1", None),
        ("\u0663", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_with_care(header: str | None, seconds: int | None) -> None:
    """Whole seconds up to a day are believed, everything else is passed over."""
    fault = fault_of_run(ERRORS, answer(429, retry_after=header))
    assert fault.retry_after_s == seconds


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_account_state_is_not_told_to_callers(status: int) -> None:
    """What the upstream says of our account and key stays out of our message."""
    said = "Add more using https://openrouter.ai/settings/credits"
    assert said not in fault_of_run(ERRORS, answer(status, {"message": said})).message


def test_moderation_is_told_apart() -> None:
    """A 403 for the prompt itself says so, without repeating the prompt."""
    metadata = {"reasons": ["violence"], "flagged_input": "the prompt"}
    fault = fault_of_run(ERRORS, answer(403, {"message": "flagged", "metadata": metadata}))
    assert "moderation" in fault.message
    assert "the prompt" not in fault.message.replace("refused the prompt", "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"no"}', b'{"error":null}'])
def test_any_body_will_do(body: bytes) -> None:
    """An error answer needs no readable body."""
    assert isinstance(fault_of_run(ERRORS, HttpAnswer(status=404, body=body)), UpstreamRefused)
    assert isinstance(fault_of_run(ERRORS, HttpAnswer(status=500, body=body)), OutcomeUnknown)


def test_long_words_are_cut() -> None:
    """An upstream cannot fill our logs: at most 200 characters are repeated."""
    fault = fault_of_run(ERRORS, answer(400, {"message": "x" * 100_000}))
    assert len(fault.message) < 300


@pytest.mark.parametrize("status", [402, 404, 408, 429, 500, 502, 524, 529])
def test_lookup_faults_are_not_yet_known(status: int) -> None:
    """A look-up that is answered with an error may find the record later."""
    fault = fault_of_lookup(ERRORS, answer(status, retry_after="3"), "gen-1")
    assert isinstance(fault, CostNotYetKnown)
    assert fault.retry_after_s == 3


@pytest.mark.parametrize("status", [401, 403])
def test_lookup_with_a_bad_key_is_refused(status: int) -> None:
    """A look-up that is not permitted will not be later either."""
    assert isinstance(fault_of_lookup(ERRORS, answer(status), "gen-1"), UpstreamRefused)


@pytest.mark.parametrize(
    ("status", "passes"), [(429, True), (503, True), (401, False), (404, False)]
)
def test_query_faults(status: int, passes: bool) -> None:  # noqa: FBT001
    """A free question fails for now, or until the operator acts."""
    fault = fault_of_query(ERRORS, answer(status))
    assert isinstance(fault, UpstreamUnreachable if passes else UpstreamRefused)
