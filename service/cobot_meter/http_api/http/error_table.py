"""From error class to HTTP: the one table. Must not know: routes, or how an error came about.

402 and never 401: L402 libraries do nothing on a 401. Agents repeat by themselves, each by rules of
its own (`docs/errors.md`): 400 alone stops them all, and not if `server_error` stands in the body.
So that type is for what may be repeated. `x-should-retry: false` stands wherever a repeat cannot
help or could cost, and Retry-After only where it is safe and soon: some wait for it whatever else
is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cobot_meter.domain import errors
from cobot_meter.domain import task_faults as of_tasks
from cobot_meter.domain.api_key import faults as of_keys
from cobot_meter.domain.budgets import faults as of_budgets
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.money import sat_of, usd_text
from cobot_meter.domain.privacy.faults import PrivacyUnroutable
from cobot_meter.domain.refusals import OF_A_DAY, RUNNING_RETRY_S, retry_after_s, sentence
from cobot_meter.http_api.http.budget_figures import shortfall_document
from cobot_meter.http_api.http.exchange import NO_RETRY, NO_STORE, Header, PlainAnswer, json_answer

CONFLICT_MESSAGE = "Others work on the same request at this moment; ask again."
BROKEN_MESSAGE = "Something here is broken; the operator has to look at it."

_INVALID = "invalid_request_error"
_PERMISSION = "permission_error"
_PAYMENT = "payment_required"
_LIMIT = "rate_limit_error"
_UNAVAILABLE = "service_unavailable_error"
_SERVER = "server_error"
_FINAL = "gateway_error"
_INTERNAL = "internal_error"

# Who is told to come back later than this would wait in silence, some of them for hours.
RETRY_AFTER_MAX_S = 600
# What an upstream says of the request itself, before running it: the same again is refused again.
_OF_THE_REQUEST = frozenset({400, 404, 413, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a class becomes; `type` is OpenAI's."""

    status: int
    type: str
    retry_after_s: int | None = None


ERROR_TABLE: Mapping[type[errors.CobotMeterError], Row] = {
    errors.RequestInvalid: Row(status=400, type=_INVALID),
    errors.RequestTooLarge: Row(status=413, type=_INVALID),
    errors.ModelNotOffered: Row(status=404, type=_INVALID),
    errors.CeilingOverCap: Row(status=400, type=_INVALID),
    # A route that can offer a top-up answers with that challenge instead; this row is 402 without
    # one, which every library hands to its caller.
    errors.CredentialInvalid: Row(status=402, type=_PAYMENT),
    # 400 alone ends every agent's retries: on 401, 403 and 429 some ask again for minutes.
    of_keys.KeyInvalid: Row(status=400, type=_INVALID),
    of_keys.KeyLimitReached: Row(status=400, type=_INVALID),
    of_keys.KeyLossesReached: Row(status=400, type=_INVALID),
    of_keys.ModelNotAllowed: Row(status=400, type=_INVALID),
    of_keys.ProofRequired: Row(status=403, type=_PERMISSION),
    # As with CredentialInvalid: the chat route answers with a top-up.
    of_keys.CreditShort: Row(status=402, type=_PAYMENT),
    # 429 instead where only what runs stands in the way: that is free again within seconds.
    of_budgets.BudgetExhausted: Row(status=402, type=_PAYMENT),
    of_tasks.TaskNotAllowed: Row(status=403, type=_PERMISSION),
    of_tasks.TaskKeyInvalid: Row(status=400, type=_INVALID),
    of_tasks.TaskNotOpen: Row(status=409, type=_INVALID),
    of_tasks.TaskBusy: Row(status=409, type=_INVALID),
    of_tasks.TaskUnanswered: Row(status=409, type=_INVALID),
    of_tasks.TaskCeilingReached: Row(status=402, type=_PAYMENT),
    PrivacyUnroutable: Row(status=422, type=_INVALID),
    errors.CallerBlocked: Row(status=403, type=_PERMISSION),
    errors.ExposureExceeded: Row(status=429, type=_LIMIT),
    errors.TopupsOpen: Row(status=429, type=_LIMIT),
    errors.AddressBusy: Row(status=429, type=_LIMIT, retry_after_s=2),
    errors.IdempotencyConflict: Row(status=422, type=_INVALID),
    errors.AlreadyPaid: Row(status=409, type=_INVALID),
    errors.EscrowNotFound: Row(status=404, type=_INVALID),
    # As with CredentialInvalid: a route that has the escrow at hand answers with its challenge.
    errors.InvoiceUnpaid: Row(status=402, type=_PAYMENT),
    errors.CompletionGone: Row(status=410, type=_INVALID),
    errors.DependencyFault: Row(status=503, type=_UNAVAILABLE, retry_after_s=30),
    errors.UpstreamRefused: Row(status=502, type=_FINAL),
    errors.UpstreamUnreachable: Row(status=503, type=_UNAVAILABLE, retry_after_s=5),
    errors.UpstreamCreditLow: Row(status=503, type=_UNAVAILABLE, retry_after_s=60),
    errors.UpstreamFailed: Row(status=502, type=_SERVER),
    errors.OutcomeUnknown: Row(status=502, type=_FINAL),
    errors.CostNotYetKnown: Row(status=503, type=_UNAVAILABLE, retry_after_s=2),
    errors.CostPending: Row(status=503, type=_UNAVAILABLE, retry_after_s=2),
    errors.NodeUnavailable: Row(status=503, type=_UNAVAILABLE, retry_after_s=5),
    errors.InvoiceRefused: Row(status=502, type=_FINAL),
    errors.RateStale: Row(status=503, type=_UNAVAILABLE, retry_after_s=30),
    errors.RateJumped: Row(status=503, type=_UNAVAILABLE, retry_after_s=60),
    errors.BooksBusy: Row(status=503, type=_UNAVAILABLE, retry_after_s=1),
    errors.BodyKeysUnusable: Row(status=503, type=_UNAVAILABLE, retry_after_s=60),
    errors.ServiceBusy: Row(status=503, type=_UNAVAILABLE, retry_after_s=2),
    errors.Quarantined: Row(status=503, type=_UNAVAILABLE),
    errors.ReleasesStopped: Row(status=503, type=_UNAVAILABLE, retry_after_s=60),
    errors.Draining: Row(status=503, type=_UNAVAILABLE, retry_after_s=5),
    errors.Conflict: Row(status=503, type=_UNAVAILABLE, retry_after_s=1),
    errors.Broken: Row(status=500, type=_INTERNAL),
}
# Where a time to come back may be told. What may have been charged is 502, and never told one.
_TIMED = frozenset({429, 503})


