"""A prepaid key for real: OpenAI's own SDK, unmodified, and an upstream that breaks all streams."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import httpx
import openai
import pytest

from tests.end_to_end.live import MODEL, Live, ask_body, proof_of

pytestmark = pytest.mark.slow
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


async def prepaid_key(live: Live, sat: int, **limits: object) -> str:
    """Top up, pay, repeat the same request: the key."""
    body = {"amount_sat": sat, "key": {"name": "sdk", **limits}}
    url = f"{live.face}/v1/topups"
    asked = await live.http.post(url, json=body)
    assert asked.status_code == httpx.codes.PAYMENT_REQUIRED
    proof = proof_of(asked, await live.pay(asked.json()["invoice"]))
    credited = await live.http.post(url, json=body, headers=proof)
    assert credited.status_code == httpx.codes.OK, credited.text
    return str(credited.json()["key"]["key"])


async def test_the_sdk_asks_streams_and_calls_tools_on_a_key(live: Live) -> None:
    """Nothing of it is ours: chat, a stream and tools are paid from the credit of the key."""
    key = await prepaid_key(live, 2_000)

    def buy() -> tuple[str, str, object]:
        with openai.OpenAI(base_url=f"{live.face}/v1", api_key=key, max_retries=0) as client:
            answer = client.chat.completions.create(
                model=MODEL, max_tokens=40, messages=[{"role": "user", "content": "Of bridges."}]
            )
            stream = client.chat.completions.create(
                model=MODEL,
                max_tokens=40,
                stream=True,
                messages=[{"role": "user", "content": "Of tunnels."}],
            )
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
            called = client.chat.completions.create(  # type: ignore[call-overload]
                model=MODEL,
                max_tokens=40,
                messages=[{"role": "user", "content": "Weather in Bern?"}],
                tools=[TOOL],
                tool_choice={"type": "function", "function": {"name": "weather"}},
            )
        calls = called.choices[0].message.tool_calls
        return answer.choices[0].message.content or "", "".join(pieces), calls

    whole, streamed, calls = await asyncio.to_thread(buy)
    assert whole
    assert streamed
    assert calls
    bearer = {"Authorization": f"Bearer {key}"}
    shown = (await live.http.get(f"{live.face}/v1/key", headers=bearer)).json()["data"]
    assert shown["usage"] > 0
    credit = (await live.http.get(f"{live.face}/v1/credits", headers=bearer)).json()["cobot"]
    spent_msat = shown["cobot"]["key"]["spent_msat"]
    assert credit["available_msat"] == 2_000_000 - spent_msat < 2_000_000


async def test_the_sdk_shows_what_to_do_when_credit_is_short(live: Live) -> None:
    """One request, one exception, whose message names the address and the amount."""
    key = await prepaid_key(live, 10)

    def buy() -> str:
        with openai.OpenAI(base_url=f"{live.face}/v1", api_key=key) as client:
            with pytest.raises(openai.APIStatusError) as refused:
                client.chat.completions.create(
                    model=MODEL,
                    max_tokens=30_000,
                    reasoning_effort="high",  # thoughts that nobody can count: all is reserved
                    messages=[{"role": "user", "content": "Everything."}],
                )
            assert refused.value.status_code == 402
            return str(refused.value)

    said = await asyncio.to_thread(buy)
    assert f"{live.face}/v1/topups" in said
    assert "10 sat are left" in said


BOUND_USD = "0.0004"
ASKS = 30
AT_ONCE = 3


@pytest.mark.parametrize("fault", ["cut_stream", "mid_stream_error_with_usage"])
async def test_the_upstreams_bill_for_what_broke_off_stays_within_the_keys_day(
    tmp_path: Path, fault: str
) -> None:
    """Three at a time: nothing is charged, the key is refused, and the simulator's bill is bounded.

    The bound is that of the day and one ceiling for each ask that was under way when it was passed.
    """
    live = Live(tmp_path, settings={"COBOT_METER_BROKEN_PER_KEY_DAY_USD": BOUND_USD})
    try:
        await live.start()
        key = await prepaid_key(live, 5_000)
        bearer = {"Authorization": f"Bearer {key}"}
        quoted = await live.http.post(f"{live.face}/v1/quotes", json=ask_body("0", stream=True))
        ceiling_usd = Decimal(str(quoted.json()["ceiling"]["usd"]))
        await live.control_upstream("faults", by_model={MODEL: fault})
        before = await charged_usd(live)
        statuses: list[int] = []
        for number in range(0, ASKS, AT_ONCE):
            replies = await asyncio.gather(
                *(
                    live.ask(ask_body(str(each), stream=True), **bearer)
                    for each in range(number, number + AT_ONCE)
                )
            )
            statuses += [reply.status_code for reply in replies]
            for reply in replies:
                assert_broken_or_refused(reply)
            await asyncio.sleep(0.2)
        assert statuses[0] == httpx.codes.OK
        assert statuses[-AT_ONCE:] == [httpx.codes.BAD_REQUEST] * AT_ONCE
        lost_usd = await charged_usd(live) - before
        assert 0 < lost_usd <= Decimal(BOUND_USD) + AT_ONCE * ceiling_usd
        assert lost_usd < ASKS * ceiling_usd / 2
        credit = (await live.http.get(f"{live.face}/v1/credits", headers=bearer)).json()["cobot"]
        assert (credit["available_msat"], credit["reserved_msat"]) == (5_000_000, 0)
    finally:
        await live.aclose()


def assert_broken_or_refused(reply: httpx.Response) -> None:
    """Either a stream that says that it broke, or the refusal that stops every agent."""
    if reply.status_code == httpx.codes.OK:
        assert '"finish_reason":"error"' in reply.text
        assert '"error":{' in reply.text
        assert "[DONE]" not in reply.text
    else:
        assert reply.json()["error"]["code"] == "broken_answers_limit"


async def charged_usd(live: Live) -> Decimal:
    """What the simulator has charged in all."""
    return Decimal(str((await live.upstream_book())["spent_usd"]))
