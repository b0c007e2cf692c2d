"""The JSON of an answer: whole, or a frame of a stream, and the routing behind it.

Must not know: sockets, or in which order frames are sent.
"""

from __future__ import annotations

from openrouter_simulator.answers.answers import Answer
from openrouter_simulator.answers.runs import Run
from openrouter_simulator.http_io import dumps
from openrouter_simulator.routing.endpoints import endpoints_of
from openrouter_simulator.shapes.forms import ToolCall

ERROR_AT_200 = {
    "error": {
        "message": "Provider returned error",
        "code": 502,
        "metadata": {"error_type": "provider_unavailable", "provider_name": "Mistral"},
    }
}
PROVIDER_LOST: dict[str, object] = {
    "code": 502,
    "message": "Provider disconnected unexpectedly",
    "metadata": {"error_type": "provider_unavailable"},
}
TOKEN_LIMIT = {"code": 400, "message": "Token limit reached"}


def provider_lost(run: Run) -> dict[str, object]:
    """The error of a run that broke down; older answers have a text for its code."""
    text_code = "mid_stream_error_text_code" in run.faults
    return {**PROVIDER_LOST, "code": "server_error"} if text_code else PROVIDER_LOST


def whole_document(run: Run, *, error: dict[str, object] | None = None) -> dict[str, object]:
    """The body of an answer that is not streamed; with an `error` it broke off."""
    choices = [_whole_choice(run, number) for number in range(len(run.answers))]
    if error is not None:
        choices = [{**choice, "finish_reason": "error", "error": error} for choice in choices]
    document: dict[str, object] = {
        "id": run.generation_id,
        "object": "chat.completion",
        "created": run.created_at_ms // 1_000,
        "model": run.model_said,
        "provider": run.order.endpoint.provider,
        "system_fingerprint": None,
        "choices": None if "choices_null" in run.faults else choices,
    }
    if run.order.endpoint.tier:
        document["service_tier"] = run.order.endpoint.tier
    if "missing_usage" not in run.faults:
        document["usage"] = run.usage()
    return document | routing_shown(run)


def frame(run: Run, choices: list[dict[str, object]] | None, **beside: object) -> bytes:
    """One `data:` frame of a stream."""
    document = {
        "id": run.generation_id,
        "object": "chat.completion.chunk",
        "created": run.created_at_ms // 1_000,
        "model": run.model_said,
        "provider": run.order.endpoint.provider,
        "choices": choices,
        **beside,
    }
    return b"data: " + dumps(document) + b"\n\n"


def choice(
    content: str, finish_reason: str | None, *, index: int = 0, **beside: object
) -> dict[str, object]:
    """A choice of a frame; `beside` the content its delta has what else is said."""
    delta: dict[str, object] = {"role": "assistant", "content": content, **beside}
    return {
        "index": index,
        "delta": delta,
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
        "logprobs": None,
    }


def routing_shown(run: Run) -> dict[str, object]:
    """`openrouter_metadata`, for those who asked for it by header."""
    order = run.order
    if not order.ask.routing_shown:
        return {}
    slug = order.model.slug
    available = [
        {"provider": one.provider, "model": slug, "selected": one == order.endpoint}
        for one in endpoints_of(order.model)
        if not one.tier or one == order.endpoint
    ]
    answered = {"provider": order.endpoint.provider, "model": slug, "status": 200}
    attempts = [*({**tried, "model": tried.get("model", slug)} for tried in order.tried), answered]
    named = order.ask.models[0]
    direct = named.startswith((order.model.model_id, slug))
    return {
        "openrouter_metadata": {
            "requested": named,
            "strategy": "direct" if direct else "fallback",
            "region": "global",
            "summary": f"{slug} at {order.endpoint.provider}",
            "attempt": len(attempts),
            "is_byok": "byok" in run.faults,
            "endpoints": {"total": len(available), "available": available},
            "attempts": attempts,
            "pipeline": [],
        }
    }


def _whole_choice(run: Run, number: int) -> dict[str, object]:
    answer: Answer = run.answers[number]
    hidden = run.order.ask.thinking_hidden
    return {
        "index": number,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.finish_reason,
        "message": {
            "role": "assistant",
            "content": answer.text if answer.call is None else None,
            "refusal": None,
            "reasoning": None if hidden else answer.thoughts or None,
            **({} if answer.call is None else {"tool_calls": [_called(answer.call)]}),
        },
    }


def _called(call: ToolCall) -> dict[str, object]:
    return {
        "index": 0,
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
