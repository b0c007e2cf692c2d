"""Every error has its row, and every row says whether to try again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from cobot_meter.domain import errors
from cobot_meter.domain.api_key import faults as of_keys
from cobot_meter.domain.refusals import exposure_exceeded
from cobot_meter.http_api.http.error_table import (
    ERROR_TABLE,
    RETRY_AFTER_MAX_S,
    error_response,
    row_of,
)
from cobot_meter.http_api.http.exchange import PlainAnswer
from tests.architecture.source_tree import ROOT
from tests.http_api.http.errors_page import page
from tests.http_api.http.every_error import REACHING, made
from tests.http_api.samples import ESCROW, PAYMENT_HASH, PAYMENT_REQUEST, invoiced_escrow


def headers(answer: PlainAnswer) -> dict[bytes, bytes]:
    """The headers by name."""
    return dict(answer.headers)


def shown(answer: PlainAnswer) -> dict[str, Any]:
    """The error object of the body."""
    error: dict[str, Any] = orjson.loads(answer.body)["error"]
    return error


@pytest.mark.parametrize("kind", REACHING)
def test_every_class_has_a_row(kind: type[errors.CobotMeterError]) -> None:
    """A new class needs a row of its own; kinds of Broken, Conflict and KeyInvalid share theirs."""
    shared = errors.Broken | errors.Conflict | of_keys.KeyInvalid
    assert kind in ERROR_TABLE or issubclass(kind, shared)


@pytest.mark.parametrize("kind", REACHING)
def test_the_answer_has_openais_shape(kind: type[errors.CobotMeterError]) -> None:
    """Message, type, param and a stable code, as JSON that is not stored, and never a 401."""
    answer = error_response(made(kind))
    error = shown(answer)
    assert answer.status == row_of(made(kind)).status != 401
    assert {"message", "type", "param", "code"} <= error.keys() <= {*error, "metadata"}
    assert headers(answer)[b"content-type"] == b"application/json"
    assert headers(answer)[b"cache-control"] == b"no-store"
    assert headers(answer)[b"content-length"] == b"%d" % len(answer.body)
    if not issubclass(kind, errors.Broken):
        assert error["code"] == kind.code
    made_here = errors.Broken | errors.Conflict | errors.ExposureExceeded
    if not issubclass(kind, made_here):
        assert error["message"] == "A sentence."


@pytest.mark.parametrize("kind", REACHING)
def test_what_must_not_be_repeated_says_so(kind: type[errors.CobotMeterError]) -> None:
    """402, 409, 429 of money, and all faults that no repeat can mend: x-should-retry: false."""
    answer = error_response(made(kind))
    stops = headers(answer).get(b"x-should-retry") == b"false"
    if answer.status in {402, 409, 429, 500} and kind is not errors.AddressBusy:
        assert stops
    if issubclass(kind, errors.DependencyFault):
        assert stops is not kind.may_retry


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.RequestInvalid, 400),
        (errors.RequestTooLarge, 413),
        (errors.ModelNotOffered, 404),
        (errors.CredentialInvalid, 402),
        (errors.CallerBlocked, 403),
        (errors.ExposureExceeded, 429),
        (errors.TopupsOpen, 429),
        (errors.AddressBusy, 429),
        (errors.ServiceBusy, 503),
        (errors.IdempotencyConflict, 422),
        (errors.AlreadyPaid, 409),
        (errors.EscrowNotFound, 404),
        (errors.InvoiceUnpaid, 402),
        (errors.CompletionGone, 410),
        (errors.UpstreamRefused, 400),
        (errors.UpstreamUnreachable, 503),
        (errors.UpstreamFailed, 502),
        (errors.OutcomeUnknown, 502),
        (errors.CostPending, 503),
        (errors.NodeUnavailable, 503),
        (errors.InvoiceRefused, 502),
        (errors.RateStale, 503),
        (errors.RateJumped, 503),
        (errors.BooksBusy, 503),
        (errors.Draining, 503),
        (errors.Conflict, 503),
        (errors.SealBroken, 500),
        (errors.Broken, 500),
    ],
)
def test_statuses_that_callers_rely_on(kind: type[errors.CobotMeterError], status: int) -> None:
    """A change of one of these is a change of the interface."""
    assert error_response(made(kind)).status == status


def test_what_is_broken_says_nothing() -> None:
    """A 500 tells that something is broken, and no detail of it."""
    answer = error_response(errors.LedgerUnbalanced("account caller/c_1 is 5 msat short"))
    assert shown(answer) == {
        "message": "Something here is broken; the operator has to look at it.",
        "type": "internal_error",
        "param": None,
        "code": "internal_error",
    }
    setting = error_response(errors.SettingInvalid("COBOT_METER_SECRET is short"))
    assert setting == answer


def test_an_upstream_under_load_is_worth_another_try() -> None:
    """The upstream's 429 becomes 503 with its own Retry-After; other refusals are final."""
    busy = errors.UpstreamRefused("The upstream is busy.", status=429, retry_after_s=17)
    answer = error_response(busy)
    assert answer.status == 503
    assert headers(answer)[b"retry-after"] == b"17"
    assert b"x-should-retry" not in headers(answer)


