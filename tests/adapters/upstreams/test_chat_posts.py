"""What a completion that is being read keeps of the request that it answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cobot_meter.adapters.upstreams.chat_posts import ChatPosts
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from tests.fakes.servers.serving import serving

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


async def beginning(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Reads all that is sent, answers with its length, and goes on answering."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/event-stream"), (b"x-received", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
    await asyncio.Event().wait()


async def test_a_prompt_that_was_sent_is_kept_by_nobody_while_it_is_answered() -> None:
    """A hundred open answers to prompts of a megabyte are not a hundred megabytes."""
    prompt = b"?" * 1_048_576
    async with serving(beginning) as address, http_session(HttpLimits()) as client:
        posts = ChatPosts(client, url=address, headers={}, answer_bytes_max=1_000, timeout_s=30)
        held = sys.getrefcount(prompt)
        response = await posts.send(prompt, posts.deadline(None))
        try:
            assert response.headers["x-received"] == str(len(prompt))
            assert sys.getrefcount(prompt) == held
        finally:
            await posts.close(response)
