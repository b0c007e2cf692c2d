"""What a caller reads of its own: one generation, its key, credit and statement.

A credential names the caller, also one that was used before; without one the answer is 402, never
401, and says how to get one: reading makes no invoice. Shapes are OpenRouter's; amounts of USD are
exact numbers, amounts in statements texts.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import orjson

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.callers import CallerStanding, CapTerms
from cobot_meter.domain.errors import EscrowNotFound, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.money import ExchangeRate, pusd_from_msat, usd_text
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.flows.credit.caller_usage import PeriodUsage, key_periods
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.key_routes import limits_document
from cobot_meter.http_api.tasks.bodies import price_document
from cobot_meter.http_api.views import charged_usd, cobot_document, rate_document
from cobot_meter.ports.books import KeySpending
from cobot_meter.ports.ledger_reports import JournalEntry

_LABEL_CHARS = 16
# OpenRouter's words for what its own document calls deprecated.
_RATE_LIMIT = {"requests": -1, "interval": "10s", "note": "This field is deprecated."}
# What OpenRouter says of a generation and nobody here knows, or nobody else may.
_UNTOLD = (
    "upstream_inference_cost",
    "cache_discount",
    "native_tokens_completion_images",
    "native_tokens_reasoning",
    "native_tokens_cached",
    "num_media_prompt",
    "num_media_completion",
    "num_input_audio_prompt",
    "num_search_results",
    "num_fetches",
    "latency",
    "generation_time",
    "moderation_latency",
    "provider_responses",
    "router",
    "service_tier",
    "web_search_engine",
    "preset_id",
    "app_id",
    "http_referer",
    "user_agent",
    "external_user",
    "upstream_id",
    "workspace_id",
    "request_id",
    "session_id",
    "response_cache_source_id",
)


# What OpenRouter says of a key and is the same of every one here.
_OF_EVERY_KEY: dict[str, Any] = {
    **dict.fromkeys(
        ("byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"), 0
    ),
    "include_byok_in_limit": False,
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "expires_at": None,
    "creator_user_id": None,
    "organization_id": None,
    "workspace_id": None,
    "allowed_data_regions": ["global"],
    "budgets": [],
    "effective_budget": None,
    "free_model_daily_requests": {"limit": 0, "remaining": 0, "used": 0},
    "rate_limit": _RATE_LIMIT,
}


def generation_document(escrow: Escrow) -> dict[str, Any]:
    """One escrow as OpenRouter's record; what we do not know of the run is null.

    `total_cost` and `usage` are the price charged, of one on a panel what it alone comes to;
    `cobot` splits the price into cost, fee and rate.
    """
    run, summary = escrow.run, escrow.run.summary
    total = orjson.Fragment(_charged_for_run(escrow))
    created = dt.datetime.fromtimestamp(escrow.opened_at_ms // 1_000, tz=dt.UTC)
    prompt, completion = (summary.prompt_tokens, summary.completion_tokens) if summary else (0, 0)
    finish_reason = summary.finish_reason if summary else None
    return {
        **dict.fromkeys(_UNTOLD),
        "id": run.generation_id,
        "created_at": created.isoformat(timespec="seconds"),
        "model": (run.cost.model if run.cost else "") or escrow.model,
        "total_cost": total,
        "usage": total,
        "is_byok": False,
        "streamed": escrow.stream,
        "cancelled": False,
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
        "tokens_prompt": prompt,
        "tokens_completion": completion,
        "native_tokens_prompt": prompt,
        "native_tokens_completion": completion,
        "provider_name": (run.cost.provider or None) if run.cost else None,
        "api_type": "completions",
        "data_region": "global",
        "origin": "",
        "cobot": {**cobot_document(escrow), "state": escrow.progress},
    }


def _charged_for_run(escrow: Escrow) -> str:
    """In USD; nothing for a member of a panel that failed, and before the panel is priced."""
    if escrow.mode is not Mode.PANEL:
        return charged_usd(escrow)
    billed = escrow.run.has_answered and escrow.closing is not None
    price_msat = escrow.price_of_run(escrow.cost_pusd).price_msat if billed else 0
    return usd_text(charged_pusd(price_msat, escrow.quote.rate))


def key_document(
    standing: CallerStanding, used: PeriodUsage, rate: ExchangeRate, terms: CapTerms
) -> dict[str, Any]:
    """The caller's own credential as OpenRouter's key, amounts in USD at the last known rate.

    `limit` is what may be open and unpaid, not what may be spent: paying makes room again.
    """
    cap_msat = standing.cap_msat(terms)
    free_msat = max(cap_msat - standing.open_msat, 0)
    usage_msat = standing.spent_credit_msat + standing.settled_msat
    return {
        "label": f"{standing.caller_id[:_LABEL_CHARS]}...",
        "limit": _usd_of(cap_msat, rate),
        "limit_remaining": _usd_of(free_msat, rate),
        "limit_reset": None,
        "usage": _usd_of(usage_msat, rate),
        "usage_daily": _usd_of(used.daily_msat, rate),
        "usage_weekly": _usd_of(used.weekly_msat, rate),
        "usage_monthly": _usd_of(used.monthly_msat, rate),
        **_OF_EVERY_KEY,
        "cobot": {
            "caller_id": standing.caller_id,
            "cap_msat": cap_msat,
            "open_msat": standing.open_msat,
            "available_msat": standing.available_msat,
            "usage_msat": usage_msat,
            "usage_daily_msat": used.daily_msat,
            "usage_weekly_msat": used.weekly_msat,
            "usage_monthly_msat": used.monthly_msat,
            "key": None,
            "rate": rate_document(rate),
        },
    }


def api_key_as_openrouter(
    key: ApiKey,
    spending: KeySpending,
    used: PeriodUsage,
    standing: CallerStanding,
    rate: ExchangeRate,
) -> dict[str, Any]:
    """One API key as OpenRouter has keys: what it may still spend, and what it has spent.

    Of two limits the one that leaves less is shown, as the one of a day where it is that.
    """
    today = used.daily_msat + spending.reserved_msat
    taken = spending.spent_msat + spending.reserved_msat
    limits = [
        (limit - taken_msat, limit, reset)
        for limit, taken_msat, reset in (
            (key.limits.limit_msat, taken, None),
            (key.limits.day_limit_msat, today, "daily"),
        )
        if limit is not None
    ]
    left, limit, reset = min(limits, key=lambda one: one[0]) if limits else (None, None, None)
    return {
        "label": key.hint,
        "limit": None if limit is None else _usd_of(limit, rate),
        "limit_remaining": None if left is None else _usd_of(max(left, 0), rate),
        "limit_reset": reset,
        "usage": _usd_of(spending.spent_msat, rate),
        "usage_daily": _usd_of(used.daily_msat, rate),
        "usage_weekly": _usd_of(used.weekly_msat, rate),
        "usage_monthly": _usd_of(used.monthly_msat, rate),
        **_OF_EVERY_KEY,
        "cobot": {
            "caller_id": standing.caller_id,
            "available_msat": standing.available_msat,
            "usage_msat": spending.spent_msat,
            "usage_daily_msat": used.daily_msat,
            "usage_weekly_msat": used.weekly_msat,
            "usage_monthly_msat": used.monthly_msat,
            "key": {
                "id": key.key_id,
                "name": key.name,
                **limits_document(key.limits),
                "spent_msat": spending.spent_msat,
                "reserved_msat": spending.reserved_msat,
                "spent_today_msat": used.daily_msat,
            },
            "rate": rate_document(rate),
        },
    }


def _usd_of(msat: int, rate: ExchangeRate) -> orjson.Fragment:
    return orjson.Fragment(usd_text(pusd_from_msat(msat, rate)))


GENERATION_PATH = "/v1/generation"
KEY_PATH = "/v1/key"
CREDITS_PATH = "/v1/credits"
LEDGER_PATH = "/v1/ledger"
_SELLER = "seller_id"
# Where a seller's own lines say what the task was sold for.
_PRICED = frozenset({"task_closed", "completion_delivered"})
OK = 200
STATEMENT_ROWS = 50
STATEMENT_ROWS_MAX = 200
GENERATION_ID_MAX = 200
_INTEGER = re.compile(r"[0-9]{1,18}")
_AMOUNT_NAMES = ("_msat", "_pusd")


class CallerRoutes:
    """The four routes."""

    def __init__(self, *, parts: FaceParts, askers: Askers) -> None:
        """`askers` reads credentials and offers a top-up to those without."""
        self._parts = parts
        self._askers = askers

    async def generation(self, request: HttpRequest) -> PlainAnswer:
        """OpenRouter's record of one generation; `total_cost` is the price charged."""
        asker = await self._askers.caller(request)
        generation_id = request.query_field("id")
        if not generation_id or len(generation_id) > GENERATION_ID_MAX:
            message = "id must be the generation id of a completion of yours."
            raise RequestInvalid(message, param="id")
        escrow = await self._parts.books.escrow_of_generation(asker.caller_id, generation_id)
        if escrow is None or (asker.key is not None and escrow.key_id != asker.key.key_id):
            message = "There is no such generation, or it is not yours."
            raise EscrowNotFound(message)
        if escrow.run.cost is None and escrow.state is not EscrowState.FAILED:
            message = "What this generation costs is not known yet; ask again in a moment."
            raise EscrowNotFound(message)
        return json_answer(OK, {"data": generation_document(escrow)}, (PRIVATE,))

    async def key(self, request: HttpRequest) -> PlainAnswer:
        """What OpenRouter says of a key: of an API key, or of the caller that a proof names."""
        asker = await self._askers.caller(request)
        standing = await self._parts.books.standing(asker.caller_id)
        rate = self._parts.rates.shown()
        if asker.key is not None:
            spending = await self._parts.books.key_spending(asker.key.key_id)
            used = key_periods(spending, now_ms=self._parts.clock.now_ms())
            document = api_key_as_openrouter(asker.key, spending, used, standing, rate)
        else:
            used = await self._parts.caller_usage.of(asker.caller_id)
            document = key_document(standing, used, rate, self._parts.exposure.cap)
        return json_answer(OK, {"data": document}, (PRIVATE,))

    async def credits(self, request: HttpRequest) -> PlainAnswer:
        """OpenRouter's totals in USD at the last known rate, and the ledger's figures in msat."""
        caller_id = (await self._askers.caller(request)).caller_id
        standing = await self._parts.books.standing(caller_id)
        rate = self._parts.rates.shown()
        usage_msat = standing.spent_credit_msat + standing.settled_msat
        held_msat = standing.credited_msat - standing.spent_credit_msat
        usage_pusd = pusd_from_msat(usage_msat, rate)
        document = {
            "data": {
                "total_credits": _usd(usage_pusd + pusd_from_msat(held_msat, rate)),
                "total_usage": _usd(usage_pusd),
            },
            "cobot": {
                "caller_id": caller_id,
                "available_msat": standing.available_msat,
                "reserved_msat": held_msat - standing.available_msat,
                "credited_msat": standing.credited_msat,
                "spent_credit_msat": standing.spent_credit_msat,
                "paid_by_invoice_msat": standing.settled_msat,
                "open_msat": standing.open_msat,
                "lapsed_msat": standing.lapsed_msat,
                "cap_msat": standing.cap_msat(self._parts.exposure.cap),
                "rate": rate_document(rate),
            },
        }
        return json_answer(OK, document, (PRIVATE,))

    async def ledger(self, request: HttpRequest) -> PlainAnswer:
        """The statement, newest first: `before` a sequence, at most `limit` entries."""
        caller_id = (await self._askers.caller(request)).caller_id
        limit = _integer(request, "limit", STATEMENT_ROWS, STATEMENT_ROWS_MAX)
        before = _integer(request, "before", None, None)
        rows = limit or 0
        entries = await self._parts.reports.statement(caller_id, before=before, limit=rows)
        tasks: tuple[Escrow, ...] = ()
        if any(entry.seller_id == caller_id for entry in entries):
            tasks = await self._parts.reports.sold_tasks(caller_id, before=before, limit=rows)
        prices = {task.escrow_id: price_document(task) for task in tasks}
        full = len(entries) == limit
        document = {
            "object": "list",
            "caller_id": caller_id,
            "data": [
                {**entry_document(entry, caller_id), **_sold(entry, caller_id, prices)}
                for entry in entries
            ],
            "next_before": entries[-1].sequence if full else None,
        }
        return json_answer(OK, document, (PRIVATE,))


