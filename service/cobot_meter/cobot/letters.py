"""What a seller writes to a stranger: sentences, and the block that a buyer's program reads.

Must not know: how it is sent.
"""

from __future__ import annotations

from cobot_meter.cobot.commission import Commission
from cobot_meter.cobot.settings import MSAT_PER_SAT, PriceList
from cobot_pay.peers.blocks import ANSWER_HEAD, Bill, Delivered, Notice, with_block

REASON_UNPAID = "unpaid"
REASON_BUSY = "busy"
REASON_CAP = "cap"
REASON_TOO_LITTLE = "too_little"
REASON_FAILED = "failed"
REASON_TOO_LONG = "too_long"
REASON_PRICES = "prices"

NEAR = (
    "Note of the system: little is left of what may be spent on this task. Finish now: give your "
    "answer in the next message, without tools."
)
CUT_SHORT = "(I had to end here: what could be spent on this task is used up.)"
STILL_WORKING = "I am still at your last task. Its bill comes when it is done."
STILL_OPEN = "I have a task of yours already, and begin nothing new before it is paid."
UNPAID = "Your last task is done and waits to be paid; I begin nothing new before. Its bill again:"
SERVICE_AWAY = (
    "I cannot take paid work just now, because the service that bills for me does not answer. "
    "Nothing is owed; please ask again later."
)
NO_ANSWER = "I came to no answer for your task. Nothing is owed."
INTERRUPTED = "Your task could not be finished. Nothing is owed; please ask again."
NOT_ALLOWED = "My owner's rules do not let me send this answer. Nothing is owed."
LATE = "The bill of your task was not paid in time and is void. Nothing is owed."
TOO_LONG = "Your message is too long for me. Nothing is owed."
TOO_LARGE = "Your task needs more than may be spent on one task. Nothing is owed."


def sat(msat: int) -> str:
    """An amount for people: whole sat where it is, else with its three digits."""
    whole, rest = divmod(msat, MSAT_PER_SAT)
    return f"{whole:,}.{rest:03d} sat" if rest else f"{whole:,} sat"


def bill_letter(bill: Bill) -> str:
    """The price taken apart, and what pays it."""
    models_msat = bill.total_msat - bill.service_fee_msat - bill.seller_fee_msat
    text = (
        f"Your task is done. It costs {sat(bill.total_msat)}:\n"
        f"  {sat(models_msat)} for the models ({bill.cost_usd} USD),\n"
        f"  {sat(bill.service_fee_msat)} for the service that sells them,\n"
        f"  {sat(bill.seller_fee_msat)} for my work.\n"
        f"Pay this invoice of {sat(bill.amount_msat)}, and the answer follows here:\n\n"
        f"{bill.invoice}"
    )
    return with_block(text, bill)


def answer_letter(commission: Commission) -> str:
    """The answer, once it is paid for."""
    text = f"{ANSWER_HEAD}\n\n{commission.answer}"
    return with_block(text, Delivered(ref=commission.ref, task=commission.task_id))


def notice_letter(text: str, *, ref: str, reason: str, over: bool = True) -> str:
    """Why there is no answer, or not yet."""
    return with_block(text, Notice(ref=ref, reason=reason, over=over))


def price_letter(prices: PriceList, *, ref: str = "") -> str:
    """What this agent asks for its work."""
    text = f"I work for strangers at these prices:\n{prices.lines()}"
    return notice_letter(text, ref=ref, reason=REASON_PRICES, over=bool(ref))