def row_of(error: errors.CobotMeterError) -> Row:
    """The row of its class; every kind of Broken shares one, and refusals have three."""
    row = next(ERROR_TABLE[kind] for kind in type(error).__mro__ if kind in ERROR_TABLE)
    if isinstance(error, errors.UpstreamRefused):
        row = _refused_row(error, row)
    if isinstance(error, of_budgets.BudgetExhausted) and error.shortfall.waits:
        return Row(status=429, type=_LIMIT, retry_after_s=RUNNING_RETRY_S)
    timed = (errors.DependencyFault, errors.TopupsOpen, errors.AddressBusy)
    if row.status in _TIMED and isinstance(error, timed):
        asked_s = error.retry_after_s
        row = row if asked_s is None else replace(row, retry_after_s=asked_s)
    return row


def _refused_row(error: errors.UpstreamRefused, row: Row) -> Row:
    """Of the request itself, worth another try, or ours to mend: our own account's fault."""
    if error.may_retry:
        return Row(status=503, type=_UNAVAILABLE, retry_after_s=5)
    return Row(status=400, type=_INVALID) if error.status in _OF_THE_REQUEST else row


def error_response(error: errors.CobotMeterError, *, to_pay: Sequence[Escrow] = ()) -> PlainAnswer:
    """The error as OpenAI's SDKs read it. `to_pay` are the caller's own open invoices, if any.

    Of what is Broken nothing is said but that it is; a setting or a seal never reaches a caller.
    """
    error = _sayable(error)
    row = row_of(error)
    if isinstance(error, errors.ExposureExceeded) and error.at_ms is not None:
        after_s = retry_after_s(error, now_ms=error.at_ms, to_pay=_payable(to_pay))
        row = replace(row, retry_after_s=after_s)
    document = error_document(error, to_pay=to_pay)
    return json_answer(row.status, {"error": document}, _headers(row, may_retry=error.may_retry))


def error_document(
    error: errors.CobotMeterError, *, to_pay: Sequence[Escrow] = ()
) -> dict[str, Any]:
    """What is said of the error, without its status: also in the middle of a stream."""
    error = _sayable(error)
    broken = isinstance(error, errors.Broken)
    document: dict[str, Any] = {
        "message": BROKEN_MESSAGE if broken else _message(error, to_pay),
        "type": row_of(error).type,
        "param": _param(error),
        "code": errors.Broken.code if broken else error.code,
    }
    metadata = _metadata(error, to_pay)
    if metadata:
        document["metadata"] = metadata
    return document


