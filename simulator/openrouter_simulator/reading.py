"""Every GET below `/api/v1`: models, endpoints, records, the key, the credit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from openrouter_simulator.account import Account
from openrouter_simulator.book.credit_book import Generation
from openrouter_simulator.book.lookups import activity_document, generation_document
from openrouter_simulator.error_answers import ErrorAnswer, OrderRefused, refused
from openrouter_simulator.http_io import (
    Receive,
    Send,
    drop_connection,
    dumps,
    reader_left,
    send_head,
    send_json,
    send_piece,
)
from openrouter_simulator.keys import credits_document, key_document, keys_document
from openrouter_simulator.routing.endpoints import endpoints_document
from openrouter_simulator.routing.models import SimulatedModel, list_document, model_named
from openrouter_simulator.timing import Timing

MANAGEMENT_KEY = "sk-or-v1-management"
_NOT_MANAGEMENT = ErrorAnswer(status=403, message="Only management keys can perform this operation")
_CACHED = {b"cache-control": b"public, max-age=300, stale-while-revalidate=3600"}
_FAILURES = {
    "record_fails_402": ErrorAnswer(status=402, message="Insufficient credits"),
    "record_fails_429": ErrorAnswer(status=429, message="Rate limit exceeded", retry_after_s=1),
    "record_fails_500": ErrorAnswer(status=500, message="Internal Server Error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer to a GET, and the fault that meets it on its way."""

    document: object
    fault: str = ""
    cached: bool = False

    async def deliver(self, timing: Timing, receive: Receive, send: Send) -> None:
        """Send it, or fail as asked. Raises OrderRefused."""
        if self.fault in _FAILURES:
            raise OrderRefused(_FAILURES[self.fault])
        if self.fault == "record_bad_json":
            body = dumps(self.document)
            await send_head(send, 200, {b"content-type": b"application/json"})
            await send_piece(send, body[: len(body) // 2], last=True)
            return
        if self.fault:
            hung = self.fault == "record_hangs"
            if not hung or not await reader_left(receive, within_s=timing.hang_s):
                await drop_connection(receive, send)
            return
        await send_json(send, 200, self.document, _CACHED if self.cached else None)


def read(account: Account, path: str, *, key: str, generation_id: str) -> Reading | None:
    """Answer a path below `/api/v1`; None for an unknown one. Raises OrderRefused."""
    management = key.startswith(MANAGEMENT_KEY)
    if path == "/models/count":
        return Reading(document={"data": {"count": len(account.models)}}, cached=True)
    if path.startswith(("/models/", "/model/")):
        return _model(account, path, measured=bool(key))
    if path in _FOR_MANAGEMENT:
        if not management:
            raise OrderRefused(_NOT_MANAGEMENT)
        return Reading(document=_FOR_MANAGEMENT[path](account))
    match path:
        case "/models":
            models = account.models.values()
            rows = list_document(models, account.clock.now_ms())
            answer = Reading(document=rows, cached=True)
        case "/generation":
            record = _recorded(account, generation_id)
            fault = account.look_up_fault(record)
            answer = Reading(document=generation_document(record), fault=fault)
        case "/key":
            answer = Reading(document=key_document(account, management=management))
        case _:
            return None
    return answer


def _model(account: Account, path: str, *, measured: bool) -> Reading | None:
    now_ms = account.clock.now_ms()
    if path.startswith("/model/"):
        model = _known(account, path.removeprefix("/model/"))
        return Reading(document={"data": model.document(now_ms)}, cached=True)
    name, _, rest = path.removeprefix("/models/").rpartition("/")
    if rest != "endpoints":
        return None
    model = _known(account, name)
    return Reading(
        document=endpoints_document(model, now_ms, outages=account.outages, measured=measured),
        cached=True,
    )


def _known(account: Account, name: str) -> SimulatedModel:
    model = model_named(account.models, name)
    if model is None:
        raise refused(404, f"Model {name} not found")
    return model


def _recorded(account: Account, generation_id: str) -> Generation:
    record = account.record(generation_id)
    if record is None:
        raise refused(404, f"Generation {generation_id} not found")
    return record


def _activity(account: Account) -> dict[str, object]:
    return activity_document(account.book.generations, account.clock.now_ms())


_FOR_MANAGEMENT: Mapping[str, Callable[[Account], dict[str, object]]] = {
    "/activity": _activity,
    "/credits": credits_document,
    "/keys": keys_document,
}
