"""What a caller reads of its own: one generation, its key, credit and statement.

A credential names the caller, also one that was used before; without one the answer is
402, never 401, and says how to get one: reading makes no invoice. Amounts of USD are exact numbers,
amounts in statements texts. Must not know: other callers.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from service.domain.errors import EscrowNotFound, RequestInvalid
from service.domain.escrow_record import EscrowState
from service.domain.money import pusd_from_msat, usd_text
from service.http_api.account_documents import generation_document, key_document
from service.http_api.asgi_io import HttpRequest
from service.http_api.askers import Askers
from service.http_api.chat_answers import PRIVATE
from service.http_api.escrow_documents import rate_document
from service.http_api.face_parts import FaceParts
from service.http_api.plain_answers import PlainAnswer, json_answer
from service.ports.ledger_reports import JournalEntry

GENERATION_PATH = "/v1/generation"
KEY_PATH = "/v1/key"
CREDITS_PATH = "/v1/credits"
LEDGER_PATH = "/v1/ledger"
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
        caller_id = self._askers.caller(request)
        generation_id = request.query_field("id")
        if not generation_id or len(generation_id) > GENERATION_ID_MAX:
            message = "id must be the generation id of a completion of yours."
            raise RequestInvalid(message, param="id")
        escrow = await self._parts.books.escrow_of_generation(caller_id, generation_id)
        if escrow is None:
            message = "There is no such generation, or it is not yours."
            raise EscrowNotFound(message)
        if escrow.cost is None and escrow.state is not EscrowState.FAILED:
            message = "What this generation costs is not known yet; ask again in a moment."
            raise EscrowNotFound(message)
        return json_answer(OK, {"data": generation_document(escrow)}, (PRIVATE,))

    async def key(self, request: HttpRequest) -> PlainAnswer:
        """What OpenRouter says of a key, said of the caller: limit, usage, usage by period."""
        caller_id = self._askers.caller(request)
        standing = await self._parts.books.standing(caller_id)
        used = await self._parts.usage.of(caller_id)
        rate = self._parts.rates.shown()
        document = key_document(standing, used, rate, self._parts.exposure.cap)
        return json_answer(OK, {"data": document}, (PRIVATE,))

    async def credits(self, request: HttpRequest) -> PlainAnswer:
        """OpenRouter's totals in USD at the last known rate, and the ledger's figures in msat."""
        caller_id = self._askers.caller(request)
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
        caller_id = self._askers.caller(request)
        limit = _integer(request, "limit", STATEMENT_ROWS, STATEMENT_ROWS_MAX)
        before = _integer(request, "before", None, None)
        entries = await self._parts.reports.statement(caller_id, before=before, limit=limit or 0)
        full = len(entries) == limit
        document = {
            "object": "list",
            "caller_id": caller_id,
            "data": [entry_document(entry) for entry in entries],
            "next_before": entries[-1].sequence if full else None,
        }
        return json_answer(OK, document, (PRIVATE,))


def entry_document(entry: JournalEntry) -> dict[str, Any]:
    """One journal row; amounts are texts, because not every reader has integers of 64 bits."""
    return {
        "sequence": entry.sequence,
        "key": entry.key,
        "kind": entry.kind,
        "subject_id": entry.subject_id,
        "at_ms": entry.at_ms,
        "facts": {name: _fact(name, value) for name, value in entry.facts.items()},
        "transfers": [
            {
                "kind": transfer.kind,
                "debit": transfer.debit,
                "credit": transfer.credit,
                "commodity": transfer.commodity,
                "amount": str(transfer.amount),
                "hold_id": transfer.hold_id,
                "held": str(transfer.held),
            }
            for transfer in entry.transfers
        ],
    }


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
