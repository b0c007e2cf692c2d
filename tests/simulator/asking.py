"""Asking the simulator as OpenRouter's clients do."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx

CHAT = "/api/v1/chat/completions"
MODEL = "mistralai/mistral-small-2603"
PROMPT = "Why do Lightning invoices expire?"


async def chat(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    """POST a chat request; `fields` go beside or over the usual ones."""
    document: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 64,
    }
    return await client.post(CHAT, json=document | fields)


def exact(response: httpx.Response) -> Any:  # noqa: ANN401
    """A JSON body with Decimals for numbers that have a point."""
    return json.loads(response.content, parse_float=Decimal)


def frames(response: httpx.Response) -> list[Any]:
    """The JSON frames of a stream; comments and [DONE] left out."""
    events = response.text.split("\n\n")
    datas = [event.removeprefix("data: ") for event in events if event.startswith("data: ")]
    return [json.loads(data, parse_float=Decimal) for data in datas if data != "[DONE]"]


async def record(client: httpx.AsyncClient, generation_id: str) -> Any:  # noqa: ANN401
    """The `data` of a generation's record."""
    response = await client.get("/api/v1/generation", params={"id": generation_id})
    assert response.status_code == 200, response.text
    return exact(response)["data"]


async def fault(client: httpx.AsyncClient, *names: str) -> None:
    """Ask for the next faults through the control face."""
    response = await client.post("/control/faults", json={"next": names})
    assert response.status_code == 200, response.text