def entry_document(entry: JournalEntry, caller_id: str) -> dict[str, Any]:
    """One journal row; amounts are texts, because not every reader has integers of 64 bits.

    Who sells the task that a buyer pays for is not said: its accounts are called `seller`, and to
    that seller the buyer's are called `buyer`.
    """
    sells = entry.seller_id == caller_id
    other = "buyer" if sells else "seller"
    return {
        "sequence": entry.sequence,
        "key": entry.key,
        "kind": entry.kind,
        "subject_id": entry.subject_id,
        "at_ms": entry.at_ms,
        "facts": {
            name: _fact(name, value)
            for name, value in entry.facts.items()
            if sells or name != _SELLER
        },
        "transfers": [
            {
                "kind": transfer.kind,
                "debit": _account(transfer.debit, caller_id, other),
                "credit": _account(transfer.credit, caller_id, other),
                "commodity": transfer.commodity,
                "amount": str(transfer.amount),
                "hold_id": transfer.hold_id,
                "held": str(transfer.held),
            }
            for transfer in entry.transfers
        ],
    }


def _sold(
    entry: JournalEntry, caller_id: str, prices: Mapping[str, dict[str, Any] | None]
) -> dict[str, Any]:
    """The price of a task taken apart, in the seller's lines of its closing and of its end."""
    price = prices.get(entry.subject_id)
    if entry.kind not in _PRICED or entry.seller_id != caller_id or price is None:
        return {}
    return {"task": {"id": entry.subject_id, **price}}


def _account(code: str, caller_id: str, other: str) -> str:
    """The account's code; without the name of any other caller."""
    kind, _, rest = code.partition("/")
    owner, _, what = rest.partition("/")
    return code if kind != "caller" or owner == caller_id else f"caller/{other}/{what}"


def _fact(name: str, value: str | int | None) -> str | int | None:
    return str(value) if isinstance(value, int) and name.endswith(_AMOUNT_NAMES) else value


def _usd(pusd: int) -> orjson.Fragment:
    return orjson.Fragment(usd_text(pusd))


def _integer(
    request: HttpRequest, name: str, default: int | None, at_most: int | None
) -> int | None:
    text = request.query_field(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= (at_most or int(text)):
        upper = f" to {at_most}" if at_most else ""
        message = f"{name} must be a whole number from 1{upper}."
        raise RequestInvalid(message, param=name)
    return int(text)
