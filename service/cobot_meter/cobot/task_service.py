"""The service's tasks over HTTP: one is opened, its models are called, it is closed and watched.

Every call may be repeated: what was done before is found again. Must not know: the agent, or files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

import httpx

from cobot_meter.cobot.commission import Commission
from cobot_meter.cobot.settings import MSAT_PER_SAT, SellerSettings
from cobot_pay.peers.blocks import Bill

_GOOD = range(200, 300)
_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_TIMEOUT_S = 300.0
_CONNECT_S = 10.0
_MICRO = 1_000_000
_MSAT_PER_BTC = 100_000_000_000
CEILING_REACHED = "task_ceiling_reached"
CLOSED = "task_closed"


class Away(Exception):
    """The service does not answer, or says that it will later: nothing is known to be done."""


class Refused(Exception):
    """The service will not do this, now or later; `message` is its own sentence."""

    def __init__(
        self, status: int, code: str, message: str, *, metadata: Mapping[str, Any]
    ) -> None:
        """`code` is the service's stable word for it."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.metadata = metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedTask:
    """A task at the service; its key is a secret and is never stored."""

    task_id: str
    key: str
    state: str
    expires_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """What a model said, and what is left of the ceiling after it."""

    message: Mapping[str, Any]
    document: Mapping[str, Any]
    spent_msat: int
    near: bool


class TaskService:
    """The tasks of one seller."""

    def __init__(self, settings: SellerSettings, *, http: httpx.AsyncClient) -> None:
        """`http` is closed by whoever made it."""
        self._settings = settings
        self._http = http

    async def open(self, commission: Commission) -> OpenedTask:
        """The task of this commission, made at the first time. Raises Away and Refused."""
        document = {
            "ceiling_sat": commission.ceiling_msat // MSAT_PER_SAT,
            "max_fee_sat": -(-commission.fee_max_msat // MSAT_PER_SAT),
            "title": commission.title,
            "expires_in_s": commission.lasts_s,
        }
        name = {"Idempotency-Key": commission.number}
        said = await self._asked("POST", "/v1/tasks", document, **name)
        return OpenedTask(
            task_id=_text(said, "id"),
            key=_text(said, "key"),
            state=_text(said, "state"),
            expires_at_s=_whole(said, "expires_at"),
        )

    async def ask(self, key: str, body: Mapping[str, Any]) -> ModelAnswer:
        """One call of a model, as a run of the task whose key this is. Raises Away and Refused."""
        said = await self._asked("POST", "/v1/chat/completions", body, key=key)
        try:
            message = said["choices"][0]["message"]
            told = said["cobot"]["task"]
            return ModelAnswer(
                message=dict(message),
                document=said,
                spent_msat=_whole(told, "spent_msat"),
                near=told.get("near") is True,
            )
        except (KeyError, IndexError, TypeError, ValueError) as fault:
            raise Away("the service answered a call without its message or its task") from fault

    async def close(self, commission: Commission, *, fee_msat: int) -> Bill:
        """Seal the answer and name the fee; the bill. Raises Away and Refused."""
        document = {"answer": commission.answer, "fee_msat": fee_msat}
        said = await self._asked("POST", f"{_path(commission)}/close", document)
        price = said.get("price")
        if not isinstance(price, Mapping):
            raise Away("the service closed a task without saying its price")
        return Bill(
            ref=commission.ref,
            task=commission.task_id,
            total_msat=_whole(price, "total_msat"),
            amount_msat=_whole(said, "amount_msat"),
            service_fee_msat=_whole(price, "service_fee_msat"),
            seller_fee_msat=_whole(price, "seller_fee_msat"),
            cost_usd=str(price.get("cost_usd", "")),
            invoice=_text(said, "invoice"),
            payment_hash=_text(said, "payment_hash"),
            macaroon=_text(said, "macaroon"),
            url=f"{self._settings.public_url}/v1/escrows/{commission.task_id}",
            expires_at=_whole(said, "expires_at"),
            micro_usd_per_btc=_rate(said),
        )

    async def spent_msat(self, commission: Commission) -> int:
        """What the runs of this task come to, at the service's price. Raises Away and Refused."""
        said = await self._asked("GET", _path(commission))
        return _whole(said, "spent_msat")

    async def state(self, commission: Commission) -> str:
        """How far the task is, in the service's own word. Raises Away and Refused."""
        return _text(await self._asked("GET", _path(commission)), "state")

    async def delivered(self, commission: Commission) -> None:
        """Say that the paid answer was handed over. Raises Away and Refused."""
        await self._asked("POST", f"{_path(commission)}/delivered")

    async def give_up(self, commission: Commission) -> None:
        """End it without a bill. Raises Away and Refused."""
        await self._asked("DELETE", _path(commission))

    async def _asked(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        **headers: str,
    ) -> Mapping[str, Any]:
        headers["Authorization"] = f"Bearer {key or self._settings.api_key}"
        for name in [*headers]:
            headers[name.replace("_", "-")] = headers.pop(name)
        try:
            answer = await self._http.request(
                method, f"{self._settings.url}{path}", json=document, headers=headers
            )
        except httpx.HTTPError as fault:
            raise Away(f"the service does not answer: {fault}") from fault
        return _read(answer)


def task_client() -> httpx.AsyncClient:
    """A client for one TaskService: a model may take its time, a connection may not."""
    timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S)
    return httpx.AsyncClient(timeout=timeout, trust_env=False)


def _read(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        said = json.loads(answer.content) if answer.content else {}
    except ValueError:
        said = None
    if answer.status_code in _GOOD and isinstance(said, dict):
        return said
    error = said.get("error") if isinstance(said, dict) else None
    told = error if isinstance(error, dict) else {}
    message = str(told.get("message") or f"the service answered {answer.status_code}")[:500]
    code = str(told.get("code") or "")
    if answer.status_code in _GOOD or _is_later(answer.status_code, code):
        raise Away(message)
    metadata = told.get("metadata")
    raise Refused(
        answer.status_code,
        code,
        message,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def _is_later(status: int, code: str) -> bool:
    return status in _LATER and code != CLOSED


def _path(commission: Commission) -> str:
    return f"/v1/tasks/{quote(commission.task_id, safe='')}"


def _rate(said: Mapping[str, Any]) -> int:
    """The exchange rate that a task's costs show; 0 where they show none."""
    try:
        usd, msat = Decimal(str(said.get("spent_usd"))), _whole(said, "spent_msat")
    except (InvalidOperation, Away):
        return 0
    if not usd.is_finite() or usd <= 0 or msat == 0:
        return 0
    return int(usd * _MICRO * _MSAT_PER_BTC / msat)


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise Away(f"the service's answer lacks {name}")
    return value


def _whole(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if type(value) is not int or value < 0:
        raise Away(f"the service's answer lacks {name}")
    return value
