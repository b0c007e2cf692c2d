"""The client that most agents have asks for a consensus with nothing but an `extra_body`."""

from __future__ import annotations

from pathlib import Path

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from tests.fakes.servers.serving import serving
from tests.http_api.consensus.panel_face import CODE, PANEL, panel_face


async def test_openais_client_reads_the_report_whole_and_as_a_stream(tmp_path: Path) -> None:
    """`message.content` is for people, `cobot.consensus` for programs; the key pays."""
    async with panel_face(tmp_path) as rig:
        key, _ = await rig.key(50_000)
        said: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": CODE}]
        async with (
            serving(rig.app) as url,
            AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client,
        ):
            answer = await client.chat.completions.create(
                model="cobot/consensus:review",
                messages=said,
                max_tokens=500,
                extra_body={"cobot": {"panel": PANEL}},
            )
            assert answer.model == "cobot/consensus:review"
            assert "Division by zero." in str(answer.choices[0].message.content)
            told = (answer.model_extra or {})["cobot"]
            assert told["consensus"]["agreed"][0]["said_by"] == PANEL
            assert [one["billed"] for one in told["attempts"]] == [True] * 3
            events = await client.chat.completions.create(
                model="cobot/consensus",
                messages=said,
                max_tokens=400,
                stream=True,
                extra_body={"cobot": {"panel": PANEL}},
            )
            pieces = [one.choices[0].delta.content or "" async for one in events if one.choices]
            assert "Division by zero." in "".join(pieces)
        assert rig.upstream.posts == 2 * len(PANEL)
