"""The adapter over the simulator: each way a run goes wrong, and what it did to the account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import httpx
import orjson
import pytest

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import pusd_from_decimal, pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import UpstreamCall, UpstreamCompletion
from openrouter_simulator.account import Account
from openrouter_simulator.app import build_simulator
from tests.contracts.upstream.answer_feeds import whole
from tests.contracts.upstream.upstream_bench import Heard
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import serving

MODEL = "anthropic/claude-haiku-4.5"
CAP = ModelPrice(prompt_pusd=1_000_000, completion_pusd=5_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The adapter, the account on the other side, and what `on_started` heard."""

    client: httpx.AsyncClient
    settings: OpenRouterSettings
    account: Account
    heard: Heard

    async def run(self, *faults: str, **changed: float) -> UpstreamCompletion:
        """One run that meets this fault; `changed` settings hold for it."""
        self.account.faults.queue(faults)
        adapter = OpenRouter(self.client, replace(self.settings, **changed))  # type: ignore[arg-type]
        messages = [{"role": "user", "content": "Why do invoices expire?"}]
        request = UpstreamCall(
            body=Body(orjson.dumps({"model": MODEL, "messages": messages})),
            model=MODEL,
            max_tokens=200,
        )
        return await whole(adapter.complete(request, price_cap=CAP, on_started=self.heard))

    async def looked_up_pusd(self) -> int:
        """What the record of the generation that was heard of says."""
        adapter = OpenRouter(self.client, self.settings)
        return (await adapter.generation_cost(self.heard.ids[0], upstream=adapter.name)).cost_pusd

    @property
    def spent_pusd(self) -> int:
        """What is gone from the account, after adding up."""
        self.account.book.verify()
        return pusd_from_decimal(self.account.book.spent_usd)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A fresh account behind a real socket."""
    simulator = build_simulator(
        seed=7, credit_usd=Decimal(5), lag_s=0, latency_s=0, clock=FakeClock()
    )
    async with serving(simulator) as address, http_session(HttpLimits()) as client:
        settings = OpenRouterSettings(
            name="gateway",
            base_url=f"{address}/api/v1",
            api_key="sk-or-v1-test",
            timeout_s=10,
            title="cobot",
        )
        yield Rig(client=client, settings=settings, account=simulator.account, heard=Heard())


@pytest.mark.parametrize(
    ("fault", "inline"),
    [
        ("", "as charged"),
        ("usage_empty_choices", "as charged"),
        ("usage_in_content_chunk", "as charged"),
        ("no_generation_header", "as charged"),
        ("plain_json", "as charged"),
        ("cached_prompt", "as charged"),
        ("missing_usage", "not said"),
        ("no_cost", "not said"),
        ("zero_usage", "zero"),
        ("zero_cost", "zero"),
    ],
)
async def test_completed_runs(rig: Rig, fault: str, inline: str) -> None:
    """However its usage is told, a run completes, and the record has its true cost."""
    completion = await rig.run(fault)
    assert rig.heard.ids == [completion.generation_id]
    assert await rig.looked_up_pusd() == rig.spent_pusd > 0
    if inline == "as charged":
        assert completion.inline_cost is not None
        assert abs(pusd_from_text(completion.inline_cost) - rig.spent_pusd) <= 10_000
    else:
        assert completion.inline_cost == {"not said": None, "zero": "0"}[inline]


async def test_own_provider_key_is_counted(rig: Rig) -> None:
    """BYOK: the account loses nothing, and the cost is still what the provider charges us."""
    completion = await rig.run("byok")
    assert completion.inline_cost is not None
    assert pusd_from_text(completion.inline_cost) > 0
    assert await rig.looked_up_pusd() > 0
    assert rig.spent_pusd == 0


@pytest.mark.parametrize("fault", ["mid_stream_error", "error_200"])
async def test_failures_that_are_not_charged(rig: Rig, fault: str) -> None:
    """An error after the start, without usage: failed, cost not said, nothing charged."""
    with pytest.raises(UpstreamFailed) as failed:
        await rig.run(fault)
    assert failed.value.inline_cost is None
    assert await rig.looked_up_pusd() == rig.spent_pusd == 0


@pytest.mark.parametrize("fault", ["mid_stream_error_with_usage", "choices_null"])
async def test_failures_that_are_charged(rig: Rig, fault: str) -> None:
    """A failure with usage beside it says what it cost, and the record agrees."""
    with pytest.raises(UpstreamFailed) as failed:
        await rig.run(fault)
    assert failed.value.inline_cost is not None
    assert await rig.looked_up_pusd() == rig.spent_pusd > 0


@pytest.mark.parametrize(
    "fault",
    [
        "cut_stream",
        "reset_mid_stream",
        "reset_after_headers",
        "malformed_frame",
        "charged_502_named",
    ],
)
async def test_lost_answers_whose_id_was_heard(rig: Rig, fault: str) -> None:
    """The id is told before the body is read, so a lost answer's charge can be found."""
    with pytest.raises(OutcomeUnknown):
        await rig.run(fault)
    assert await rig.looked_up_pusd() == rig.spent_pusd > 0


