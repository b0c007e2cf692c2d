"""The face behind a real server, read by OpenAI's own SDK and by a plain HTTP client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import orjson
import pytest
from openai import AsyncOpenAI

from cobot_meter.http_api.context import FaceLimits
from cobot_meter.http_api.http.exchange import BodyLimits
from tests.fakes.servers.serving import serving
from tests.http_api.face_rig import ASK, CHAT, MODEL, FaceRig, open_face

PROMPT = "How fast is Lightning?"


@contextlib.asynccontextmanager
async def sdk_of(url: str, token: str = "") -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client as a caller would make it, its retries on."""
    headers = {"Authorization": token} if token else {}
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", default_headers=headers, max_retries=2
    ) as client:
        yield client


async def paid_by(rig: FaceRig, refused: openai.APIStatusError) -> str:
    """Pay what the error's body asks for, as somebody without any L402 library does."""
    document = refused.response.json()
    payment = await rig.node.pay(document["invoice"])
    return f"L402 {document['macaroon']}:{payment.preimage}"


async def test_openais_sdk_reads_the_402_and_does_not_repeat_it(tmp_path: Path) -> None:
    """One POST, an APIStatusError with our code, and everything to pay with in its body."""
    async with open_face(tmp_path) as rig, serving(rig.app) as url, sdk_of(url) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": PROMPT}]
            )
        assert caught.value.status_code == 402
        assert caught.value.code == "payment_required"
        assert rig.upstream.posts == 1
        asks = (await rig.get("/metrics")).body.decode()
        assert 'cobot_meter_asks_total{outcome="challenge"} 1.0' in asks


async def test_openais_sdk_reads_a_completion(tmp_path: Path) -> None:
    """With the proof as its Authorization: text, usage and the price in `usage.cost`."""
    async with open_face(tmp_path) as rig, serving(rig.app) as url:
        async with sdk_of(url) as client:
            with pytest.raises(openai.APIStatusError) as caught:
                await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=500
                )
        async with sdk_of(url, await paid_by(rig, caught.value)) as client:
            bought = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=500
            )
        assert bought.choices[0].message.content == "Lightning settles in a second."
        assert bought.usage is not None
        assert bought.usage.total_tokens == 21
        assert bought.usage.model_extra is not None
        assert bought.usage.model_extra["cost"] > 0


@pytest.mark.parametrize("include_usage", [True, False])
async def test_openais_sdk_reads_the_replay(
    tmp_path: Path,
    include_usage: bool,  # noqa: FBT001 - a case
) -> None:
    """The stream joins to the same text, and ends with usage either way."""
    async with open_face(tmp_path) as rig, serving(rig.app) as url:

        async def read(client: AsyncOpenAI) -> tuple[str, int]:
            text, tokens = "", 0
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": PROMPT}],
                stream=True,
                stream_options={"include_usage": include_usage},
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                tokens = chunk.usage.total_tokens if chunk.usage else tokens
            return text, tokens

        async with sdk_of(url) as client:
            with pytest.raises(openai.APIStatusError) as caught:
                await read(client)
        async with sdk_of(url, await paid_by(rig, caught.value)) as client:
            assert await read(client) == ("Lightning settles in a second.", 21)


async def test_openais_sdk_lists_the_models(tmp_path: Path) -> None:
    """The list is one that OpenAI's SDK can page through."""
    async with open_face(tmp_path) as rig, serving(rig.app) as url, sdk_of(url) as client:
        listed = [model.id async for model in client.models.list()]
        assert MODEL in listed


async def test_a_refused_body_does_not_spoil_the_connection(tmp_path: Path) -> None:
    """413 before the body was read, 405, HEAD and a challenge, one after the other."""
    limits = FaceLimits(body=BodyLimits(bytes_max=2_000))
    async with (
        open_face(tmp_path, limits=limits) as rig,
        serving(rig.app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        large = await http.post(CHAT, content=b"x" * 500_000)
        assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
        assert (await http.put(CHAT, content=b"{}")).status_code == 405
        head = await http.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")
        asked = await http.post(CHAT, content=orjson.dumps(ASK))
        assert asked.status_code == 402
        assert asked.headers["www-authenticate"].startswith("L402 macaroon=")
