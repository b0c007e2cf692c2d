"""POST /api/v1/chat/completions: check the order, run it, charge it, and answer or fail as asked.

Must not know: who calls. Errors before the run cost nothing, as on OpenRouter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

import orjson

from service.simulator.account import Account
from service.simulator.event_stream import Head, Reset, Say, Settle, Wait, steps_of
from service.simulator.faults import STATUS_FAULTS, ErrorAnswer
from service.simulator.http_io import (
    Headers,
    Receive,
    Send,
    drop_connection,
    read_body,
    reader_left,
    send_head,
    send_json,
    send_piece,
)
from service.simulator.models import SimulatedModel
from service.simulator.runs import Order, Run, RunEnd

_PER_MILLION = 1_000_000
_EXPOSED = b"X-Generation-Id,X-Provider-Name,cf-ray"
_ERROR_AT_200 = {
    "error": {
        "message": "Provider returned error",
        "code": 502,
        "metadata": {"error_type": "provider_unavailable", "provider_name": "Mistral"},
    }
}


class OrderRefused(Exception):
    """The order cannot be run; `answer` says why."""

    def __init__(self, answer: ErrorAnswer) -> None:
        """`answer` is sent as it is."""
        super().__init__(answer.message)
        self.answer = answer


async def chat_completions(account: Account, receive: Receive, send: Send) -> None:
    """Serve one POST. Raises OrderRefused, and BodyTooLarge and ReaderLeft from reading."""
    account.book.posts += 1
    document = _json_object(await read_body(receive))
    fault = account.faults.take(str(document.get("model")))
    if fault in STATUS_FAULTS:
        raise OrderRefused(STATUS_FAULTS[fault])
    order = order_from(document, account)
    _check_price_cap(document.get("provider"), order.model)
    _check_balance(account, order)
    run = account.begin(order, fault)
    if fault == "error_200":
        account.settle(run, RunEnd(tokens=0, finish_reason="error", free=True))
        await send_json(send, 200, _ERROR_AT_200, _headers(run))
    elif fault.startswith("charged_502"):
        account.settle(run, run.ended())
        named = run.generation_id if fault == "charged_502_named" else ""
        raise OrderRefused(replace(STATUS_FAULTS["status_502"], generation_id=named))
    elif order.stream and fault != "plain_json":
        await _Playing(account, run, receive, send).play()
    else:
        await _answer_whole(account, run, receive, send)


def order_from(document: dict[str, object], account: Account) -> Order:
    """The order of a chat request. Raises OrderRefused with OpenRouter's words."""
    model_id = document.get("model")
    model = account.models.get(model_id) if isinstance(model_id, str) else None
    if model is None or model.router:
        raise _refused(400, f"{model_id} is not a valid model ID")
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _refused(400, 'Input required: specify "prompt" or "messages"')
    texts = [_text_of(message) for message in messages]
    max_tokens = document.get("max_tokens", document.get("max_completion_tokens"))
    if max_tokens is None:
        max_tokens = model.max_out
    if not isinstance(max_tokens, int) or not 1 <= max_tokens <= model.max_out:
        raise _refused(400, f"max_tokens must be between 1 and {model.max_out}")
    user = document.get("user")
    return Order(
        model=model,
        prompt=texts[-1],
        prompt_bytes=sum(len(text.encode(errors="replace")) for text in texts),
        message_count=len(messages),
        max_tokens=max_tokens,
        stream=document.get("stream") is True,
        user=user if isinstance(user, str) else None,
    )


def _check_price_cap(provider: object, model: SimulatedModel) -> None:
    """`provider.max_price` is USD per million tokens, and a hard filter."""
    caps = provider.get("max_price") if isinstance(provider, dict) else None
    if not isinstance(caps, dict):
        return
    for name, price in (("prompt", model.prompt), ("completion", model.completion)):
        if name in caps and price * _PER_MILLION > _price_cap(caps[name]):
            raise OrderRefused(
                ErrorAnswer(
                    status=404,
                    message="No endpoints found that satisfy the max_price constraint.",
                    availability={
                        "code": "constraint_filtered",
                        "retryable": False,
                        "requested_models": [model.model_id],
                        "constraint": {"field": f"provider.max_price.{name}"},
                    },
                )
            )


