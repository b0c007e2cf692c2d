"""An agent's loop with a tool, bought from the service: a call, its result, an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from cobot_pay import Budget, DevWallet, L402Auth
from tests.cli.shop import MODEL, command_line_in, selling

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def test_a_loop_with_a_tool_is_bought_step_by_step(tmp_path: Path) -> None:
    """The model calls, the agent answers the call, and the model says a text; each is paid for."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "The weather in Paris, please?"}]
    async with selling(command_line_in(tmp_path)) as (running, _):
        auth = L402Auth(
            wallet=DevWallet(running.play_wallet_url), budget=Budget(total_msat=1_000_000)
        )
        async with httpx.AsyncClient(
            base_url=running.face.url, auth=auth, trust_env=False, timeout=30
        ) as http:

            async def said() -> dict[str, Any]:
                document = {"model": MODEL, "messages": messages, "tools": [WEATHER]}
                answer = await http.post("/v1/chat/completions", json=document)
                message: dict[str, Any] = answer.json()["choices"][0]["message"]
                return message

            called = await said()
            (call,) = called["tool_calls"]
            assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
            result = {"role": "tool", "tool_call_id": call["id"], "content": "9 degrees, rain"}
            messages += [called, result]
            last = await said()
            assert last["content"]
            assert not last.get("tool_calls")
