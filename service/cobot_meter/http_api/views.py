"""An escrow and its completion as callers read them.

Amounts in USD are exact decimal texts, amounts in bitcoin integers of msat, and both add up:
upstream + fee = price, and upstream + credit fee + markup = price = credit used + what was due. In
a completion `usage.cost` is what the caller pays, not what we paid. Must not know: headers, tokens
or who may read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from cobot_meter.domain import outside
from cobot_meter.domain.consensus.panel import PanelKind, read_panel
from cobot_meter.domain.errors import Broken
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.money import ExchangeRate, btc_usd_text, sat_of, usd_text
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.domain.privacy.tiers import kept_privacy
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.run.record import CostStanding, Run
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.answer.panel_answer import CONSENSUS_MEMBER
from cobot_meter.http_api.route_view import route_members, run_route_members

ESCROWS_PATH = "/v1/escrows"
TOPUPS_PATH = "/v1/topups"
TASKS_PATH = "/v1/tasks"
# Said to be near where less than one in so many parts of a task's ceiling is left.
_NEAR = 5
# Of the `cobot` object: another one where a member comes to mean something else.
COBOT_VERSION = 1
NOTHING_BESIDE: Mapping[str, Any] = MappingProxyType({})
_SERVED_AS = {
    PrivacyTier.PUBLIC: "plain",
    PrivacyTier.ZDR: "zdr",
    PrivacyTier.LOCAL: "private",
}
_SOURCES = {
    CostStanding.PROVISIONAL: "the answer's usage",
    CostStanding.CONFIRMED: "the upstream's record",
}


def escrow_path(escrow_id: str) -> str:
    """The path at which the state of an escrow is read."""
    return f"{ESCROWS_PATH}/{escrow_id}"


def completion_path(escrow_id: str) -> str:
    """The path at which the completion of an escrow is claimed."""
    return f"{ESCROWS_PATH}/{escrow_id}/completion"


def escrow_document(escrow: Escrow, *, public_url: str) -> dict[str, Any]:
    """The whole escrow. `usage` and `cost` are null while unknown, `expires_at` is Unix seconds."""
    return {
        "id": escrow.escrow_id,
        "mode": escrow.mode.value,
        "state": escrow.progress.value,
        "request_sha256": escrow.ask.request_sha256,
        "model": sold_model(escrow),
        "max_tokens": escrow.quote.max_tokens,
        "fallback": fallback_document(escrow),
        "usage": usage_document(escrow),
        "cost": cost_document(escrow),
        "expires_at": escrow.invoice.expires_at_s if escrow.invoice else None,
        "status_url": f"{public_url}{escrow_path(escrow.escrow_id)}",
    }


def sold_model(escrow: Escrow) -> str:
    """The model that has answered; of a panel the name under which all of it was asked for."""
    return escrow.quote.model if escrow.mode is Mode.PANEL else escrow.model


def topup_path(topup_id: str) -> str:
    """The path at which the state of a top-up is read."""
    return f"{TOPUPS_PATH}/{topup_id}"


def topup_document(topup: Topup, *, public_url: str) -> dict[str, Any]:
    """The whole top-up but for its token; `expires_at` is Unix seconds."""
    return {
        "id": topup.topup_id,
        "object": "topup",
        "state": topup.state.value,
        "amount_sat": sat_of(topup.amount_msat),
        "amount_msat": topup.amount_msat,
        "paid_msat": topup.paid_msat,
        "invoice": topup.payment_request or None,
        "payment_hash": topup.payment_hash,
        "expires_at": topup.expires_at_s or None,
        "status_url": f"{public_url}{topup_path(topup.topup_id)}",
    }


def fallback_document(escrow: Escrow) -> dict[str, str] | None:
    """Which model was asked for and why it is another one; None where it is the one asked for."""
    fallback = escrow.fallback_now
    if fallback is None:
        return None
    return {"asked_model": fallback.asked_model, "reason": fallback.reason}


def attempts_document(escrow: Escrow) -> list[dict[str, Any]]:
    """Every run that was asked, in their order, with what each cost; of a sale with all its runs.

    What is `billed` is in the price, and adds up to its upstream part.
    """
    asked = (run for run in escrow.runs if run.state is not RunState.IDLE)
    return [
        attempt_document(escrow, run, number=number) for number, run in enumerate(asked, start=1)
    ]


def attempt_document(escrow: Escrow, run: Run, *, number: int) -> dict[str, Any]:
    """One run of the sale: who was asked, what came of it and what that cost, null while unknown.

    `status` is `ok`, an error's code, or how far it is. `latency_ms` is from its opening to its
    whole answer. `cost_usd` is exact, and what is known by now: a record that came after the price
    changes it, and not the price.
    """
    summary, cost, failed = run.summary, run.cost, run.failure
    status = "ok" if run.has_answered else run.state.value
    return {
        "n": number,
        "upstream": run.upstream,
        "provider": (cost.provider or None) if cost else None,
        "model": escrow.seen_from(run.run_id).model,
        "generation_id": outside.identifier(run.generation_id),  # older books may hold anything
        "status": failed.code if failed else status,
        "latency_ms": summary.completed_at_ms - run.opened_at_ms if summary else None,
        "cost_usd": usd_text(run.cost_pusd) if cost else None,
        "standing": cost.standing.value if cost else None,
        "billed": run.has_answered and escrow.failure is None and run in escrow.sold_runs,
        **run_route_members(run),
    }


def usage_document(escrow: Escrow) -> dict[str, int] | None:
    """Token counts in OpenAI's shape; None before the run has ended, and of many runs."""
    return None if escrow.sells_several else usage_of_run(escrow)


