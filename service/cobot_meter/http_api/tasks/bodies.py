"""What a seller says of a task, field by field, and the task as its seller reads it.

Must not know: what is reserved, or how a run is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.money import AMOUNT_MAX, MSAT_PER_SAT, pusd_from_decimal, usd_text
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.flows.task.ask_task import left_msat
from cobot_meter.http_api.small_bodies import SAT_MAX, fields_of
from cobot_meter.http_api.views import TASKS_PATH

OPEN_FIELDS = frozenset({"ceiling_sat", "ceiling_usd", "max_fee_sat", "title", "expires_in_s"})
ANSWER_FIELDS = frozenset({"answer"})
CLOSE_FIELDS = frozenset({"fee_msat", "fee_sat", "answer"})
TITLE_CHARS_MAX = 200
LASTS_S_DEFAULT = 3_600
# The price is made with the exchange rate of the opening, so a task does not last for days.
LASTS_S_MAX = 21_600
LASTS_S_MIN = 10
SECOND_MS = 1_000


class OpeningSaid(NamedTuple):
    """What a body says of a task that is to be opened; `max_fee_msat` None where it does not."""

    ceiling: MaxCost
    max_fee_msat: int | None
    title: str
    lasts_s: int
    request_sha256: str


def opening_of(content: bytes) -> OpeningSaid:
    """The body of POST /v1/tasks. Raises RequestInvalid."""
    said = fields_of(content, OPEN_FIELDS)
    fee_sat = said.get("max_fee_sat")
    return OpeningSaid(
        ceiling=_ceiling(said),
        max_fee_msat=None if fee_sat is None else _whole("max_fee_sat", fee_sat) * MSAT_PER_SAT,
        title=_title(said.get("title")),
        lasts_s=_lasts(said.get("expires_in_s")),
        request_sha256=sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    )


def answer_of(said: Mapping[str, Any]) -> str | None:
    """The answer that a body seals, None where it names none. Raises RequestInvalid."""
    answer = said.get("answer")
    if answer is None:
        return None
    if not isinstance(answer, str) or not answer:
        raise _wrong("answer", "must be a text of one character at least")
    return answer


def fee_msat_of(said: Mapping[str, Any]) -> int:
    """The seller's own fee, 0 where none is named. Raises RequestInvalid."""
    msat, sat = said.get("fee_msat"), said.get("fee_sat")
    if msat is not None and sat is not None:
        raise _wrong("fee_sat", "and fee_msat are both there: send one of them")
    if sat is not None:
        return _whole("fee_sat", sat) * MSAT_PER_SAT
    return 0 if msat is None else _whole("fee_msat", msat, most=AMOUNT_MAX)


def task_document(escrow: Escrow, *, key: str | None = None) -> dict[str, Any]:
    """A task as its seller reads it, at our price; `expires_at` in Unix seconds.

    `key` is shown where the task was opened or asked for alone.
    """
    task, spent_msat = escrow.task, escrow.price.price_msat
    document: dict[str, Any] = {
        "object": "task",
        "id": escrow.escrow_id,
        "state": escrow.task_state,
        "title": task.title if task else "",
        "ceiling_msat": escrow.quote.ceiling_msat,
        "spent_msat": spent_msat,
        "left_msat": left_msat(escrow),
        "spent_usd": usd_text(charged_pusd(spent_msat, escrow.quote.rate)),
        "max_fee_msat": task.max_fee_msat if task else 0,
        "runs": escrow.runs_made - 1,
        "busy": escrow.run.in_flight,
        "answered": escrow.answer_sha256 is not None,
        "expires_at": task.ends_at_ms // SECOND_MS if task else None,
        "url": f"{TASKS_PATH}/{escrow.escrow_id}",
    }
    if key is not None:
        document["key"] = key
    if escrow.failure is not None:
        document["error"] = {"code": escrow.failure.code, "message": escrow.failure.message}
    return document


def price_document(escrow: Escrow) -> dict[str, Any] | None:
    """The price of a closed task, taken apart; None before it is closed.

    `cost_usd` is what the upstream took for all runs, `service_fee_msat` what we add to it; with
    `cost_msat` and `seller_fee_msat` they add up. `provisional` says that records of
    `provisional_runs` costs had not come when it was priced.
    """
    if escrow.closing is None:
        return None
    price = escrow.price
    return {
        "cost_usd": usd_text(escrow.priced_pusd),
        "cost_msat": price.cost_msat,
        "service_fee_msat": price.credit_fee_msat + price.markup_msat,
        "seller_fee_msat": escrow.fee_msat,
        "total_msat": escrow.price_msat,
        "provisional": escrow.closing.provisional_runs > 0,
        "provisional_runs": escrow.closing.provisional_runs,
    }


def _ceiling(said: Mapping[str, Any]) -> MaxCost:
    sat, usd = said.get("ceiling_sat"), said.get("ceiling_usd")
    if (sat is None) == (usd is None):
        message = (
            'Say what the runs of the task may cost at most, in one unit: {"ceiling_sat": 500} or '
            '{"ceiling_usd": "0.05"}.'
        )
        raise RequestInvalid(message, param="ceiling_sat")
    if sat is not None:
        return MaxCost(msat=_whole("ceiling_sat", sat, least=1) * MSAT_PER_SAT)
    try:
        pusd = pusd_from_decimal(Decimal(str(usd)))
    except (ValueError, InvalidOperation):
        raise _wrong("ceiling_usd", 'must be an amount of USD above zero, as "0.05"') from None
    if pusd <= 0:
        raise _wrong("ceiling_usd", 'must be an amount of USD above zero, as "0.05"')
    return MaxCost(pusd=pusd)


def _title(said: object) -> str:
    if said is None:
        return ""
    title = outside.shown(said, most=TITLE_CHARS_MAX + 1).strip() if isinstance(said, str) else None
    if title is None or len(title) > TITLE_CHARS_MAX:
        raise _wrong("title", f"must be a text of at most {TITLE_CHARS_MAX} characters")
    return title


def _lasts(said: object) -> int:
    if said is None:
        return LASTS_S_DEFAULT
    return _whole("expires_in_s", said, least=LASTS_S_MIN, most=LASTS_S_MAX)


def _whole(name: str, said: object, *, least: int = 0, most: int = SAT_MAX) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not least <= said <= most:
        raise _wrong(name, f"must be a whole number from {least} to {most}")
    return said


def _wrong(name: str, what: str) -> RequestInvalid:
    return RequestInvalid(f"{name} {what}.", param=name)