def _sayable(error: errors.CobotMeterError) -> errors.CobotMeterError:
    """A setting or a seal is nothing that a caller is told of."""
    if isinstance(error, errors.SettingInvalid | errors.SealBroken):
        return errors.Broken(error.message)
    return error


def _headers(row: Row, *, may_retry: bool) -> list[Header]:
    headers: list[Header] = [NO_STORE]
    after_s = row.retry_after_s
    far = after_s is not None and after_s > RETRY_AFTER_MAX_S
    if after_s is not None and not far:
        headers.append((b"retry-after", b"%d" % after_s))
    if far or not may_retry:
        headers.append(NO_RETRY)
    return headers


def _param(error: errors.CobotMeterError) -> str | None:
    if isinstance(error, errors.RequestInvalid):
        return error.param
    return "model" if isinstance(error, errors.ModelNotOffered) else None


def _message(error: errors.CobotMeterError, to_pay: Sequence[Escrow]) -> str:
    if isinstance(error, errors.Conflict):
        return CONFLICT_MESSAGE
    if isinstance(error, errors.ExposureExceeded):
        return sentence(error, to_pay=_payable(to_pay))
    # An upstream's own words may have the one that makes some agents repeat whatever it stands in.
    return error.message if error.may_retry else error.message.replace(_SERVER, "server error")


def _payable(to_pay: Sequence[Escrow]) -> bool:
    return any(escrow.invoice is not None for escrow in to_pay)


def _metadata(error: errors.CobotMeterError, to_pay: Sequence[Escrow]) -> dict[str, Any]:
    match error:
        case errors.ExposureExceeded():
            return {**_exposure(error), "to_pay": [_open_invoice(escrow) for escrow in to_pay]}
        case errors.AlreadyPaid() | errors.InvoiceUnpaid():
            return {"escrow_id": error.escrow_id}
        case _:
            return _of_limits(error)


def _of_limits(error: errors.CobotMeterError) -> dict[str, Any]:
    """The figures of what a caller or an owner has set a limit to."""
    match error:
        case of_budgets.BudgetExhausted():
            return shortfall_document(error.shortfall)
        case of_keys.KeyLimitReached():
            return _msat_exposure(error)
        case of_keys.CreditShort():
            return credit_figures(error.shortfall)
        case of_tasks.TaskCeilingReached():
            return {
                "left_msat": error.left_msat,
                "needed_msat": error.needed_msat,
                "fits_max_tokens": error.fits_max_tokens or None,
            }
        case _:
            return {}


def _exposure(error: errors.ExposureExceeded) -> dict[str, Any]:
    """What is open, what may be, what was asked and what is too much, in the guard's own unit."""
    over = error.open_amount + error.asked - error.limit
    amounts = {"open": error.open_amount, "limit": error.limit, "asked": error.asked, "over": over}
    if error.guard in OF_A_DAY:
        shown = {f"{name}_usd": usd_text(amount) for name, amount in amounts.items()}
        return {"guard": error.guard, **shown}
    return {"guard": error.guard, **{f"{name}_msat": amount for name, amount in amounts.items()}}


def _msat_exposure(error: of_keys.KeyLimitReached) -> dict[str, Any]:
    return {
        "guard": error.guard,
        "open_msat": error.open_amount,
        "limit_msat": error.limit,
        "asked_msat": error.asked,
    }


def credit_figures(shortfall: of_keys.Shortfall) -> dict[str, Any]:
    """What is left, what is needed, and what would fit, for programs."""
    return {
        "available_msat": shortfall.available_msat,
        "reserved_msat": shortfall.reserved_msat,
        "needed_msat": shortfall.needed_msat,
        "fits_max_tokens": shortfall.fits_max_tokens or None,
        "cheaper_model": shortfall.cheaper_model,
    }


def _open_invoice(escrow: Escrow) -> dict[str, Any]:
    invoice = escrow.invoice
    if invoice is None:
        return {"escrow_id": escrow.escrow_id}
    return {
        "escrow_id": escrow.escrow_id,
        "payment_hash": escrow.payment_hash,
        "invoice": invoice.payment_request,
        "price_sats": sat_of(invoice.amount_msat),
        "expires_at": invoice.expires_at_s,
    }
