"""Asks items of a service as any caller does: over HTTP, on a key, reserved and captured.

There is no way past the till for the operator: what a run says of costs is what callers pay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from cobot_meter.cli.bench.reply_reader import ReplyReader, error_code, read_object
from cobot_meter.cli.terminal import CommandFailed, CouldNotLook
from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.record import TEMPERATURE, Reply
from cobot_meter.domain.outside import SENTENCE_MAX, shown

TIMEOUT_S = 300.0
NS_PER_MS = 1_000_000
BODY_BYTES_MAX = 65_536
# What the next item would meet as well: a run that goes on would only count the same error.
_ENDS_A_RUN = frozenset(
    {
        *("invalid_api_key", "api_key_revoked", "api_key_in_url", "key_limit_reached"),
        *("broken_answers_limit", "model_not_allowed", "model_not_found"),
    }
)


class RunEnds(CommandFailed):
    """The service refuses what every further item would ask."""


class BenchCaller:
    """One key at one service; `now_ns` is a clock that only goes forward."""

    def __init__(self, *, http: httpx.AsyncClient, key: str, now_ns: Callable[[], int]) -> None:
        """`http` has the service's address as its base."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._now_ns = now_ns

    async def refuse_unoffered(self, models: tuple[str, ...]) -> None:
        """Raises CommandFailed for a model that is not offered, CouldNotLook without an answer."""
        try:
            answer = await self._http.get("/v1/models")
            rows = answer.json()["data"]
            offered = {str(row["id"]) for row in rows}
        except (httpx.TransportError, ValueError, KeyError, TypeError) as fault:
            message = (
                f"no service answers at {self._http.base_url}; is `cobot-meter serve` running?"
            )
            raise CouldNotLook(message) from fault
        missing = [model for model in models if model not in offered]
        if missing:
            message = (
                f"not on offer there: {', '.join(missing)}; `cobot-meter models` lists what is"
            )
            raise CommandFailed(message)

    async def ask(self, model: str, item: Item, *, seed: int, name: str) -> Reply:
        """One item. `name` makes it a request of its own, whatever was asked before.

        Raises RunEnds where every other item would be refused too.
        """
        began = self._now_ns()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._read(began, _body(model, item, seed), name)
        except (httpx.TransportError, TimeoutError) as fault:
            error = "timeout" if isinstance(fault, TimeoutError) else "connection"
            return Reply(total_ms=self._ms_since(began), error=error)

    async def _read(self, began: int, body: dict[str, Any], name: str) -> Reply:
        headers = {**self._headers, "Idempotency-Key": name}
        async with self._http.stream(
            "POST", "/v1/chat/completions", json=body, headers=headers
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                return await self._refused(began, answer)
            reader, ttft_ms = ReplyReader(), None
            async for read in answer.aiter_bytes():
                reader.take(read)
                if ttft_ms is None and reader.has_text:
                    ttft_ms = self._ms_since(began)
                if reader.too_long:
                    return Reply(total_ms=self._ms_since(began), error="too_long")
            return reader.reply(ttft_ms=ttft_ms, total_ms=self._ms_since(began))

    async def _refused(self, began: int, answer: httpx.Response) -> Reply:
        read = b""
        async for part in answer.aiter_bytes():
            read += part
            if len(read) > BODY_BYTES_MAX:
                break
        document = read_object(read) or {}
        code = error_code(document)
        if answer.status_code == httpx.codes.PAYMENT_REQUIRED or code in _ENDS_A_RUN:
            error = document.get("error")
            said = error.get("message") if isinstance(error, dict) else None
            raise RunEnds(shown(str(said or code), most=SENTENCE_MAX))
        return Reply(total_ms=self._ms_since(began), error=code)

    def _ms_since(self, began: int) -> int:
        return (self._now_ns() - began) // NS_PER_MS


def _body(model: str, item: Item, seed: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": item.prompt}],
        "max_tokens": item.max_tokens,
        "temperature": TEMPERATURE,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