def usage_of_run(escrow: Escrow) -> dict[str, int] | None:
    """Token counts of its run in OpenAI's shape; None before that has ended."""
    summary = escrow.run.summary
    if summary is None:
        return None
    return {
        "prompt_tokens": summary.prompt_tokens,
        "completion_tokens": summary.completion_tokens,
        "total_tokens": summary.prompt_tokens + summary.completion_tokens,
    }


def cost_document(escrow: Escrow) -> dict[str, Any] | None:
    """The price taken apart; None before it is fixed.

    `standing` says what `upstream_usd` was when the price was fixed or has since become; a record
    that differed afterwards is shown as `confirmed_usd` and changes no price.
    """
    if escrow.sells_several:
        return sum_cost_document(escrow)
    cost = escrow.run.cost
    if cost is None or escrow.run.summary is None:
        return None
    price, quote = escrow.price, escrow.quote
    price_pusd = charged_pusd(escrow.price_msat, quote.rate)
    amount_msat = escrow.invoice.amount_msat if escrow.invoice else 0
    document: dict[str, Any] = {
        "standing": cost.standing.value,
        "source": _SOURCES[cost.standing],
        "generation_id": escrow.run.generation_id,
        "served_model": cost.model or None,
        "provider": cost.provider or None,
        "record_sha256": cost.record_sha256 or None,
        "upstream_usd": usd_text(escrow.priced_pusd),
        "fee_usd": usd_text(price_pusd - escrow.priced_pusd),
        "price_usd": usd_text(price_pusd),
        "upstream_msat": price.cost_msat,
        "credit_fee_msat": price.credit_fee_msat,
        "markup_msat": price.markup_msat,
        "price_msat": escrow.price_msat,
        "credit_used_msat": escrow.credit_used_msat,
        "amount_msat": amount_msat,
        "rounding_msat": amount_msat - escrow.due_msat if amount_msat else 0,
        "credit_fee_bps": quote.terms.credit_fee_bps,
        "markup_bps": quote.terms.markup_bps,
        "rate": rate_document(quote.rate),
    }
    if cost.standing is CostStanding.CONFIRMED and cost.cost_pusd != escrow.priced_pusd:
        document["confirmed_usd"] = usd_text(cost.cost_pusd)
    return document


def sum_cost_document(escrow: Escrow) -> dict[str, Any] | None:
    """The price of several runs taken apart, of a task with its seller's fee; None before that."""
    closing, price, quote = escrow.closing, escrow.price, escrow.quote
    if closing is None:
        return None
    standing = CostStanding.PROVISIONAL if closing.provisional_runs else CostStanding.CONFIRMED
    ours_pusd = charged_pusd(price.price_msat, quote.rate)
    amount_msat = escrow.invoice.amount_msat if escrow.invoice else 0
    return {
        "standing": standing.value,
        "source": _SOURCES[standing],
        "runs": escrow.runs_made - (1 if escrow.task else 0),
        "upstream_usd": usd_text(escrow.priced_pusd),
        "fee_usd": usd_text(ours_pusd - min(escrow.priced_pusd, ours_pusd)),
        "price_usd": usd_text(charged_pusd(escrow.price_msat, quote.rate)),
        "upstream_msat": price.cost_msat,
        "credit_fee_msat": price.credit_fee_msat,
        "markup_msat": price.markup_msat,
        **({"seller_fee_msat": escrow.fee_msat} if escrow.task else {}),
        "price_msat": escrow.price_msat,
        "credit_used_msat": escrow.credit_used_msat,
        "amount_msat": amount_msat,
        "rounding_msat": amount_msat - escrow.due_msat if amount_msat else 0,
        "credit_fee_bps": quote.terms.credit_fee_bps,
        "markup_bps": quote.terms.markup_bps,
        "rate": rate_document(quote.rate),
    }


def rate_document(rate: ExchangeRate) -> dict[str, Any]:
    """A rate with who said it, and when."""
    return {
        "btc_usd": btc_usd_text(rate),
        "source": rate.source,
        "fetched_at_ms": rate.fetched_at_ms,
    }


# What the upstream says about its own charge; ours stands in `cost` and `cobot`.
_UPSTREAM_ONLY = ("cost", "cost_details", "is_byok")


