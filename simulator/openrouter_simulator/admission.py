"""Before a run: the body is read, the limits are held, a model and an endpoint are found.

What is refused here costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import orjson

from openrouter_simulator.account import Account
from openrouter_simulator.answers.response_cache import TTL_MAX_S, TTL_S
from openrouter_simulator.error_answers import STATUS_FAULTS, OrderRefused, refusal_named, refused
from openrouter_simulator.routing.asks import Ask, ask_from
from openrouter_simulator.routing.endpoints import endpoints_of
from openrouter_simulator.routing.routing import Order, Wanted, order_of, wanted_model

FAULT_HEADER = b"x-simulator-fault"
_CACHE = b"x-openrouter-cache"
_DEARER = Decimal(2)
_BILL_FAULTS = frozenset({"byok", "cache_write", "cached_prompt", "response_cache_hit"}) | {
    "multi_generation",
    "server_tool_surcharge",
    "zero_cost_confirmed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A chat POST as it came."""

    body: bytes
    headers: Mapping[bytes, bytes]

    @property
    def cached(self) -> bool:
        """Whether the response cache was asked for."""
        return self._says(_CACHE, b"true")

    @property
    def cache_ttl_s(self) -> int:
        """How long an answer is to be kept."""
        text = self.headers.get(b"x-openrouter-cache-ttl", b"")
        return min(max(1, int(text)), TTL_MAX_S) if text.isdigit() else TTL_S

    @property
    def clears(self) -> bool:
        """Whether the answer kept is to be forgotten first."""
        return self._says(b"x-openrouter-cache-clear", b"true")

    @property
    def shows_routing(self) -> bool:
        """Whether the answer is to tell how it was routed."""
        return self._says(b"x-openrouter-metadata", b"enabled")

    def _says(self, name: bytes, value: bytes) -> bool:
        return self.headers.get(name, b"").lower() == value


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What will run. Without an order the connection is cut before anything does."""

    order: Order | None
    faults: frozenset[str]
    source_id: str | None = None


@dataclass(slots=True)
class _Admission:
    """One POST on its way to an order."""

    account: Account
    posted: Posted
    document: Mapping[str, object]
    failed: list[Mapping[str, object]] = field(default_factory=list)

    def admit(self, first: frozenset[str]) -> Admitted:
        """The first model that does not fail answers. Raises OrderRefused."""
        ask = ask_from(self.document, routing_shown=self.posted.shows_routing)
        wanted = [wanted_model(self.account.models, name) for name in ask.models]
        for number, model in enumerate(wanted):
            plan = self.account.faults
            faults = plan.later(model.model.model_id) if number else first
            if "reset_before_run" in faults:
                return Admitted(order=None, faults=faults)
            try:
                order = self._order(ask, model, faults)
            except OrderRefused as stopped:
                self._failed(stopped, model, last=number == len(wanted) - 1)
                continue
            if self.failed:
                order = replace(order, tried=(*self.failed, *order.tried))
            return self._admitted(order, faults)
        raise refused(400, "no model was asked for")

    def _order(self, ask: Ask, wanted: Wanted, faults: frozenset[str]) -> Order:
        account = self.account
        now_ms = account.clock.now_ms()
        for name in faults & STATUS_FAULTS.keys():
            raise OrderRefused(refusal_named(name, now_ms=now_ms))
        account.limits.check_key(account.book, now_ms)
        order = order_of(
            ask,
            wanted,
            provider=self.document.get("provider"),
            outages=account.outages,
            now_ms=now_ms,
            factor=_DEARER if "price_rise" in faults else Decimal(1),
            chance=account.spreading,
        )
        _check_balance(account, order)
        if wanted.model.free:
            account.limits.count_free(now_ms)
        return order

    def _failed(self, stopped: OrderRefused, wanted: Wanted, *, last: bool) -> None:
        """Remember why this model did not answer. Raises OrderRefused when it was the last."""
        answer = stopped.answer
        if answer.of_account or last:
            if not self.failed:
                raise stopped
            metadata = {**answer.metadata, "previous_errors": list(self.failed)}
            raise OrderRefused(replace(answer, metadata=metadata))
        self.failed.append(
            {
                "provider": wanted.model.provider,
                "model": wanted.model.slug,
                "code": answer.status,
                "status": answer.status,
                "message": answer.message,
            }
        )

    def _admitted(self, order: Order, faults: frozenset[str]) -> Admitted:
        if not self.posted.cached or faults & _BILL_FAULTS:
            return Admitted(order=order, faults=faults)
        cache, body = self.account.cache, self.posted.body
        if self.posted.clears:
            cache.forget(body)
        source_id = cache.source_of(body, self.account.clock.now_ms())
        if source_id is None:
            return Admitted(order=order, faults=faults)
        return Admitted(order=order, faults=faults | {"response_cache_hit"}, source_id=source_id)


def admitted(account: Account, posted: Posted) -> Admitted:
    """The order a POST leads to, and the faults of its run. Raises OrderRefused."""
    document = _json_object(posted.body)
    asked = posted.headers.get(FAULT_HEADER, b"").decode("ascii", "replace")
    try:
        first = account.faults.first(_first_model(document), asked)
    except ValueError as wrong:
        raise refused(400, f"X-Simulator-Fault: {wrong}") from None
    if "reset_before_run" in first:
        return Admitted(order=None, faults=first)
    if not document.get("models"):
        for name in first & STATUS_FAULTS.keys():
            raise OrderRefused(refusal_named(name, now_ms=account.clock.now_ms()))
    return _Admission(account, posted, document).admit(first)


def _check_balance(account: Account, order: Order) -> None:
    """OpenRouter wants the whole reservation to be there before it runs anything."""
    balance = account.book.balance_usd
    if balance <= 0:
        raise OrderRefused(STATUS_FAULTS["status_402"])
    if order.reserved_usd > balance:
        price = order.prices.completion
        each = {"code": 402, "status": 402}
        raise refused(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to "
            f"{order.max_tokens} tokens, but can only afford {int(balance / price) if price else 0}"
            ". To increase, visit https://openrouter.ai/settings/credits and add more credits",
            provider_name=None,
            previous_errors=[
                {"provider": one.provider, **each} for one in endpoints_of(order.model)
            ],
        )


def _first_model(document: Mapping[str, object]) -> str:
    listed = document.get("models")
    if document.get("model") is None and isinstance(listed, list) and listed:
        return str(listed[0])
    return str(document.get("model"))


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise refused(400, "Invalid JSON body")
    return document
