"""What an escrow's state says to whoever asks for it, where that is a fault."""

from __future__ import annotations

from cobot_meter.domain import errors
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.run.record import Failure


def quarantined_fault(subject_id: str, *, why: str, is_topup: bool = False) -> errors.Quarantined:
    """What can be said of an escrow or a top-up that waits for the operator."""
    message = (
        f"{subject_id} could not be booked, and waits for the operator to look at it. Nothing more "
        "is charged for it, and what was paid is not lost."
    )
    if not is_topup:
        message += " For another completion send the request with a fresh Idempotency-Key."
    return errors.Quarantined(message, why=why)


def waiting_fault(escrow: Escrow) -> errors.DependencyFault:
    """Why an escrow is not yet payable."""
    if escrow.quarantine is not None:
        return quarantined_fault(escrow.escrow_id, why=escrow.quarantine)
    if escrow.state is EscrowState.PRICED:
        message = "The Lightning node does not answer just now; repeat the same request."
        return errors.NodeUnavailable(message, retry_after_s=5)
    message = (
        "The completion is running or its cost is still being looked up. Repeat the same request: "
        "it finds this one, and nothing runs twice."
    )
    return errors.CostPending(message, retry_after_s=2)


def failure_fault(failure: Failure | None) -> errors.CobotMeterError:
    """The error that a failed escrow's asks are answered with."""
    if failure is None:
        return errors.UpstreamFailed("The completion failed; ask again.")
    match failure.code:
        case errors.UpstreamRefused.code:
            return errors.UpstreamRefused(
                failure.message, status=failure.status, retry_after_s=failure.retry_after_s
            )
        case errors.UpstreamUnreachable.code:
            return errors.UpstreamUnreachable(failure.message, retry_after_s=failure.retry_after_s)
        case errors.OutcomeUnknown.code:
            return errors.OutcomeUnknown(failure.message)
        case errors.InvoiceRefused.code:
            return errors.InvoiceRefused(failure.message)
        case _:
            return errors.UpstreamFailed(failure.message)