def completion_document(
    escrow: Escrow, body: bytes, beside: Mapping[str, Any] = NOTHING_BESIDE
) -> dict[str, Any]:
    """The `chat.completion` in `body` with our `usage.cost` and `cobot`, what is `beside` too.

    Numbers of money are exact (`orjson.Fragment`). Raises Broken for a body that is none.
    """
    document = _read(body)
    usage = document.get("usage")
    document["usage"] = {
        **(usage_document(escrow) or {}),
        **(usage if isinstance(usage, dict) else {}),
    }
    for name in _UPSTREAM_ONLY:
        document["usage"].pop(name, None)
    document["usage"]["cost"] = orjson.Fragment(charged_usd(escrow))
    document.setdefault("system_fingerprint", None)  # OpenRouter's SDK takes no answer without it
    report = document.pop(CONSENSUS_MEMBER, None)
    document["cobot"] = cobot_document(escrow, beside)
    if escrow.mode is Mode.PANEL:
        document["cobot"][served_as(escrow)] = report
    return document


def run_document(escrow: Escrow, body: bytes, *, left_msat: int) -> dict[str, Any]:
    """The `chat.completion` of one run of a task, with our price of that run alone.

    While nobody knows what it cost, `usage.cost` is null. Raises Broken for a body that is none.
    """
    document = _read(body)
    usage = document.get("usage")
    document["usage"] = {
        **(usage_of_run(escrow) or {}),
        **(usage if isinstance(usage, dict) else {}),
    }
    for name in _UPSTREAM_ONLY:
        document["usage"].pop(name, None)
    cost = escrow.run.cost
    document["usage"]["cost"] = cost and orjson.Fragment(
        usd_text(charged_pusd(escrow.price_of_run(cost.cost_pusd).price_msat, escrow.quote.rate))
    )
    document.setdefault("system_fingerprint", None)
    document["cobot"] = {
        "v": COBOT_VERSION,
        "escrow_id": escrow.escrow_id,
        "mode": escrow.mode.value,
        "served_as": served_as(escrow),
        "model": escrow.model,
        "attempts": [attempt_document(escrow, escrow.run, number=escrow.run.number - 1)],
        "task": {
            "id": escrow.escrow_id,
            "spent_msat": escrow.price.price_msat,
            "left_msat": left_msat,
            "near": left_msat * _NEAR < escrow.quote.ceiling_msat,
        },
    }
    return document


def cobot_document(escrow: Escrow, beside: Mapping[str, Any] = NOTHING_BESIDE) -> dict[str, Any]:
    """How one completion came about and what it cost its caller, part by part, null while unknown.

    The same in the 402 before payment, in the answer and where that is fetched later. `attempts`
    are there where every run of the sale is at hand, and never of a task: they are its seller's to
    see. `beside` is what the sale's row does not say: its privacy, and how its budgets stand.
    """
    document = {
        "v": COBOT_VERSION,
        "escrow_id": escrow.escrow_id,
        "mode": escrow.mode.value,
        "served_as": served_as(escrow),
        "model": sold_model(escrow),
        "max_tokens": escrow.quote.max_tokens,
        "fallback": fallback_document(escrow),
        **route_members(escrow),
    }
    if escrow.task is None and len(escrow.runs) == escrow.runs_made:
        document["attempts"] = attempts_document(escrow)
    return {
        **document,
        "cost": cost_document(escrow),
        "paid_msat": escrow.paid_msat,
        "credited_msat": credited_msat(escrow),
        "overrun_msat": escrow.price.overrun_msat if escrow.run.cost or escrow.sells_several else 0,
        **beside,
    }


def served_as(escrow: Escrow) -> str:
    """What of ours the request was: `plain` where the caller's own model was asked as it came."""
    if escrow.task is not None:
        return "task"
    if escrow.mode is Mode.PANEL:
        return "verify" if read_panel(escrow.route).kind is PanelKind.VERIFY else "consensus"
    if escrow.route is not None:
        return "auto"
    kept = kept_privacy(escrow.privacy)
    return _SERVED_AS[kept.tier] if kept else "plain"


def credited_msat(escrow: Escrow) -> int:
    """What was paid beyond what was due (rounding, overpayment): the caller's credit."""
    return max(escrow.paid_msat - escrow.due_msat, 0) if escrow.paid_msat else 0


def charged_usd(escrow: Escrow) -> str:
    """The price in USD as an exact decimal text."""
    return usd_text(charged_pusd(escrow.price_msat, escrow.quote.rate))


def is_readable(body: bytes) -> bool:
    """Whether a stored completion can be written as an answer, whole or as events."""
    try:
        orjson.dumps(_read(body))
    except (Broken, TypeError, RecursionError):
        return False
    return True


def _read(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = orjson.loads(_mended(body))
    if not isinstance(document, dict):
        raise Broken("a stored completion is not a JSON object")
    return document


def _mended(body: bytes) -> bytes:
    """A stored body's JSON without what upstreams write and orjson refuses. Raises Broken.

    Those are halves of emoji, and numbers that are none (`1e400`, `NaN`), which become null.
    """
    try:
        document = json.loads(body, parse_float=_finite, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise Broken("a stored completion is not JSON") from None
    return orjson.dumps(outside.value(document))


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