@pytest.mark.parametrize(
    ("status", "told", "kind", "again"),
    [
        (400, 400, "invalid_request_error", False),
        (404, 400, "invalid_request_error", False),
        (413, 400, "invalid_request_error", False),
        (422, 400, "invalid_request_error", False),
        (401, 502, "gateway_error", False),
        (402, 502, "gateway_error", False),
        (403, 502, "gateway_error", False),
        (408, 503, "service_unavailable_error", True),
        (429, 503, "service_unavailable_error", True),
        (500, 503, "service_unavailable_error", True),
        (503, 503, "service_unavailable_error", True),
    ],
)
def test_what_an_upstream_refuses_is_the_requests_fault_or_ours_or_worth_another_try(
    status: int,
    told: int,
    kind: str,
    again: bool,  # noqa: FBT001 - parametrized
) -> None:
    """It ran nothing: 400 where the same is refused again, 503 where another moment may help."""
    answer = error_response(errors.UpstreamRefused("No.", status=status))
    assert (answer.status, shown(answer)["type"]) == (told, kind)
    assert (b"x-should-retry" not in headers(answer)) is again
    assert (b"retry-after" in headers(answer)) is again


@pytest.mark.parametrize("kind", REACHING)
def test_what_cannot_help_stops_every_agent_that_can_be_stopped(
    kind: type[errors.CobotMeterError],
) -> None:
    """No `server_error` in it, which some repeat at any status, no Retry-After, and a status."""
    error = made(kind)
    error.message = "The provider said: server_error."
    answer = error_response(error)
    if error.may_retry:
        assert answer.status in {429, 502, 503}
        return
    assert b"server_error" not in answer.body
    assert headers(answer)[b"x-should-retry"] == b"false"
    if b"retry-after" in headers(answer):
        assert answer.status == 429
    # Those that agents repeat all the same say what no other status says, and cost nothing.
    assert answer.status in {400, 402, 403, 404, 409, 410, 413, 422, 429, 500, 502} or (
        kind is errors.Quarantined
    )


@pytest.mark.parametrize("kind", REACHING)
def test_a_time_to_come_back_is_told_only_where_coming_back_is_safe(
    kind: type[errors.CobotMeterError],
) -> None:
    """Never on what may have run and been charged, whoever asks to wait."""
    error = made(kind)
    if isinstance(error, errors.DependencyFault):
        error.retry_after_s = 9
    answer = error_response(error)
    if isinstance(error, errors.OutcomeUnknown | errors.UpstreamFailed):
        assert b"retry-after" not in headers(answer)
    assert answer.status in {429, 503} or b"retry-after" not in headers(answer)


@pytest.mark.parametrize("seconds", [1, 600, 601, 86_400])
def test_nobody_is_told_to_sleep_for_hours(seconds: int) -> None:
    """Some agents wait for whatever they are told: far away is no time, and no repeat."""
    answer = error_response(errors.CostPending("Wait.", retry_after_s=seconds))
    soon = seconds <= RETRY_AFTER_MAX_S
    assert headers(answer).get(b"retry-after") == (b"%d" % seconds if soon else None)
    assert (headers(answer).get(b"x-should-retry") == b"false") is not soon


def test_a_pending_cost_names_its_time() -> None:
    """503 cost_pending says when to come back, and what the part asked for wins."""
    assert headers(error_response(errors.CostPending("Wait.")))[b"retry-after"] == b"2"
    asked = errors.CostPending("Wait.", retry_after_s=9)
    assert headers(error_response(asked))[b"retry-after"] == b"9"


def test_exposure_says_how_much_is_open_and_what_to_pay() -> None:
    """One sentence in one unit; the exact figures and the caller's open invoices beside it."""
    error = exposure_exceeded("caller", open_amount=210_000, limit=200_000, asked=40_000)
    told = shown(error_response(error, to_pay=[invoiced_escrow()]))
    assert told["message"] == (
        "This caller has 210 sat open and unpaid of at most 200 sat, and this request may cost up "
        "to 40 sat more: pay what is open (see metadata.to_pay)."
    )
    assert told["metadata"] == {
        "guard": "caller",
        "open_msat": 210_000,
        "limit_msat": 200_000,
        "asked_msat": 40_000,
        "over_msat": 50_000,
        "to_pay": [
            {
                "escrow_id": ESCROW,
                "payment_hash": PAYMENT_HASH,
                "invoice": PAYMENT_REQUEST,
                "price_sats": 1,
                "expires_at": 1_763_837_100,
            }
        ],
    }


def test_the_days_budget_is_told_in_dollars() -> None:
    """The budget counts pico-USD, and comes back at midnight UTC; nothing to pay is advised."""
    error = exposure_exceeded("budget", open_amount=10**12, limit=10**12, asked=5 * 10**9)
    error.at_ms = 3 * 86_400_000 - 61_001
    answer = error_response(error)
    assert headers(answer)[b"retry-after"] == b"62"
    told = shown(answer)
    assert told["metadata"] == {
        "guard": "budget",
        "open_usd": "1",
        "limit_usd": "1",
        "asked_usd": "0.005",
        "over_usd": "0.005",
        "to_pay": [],
    }
    assert told["message"] == (
        "Unpaid runs of callers like this one have taken 1 USD of the 1 USD that they may take a "
        "day, and this request may cost up to 0.005 USD more: ask again after midnight UTC."
    )


def test_an_escrow_without_an_invoice_is_only_named() -> None:
    """What has no invoice yet cannot be paid, and is listed by its id."""
    error = made(errors.ExposureExceeded)
    told = shown(error_response(error, to_pay=[replace(invoiced_escrow(), invoice=None)]))
    assert told["metadata"]["to_pay"] == [{"escrow_id": ESCROW}]


def test_the_offending_field_is_named() -> None:
    """Param is the path of the field, and `model` for a model that is not offered."""
    invalid = errors.RequestInvalid("Wrong.", param="messages[0].role")
    assert shown(error_response(invalid))["param"] == "messages[0].role"
    assert shown(error_response(errors.ModelNotOffered("None.")))["param"] == "model"


def test_the_page_of_errors_is_the_table() -> None:
    """docs/errors.md is what the code answers; run its module after a change."""
    assert (ROOT / "docs" / "errors.md").read_text() == page()
