"""Control over the simulator under `/control`: faults, timing, prices, limits, outages, the book.

Must not know: OpenRouter's API. Amounts here are texts, so that no reader makes floats of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from openrouter_simulator.account import Account
from openrouter_simulator.book.credit_book import Generation
from openrouter_simulator.book.limits import RESETS
from openrouter_simulator.control_body import (
    ControlInvalid,
    amount_in,
    count_in,
    json_object,
    known_fields,
    names_in,
    object_in,
)
from openrouter_simulator.faults.fault_table import FAULTS, fault_names
from openrouter_simulator.routing.endpoints import endpoints_of
from openrouter_simulator.routing.prices import PRICE_NAMES, override_from, price_from
from openrouter_simulator.timing import LAG_LAWS

_SECONDS_MAX = 3_600
_SEE = "the names are in GET /control/faults"
_TIMES = ("lag_s", "latency_s", "chunk_s", "hang_s")


def read_control(account: Account, path: str) -> dict[str, object] | None:
    """Answer a GET below `/control`; None for an unknown path."""
    read = _READS.get(path)
    return read(account) if read else None


def write_control(account: Account, path: str, body: bytes) -> dict[str, object] | None:
    """Do a POST below `/control`; None for an unknown path. Raises ControlInvalid."""
    write = _WRITES.get(path)
    return write(account, json_object(body)) if write else None


def book_document(account: Account) -> dict[str, object]:
    """Every generation with its cost, the POST count, and a balance that has been added up."""
    book = account.book
    book.verify()
    book.verify_posts()
    return {
        "credit_usd": format(book.credit_usd, "f"),
        "balance_usd": format(book.balance_usd, "f"),
        "spent_usd": format(book.spent_usd, "f"),
        "posts": book.posts,
        "refused": book.refused,
        "open": book.open,
        "runs": book.runs,
        "beside": book.beside,
        "lookups": book.lookups,
        "generations": [_generation_row(generation) for generation in book.generations],
    }


def _faults_document(account: Account) -> dict[str, object]:
    plan = account.faults
    return {
        "next": list(plan.waiting),
        "by_model": plan.standing,
        "rate": plan.rates,
        "names": list(fault_names()),
        "faults": [FAULTS[name].document() for name in fault_names()],
    }


def _answers_document(account: Account) -> dict[str, object]:
    return dict(account.given.by_model)


def _timing_document(account: Account) -> dict[str, object]:
    timing = account.timing
    return {name: getattr(timing, name) for name in (*_TIMES, "lag_law")}


def _key_document(account: Account) -> dict[str, object]:
    limits = account.limits
    limit = limits.limit_usd
    return {"limit": None if limit is None else format(limit, "f"), "limit_reset": limits.reset}


def _free_document(account: Account) -> dict[str, object]:
    limits = account.limits
    return {"per_day": limits.free_per_day, "per_minute": limits.free_per_minute}


def _providers_document(account: Account) -> dict[str, object]:
    """Every provider: `up`, or `down`."""
    models = account.models.values()
    every = {endpoint.host.slug for model in models for endpoint in endpoints_of(model)}
    return {slug: "down" if slug in account.outages else "up" for slug in sorted(every)}


def _routing_document(account: Account) -> dict[str, object]:
    return {"spread": account.spreading is not None}


def _set_faults(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"clear": true, "next": ["hang", ""], "by_model": {"a/b": "hang"}, "rate": {"hang": 0.2}}`.

    All optional; `seed` makes chance repeat. A word that means nothing is refused: whoever wrote it
    would take a run without a fault for one that stood it.
    """
    known_fields(document, ("clear", "next", "by_model", "rate", "seed"))
    if document.get("clear") is True:
        account.faults.clear()
    try:
        account.faults.queue(names_in(document, "next"))
        for model_id, name in object_in(document, "by_model").items():
            account.faults.stand_for(model_id, str(name))
        if "rate" in document:
            seed = count_in(document, "seed") or 0
            account.faults.strike_at(_rates(object_in(document, "rate")), seed=seed)
    except ValueError as wrong:
        raise ControlInvalid(f"{wrong}; {_SEE}") from None
    return _faults_document(account)