@pytest.mark.parametrize("fault", ["reset_before_headers", "charged_502"])
async def test_lost_answers_without_an_id(rig: Rig, fault: str) -> None:
    """Nothing but the key's usage tells of a run whose answer never began."""
    with pytest.raises(OutcomeUnknown):
        await rig.run(fault)
    assert rig.heard.ids == []
    assert await OpenRouter(rig.client, rig.settings).usage_pusd() == rig.spent_pusd > 0


@pytest.mark.parametrize("fault", ["hang", "hang_mid_stream"])
async def test_disconnect_bills_real_generation(rig: Rig, fault: str) -> None:
    """A run given up after its whole time is unknown, and what was generated is charged."""
    with pytest.raises(OutcomeUnknown):
        await rig.run(fault, timeout_s=0.1)
    for _ in range(1_000):
        if rig.account.book.generations:
            break
        await asyncio.sleep(0.005)
    assert rig.spent_pusd > 0


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429])
async def test_refusals(rig: Rig, status: int) -> None:
    """4xx: certainly nothing charged, nothing to look up."""
    with pytest.raises(UpstreamRefused) as refused:
        await rig.run(f"status_{status}")
    assert refused.value.status == status
    assert refused.value.retry_after_s == (7 if status == 429 else None)
    assert rig.heard.ids == []
    assert rig.spent_pusd == 0


async def test_unavailable_and_retryable_is_a_refusal(rig: Rig) -> None:
    """A 503 that says nothing was available has run nothing."""
    with pytest.raises(UpstreamRefused) as refused:
        await rig.run("status_503_retryable")
    assert refused.value.retry_after_s == 5


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 524, 529])
async def test_server_errors_are_unknown(rig: Rig, status: int) -> None:
    """5xx after the body was sent: it may have run, so it is never repeated."""
    with pytest.raises(OutcomeUnknown):
        await rig.run(f"status_{status}")
    assert rig.account.book.posts == 1


@pytest.mark.parametrize("fault", ["", "plain_json"])
async def test_answer_over_the_limit_is_unknown(rig: Rig, fault: str) -> None:
    """An answer larger than we take was still run; its id was heard first."""
    with pytest.raises(OutcomeUnknown):
        await rig.run(fault, answer_bytes_max=200)
    assert len(rig.heard.ids) == 1


async def test_record_of_another_is_never_billed(rig: Rig) -> None:
    """A look-up that answers with another generation's record is *not yet known*."""
    await rig.run("record_of_another")
    with pytest.raises(CostNotYetKnown):
        await rig.looked_up_pusd()


async def test_price_rise_after_the_quote_is_refused(rig: Rig) -> None:
    """A price that rose since the quote stops the run instead of raising the bill."""
    model = rig.account.models[MODEL]
    rig.account.models[MODEL] = replace(model, completion=model.completion * 2)
    with pytest.raises(UpstreamRefused) as refused:
        await rig.run()
    assert refused.value.status == 404
    assert rig.spent_pusd == 0


async def test_connection_is_used_again(rig: Rig) -> None:
    """Ten runs in a row need one connection: answers are read to their very end."""
    for _ in range(10):
        await rig.run()
    transport = rig.client._transport
    connections = list(transport.client.connector._conns.values())  # type: ignore[attr-defined]
    assert [len(idle) for idle in connections] == [1]


async def test_query_over_the_limit_is_unreachable(rig: Rig) -> None:
    """A model list larger than we take is not read on."""
    adapter = OpenRouter(rig.client, replace(rig.settings, query_bytes_max=1_000))
    with pytest.raises(UpstreamUnreachable):
        await adapter.models()


def test_key_is_not_shown() -> None:
    """Settings can be logged without telling the key."""
    settings = OpenRouterSettings(
        name="gateway", base_url="https://upstream/api/v1", api_key="sk-secret"
    )
    assert "sk-secret" not in repr(settings)