def _price_cap(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise _refused(400, "provider.max_price must hold numbers") from None


def _check_balance(account: Account, order: Order) -> None:
    """OpenRouter wants the whole reservation to be there before it runs anything."""
    balance = account.book.balance_usd
    if balance <= 0:
        raise OrderRefused(STATUS_FAULTS["status_402"])
    if order.reserved_usd > balance:
        affordable = int(balance / order.model.completion) if order.model.completion else 0
        raise _refused(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to "
            f"{order.max_tokens} tokens, but can only afford {affordable}. To increase, visit "
            "https://openrouter.ai/settings/credits and add more credits",
        )


async def _answer_whole(account: Account, run: Run, receive: Receive, send: Send) -> None:
    """Without streaming a run cannot be cancelled: it is charged in full, read or not."""
    if run.fault != "hang" and account.timing.latency_s:
        await reader_left(receive, within_s=account.timing.latency_s)
    account.settle(run, run.ended())
    if run.fault == "hang":
        await reader_left(receive, within_s=account.timing.hang_s)
        return
    if run.fault == "reset_before_headers":
        await drop_connection(receive, send)
        return
    model = run.order.model
    message = {"role": "assistant", "content": run.text, "refusal": None, "reasoning": None}
    choice = {
        "index": 0,
        "logprobs": None,
        "finish_reason": run.finish_reason,
        "native_finish_reason": run.finish_reason,
        "message": message,
    }
    document = {
        "id": run.generation_id,
        "object": "chat.completion",
        "created": run.created_at_ms // 1_000,
        "model": model.slug,
        "provider": model.provider,
        "system_fingerprint": None,
        "choices": None if run.fault == "choices_null" else [choice],
    }
    if run.fault != "missing_usage":
        document["usage"] = run.usage()
    await send_json(send, 200, document, _headers(run))


@dataclass(slots=True)
class _Playing:
    """One stream on its way to one reader."""

    account: Account
    run: Run
    receive: Receive
    send: Send
    pending: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    settled: bool = False

    async def play(self) -> None:
        """Play the script to its end, or until the reader leaves."""
        left = False
        for step in steps_of(self.run, self.account.timing):
            left = await self._step(step)
            if left:
                break
        if not self.settled:
            self.account.settle(self.run, self.run.cancelled(self.tokens))
        if not left:
            await send_piece(self.send, bytes(self.pending), last=True)

    async def _step(self, step: Head | Say | Wait | Settle | Reset) -> bool:
        """Do one step; True when the connection is gone after it."""
        match step:
            case Head():
                await send_head(self.send, 200, self._stream_headers())
            case Say(data=data, tokens=tokens):
                self.pending += data
                self.tokens = max(self.tokens, tokens)
            case Settle(end=end):
                self.account.settle(self.run, end)
                self.settled = True
            case Wait(seconds=seconds) if seconds:
                await self._flush()
                return await reader_left(self.receive, within_s=seconds)
            case Reset():
                await self._flush()
                await drop_connection(self.receive, self.send)
                return True
            case _:
                pass
        return False

    async def _flush(self) -> None:
        if self.pending:
            await send_piece(self.send, bytes(self.pending), last=False)
            self.pending.clear()

    def _stream_headers(self) -> Headers:
        return {
            b"content-type": b"text/event-stream",
            b"cache-control": b"no-cache",
            **_headers(self.run),
        }


def _headers(run: Run) -> Headers:
    if run.fault == "no_generation_header":
        return {}
    return {
        b"x-generation-id": run.generation_id.encode(),
        b"access-control-expose-headers": _EXPOSED,
    }


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise _refused(400, "Invalid JSON body")
    return document


def _text_of(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part
    )


def _refused(status: int, message: str) -> OrderRefused:
    return OrderRefused(ErrorAnswer(status=status, message=message))