def _set_answers(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"a/b": {"words of the question": "the answer"}}`; `{"a/b": {}}` takes them away."""
    for model_id in document:
        if model_id not in account.models:
            raise ControlInvalid(f"no such model: {model_id}")
        given = object_in(document, model_id)
        said = {words: answer for words, answer in given.items() if isinstance(answer, str)}
        if len(said) < len(given):
            raise ControlInvalid(f"the answers of {model_id} must be texts")
        account.given.give(model_id, said)
    return _answers_document(account)


def _set_timing(account: Account, document: dict[str, object]) -> dict[str, object]:
    known_fields(document, (*_TIMES, "lag_law"))
    for name, value in document.items():
        if name == "lag_law":
            if value not in LAG_LAWS:
                raise ControlInvalid(f"lag_law must be one of {', '.join(LAG_LAWS)}")
            account.timing.lag_law = str(value)
        elif not isinstance(value, int | float) or not 0 <= value <= _SECONDS_MAX:
            raise ControlInvalid(f"{name} must be between 0 and {_SECONDS_MAX} seconds")
        else:
            setattr(account.timing, name, float(value))
    return _timing_document(account)


def _set_prices(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"a/b": {"prompt": "0.00000015", "overrides": [...]}}`, USD per token."""
    for model_id, asked in document.items():
        model = account.models.get(model_id)
        if model is None or not isinstance(asked, dict):
            raise ControlInvalid(f"no such model, or no prices for it: {model_id}")
        known_fields(asked, (*PRICE_NAMES, "overrides"))
        overrides = asked.get("overrides", list(model.overrides))
        if not isinstance(overrides, list):
            raise ControlInvalid("overrides must be a list")
        try:
            prices: dict[str, Any] = {
                name: price_from(asked[said])
                for said, name in PRICE_NAMES.items()
                if asked.get(said) is not None
            }
            if "overrides" in asked:
                overrides = [override_from(entry) for entry in overrides]
        except ValueError as wrong:
            raise ControlInvalid(str(wrong)) from None
        account.models[model_id] = replace(model, **prices, overrides=tuple(overrides))
    now_ms = account.clock.now_ms()
    return {model_id: account.models[model_id].pricing(now_ms) for model_id in document}


def _set_providers(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"mistral": "down"}`: each of its endpoints fails before the first token."""
    known = _providers_document(account)
    outages = set(account.outages)
    for name, state in document.items():
        if name not in known or state not in ("up", "down"):
            raise ControlInvalid(f"{name} must be a provider of GET /control/providers, up or down")
        (outages.add if state == "down" else outages.discard)(name)
    account.outages = frozenset(outages)
    return _providers_document(account)


def _set_routing(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"spread": true, "seed": 7}`: load is spread over endpoints instead of the first."""
    known_fields(document, ("spread", "seed"))
    spread = document.get("spread") is True
    seed = count_in(document, "seed") or 0
    account.spreading = random.Random(seed) if spread else None
    return _routing_document(account)


def _set_key(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"limit": "1.00", "limit_reset": "daily"}`; null takes a limit away."""
    known_fields(document, ("limit", "limit_reset"))
    reset = document.get("limit_reset")
    if reset is not None and reset not in RESETS:
        raise ControlInvalid(f"limit_reset must be null or one of {', '.join(RESETS)}")
    account.limits.limit_usd = amount_in(document, "limit")
    account.limits.reset = None if reset is None else str(reset)
    return _key_document(account)


def _set_free(account: Account, document: dict[str, object]) -> dict[str, object]:
    """`{"per_day": 50, "per_minute": 20}` asks of free models; null takes a cap away."""
    known_fields(document, ("per_day", "per_minute"))
    account.limits.free_per_day = count_in(document, "per_day")
    account.limits.free_per_minute = count_in(document, "per_minute")
    return _free_document(account)


def _reset(account: Account, _document: dict[str, object]) -> dict[str, object]:
    account.reset()
    return book_document(account)


def _rates(asked: Mapping[str, object]) -> dict[str, float]:
    for name, rate in asked.items():
        if not isinstance(rate, int | float) or isinstance(rate, bool):
            raise ControlInvalid(f"the rate of {name!r} must be a number between 0 and 1")
    return {name: float(str(rate)) for name, rate in asked.items()}


def _generation_row(generation: Generation) -> dict[str, object]:
    return {
        "id": generation.generation_id,
        "request_id": generation.request_id,
        "model": generation.model_id,
        "provider": generation.provider,
        "endpoint": generation.endpoint_tag,
        "total_cost": format(generation.total_cost, "f"),
        "upstream_inference_cost": format(generation.upstream_inference_cost, "f"),
        "created_at_ms": generation.created_at_ms,
        "ready_at_ms": generation.ready_at_ms,
        "native_prompt": generation.native_prompt,
        "native_completion": generation.native_completion,
        "cancelled": generation.cancelled,
        "beside": generation.beside,
        "finish_reason": generation.finish_reason,
        "user": generation.user,
    }


_READS: Mapping[str, Callable[[Account], dict[str, object]]] = {
    "/control/answers": _answers_document,
    "/control/book": book_document,
    "/control/faults": _faults_document,
    "/control/free": _free_document,
    "/control/key": _key_document,
    "/control/providers": _providers_document,
    "/control/routing": _routing_document,
    "/control/timing": _timing_document,
}
_WRITES: Mapping[str, Callable[[Account, dict[str, object]], dict[str, object]]] = {
    "/control/answers": _set_answers,
    "/control/faults": _set_faults,
    "/control/free": _set_free,
    "/control/key": _set_key,
    "/control/prices": _set_prices,
    "/control/providers": _set_providers,
    "/control/reset": _reset,
    "/control/routing": _set_routing,
    "/control/timing": _set_timing,
}
