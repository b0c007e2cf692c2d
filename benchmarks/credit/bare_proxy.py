"""The least that passes a completion on, and charges nobody: what the service is held against.

FastAPI on uvicorn with one httpx client as it comes, which is what one writes in ten minutes. Its
limits are httpx's own; only the time-out is longer than five seconds, which models take.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

TIMEOUT_S = 300.0


def bare_app(upstream: str) -> FastAPI:
    """An application with one route, before the API at `upstream`."""
    client = httpx.AsyncClient(timeout=TIMEOUT_S)
    url = f"{upstream}/chat/completions"

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        body = await request.body()
        headers = {"authorization": "Bearer not-a-key", "content-type": "application/json"}
        if b'"stream":true' not in body:
            answer = await client.post(url, content=body, headers=headers)
            kind = answer.headers.get("content-type")
            return Response(answer.content, answer.status_code, media_type=kind)
        sent = client.build_request("POST", url, content=body, headers=headers)
        answer = await client.send(sent, stream=True)

        async def events() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()

        return StreamingResponse(events(), answer.status_code, media_type="text/event-stream")

    return app


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    given = parser.parse_args()
    uvicorn.run(bare_app(given.upstream), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
