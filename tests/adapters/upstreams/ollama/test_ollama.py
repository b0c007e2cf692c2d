"""The Ollama adapter over a fake one: each way a run goes, and what it comes to on our meter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.adapters.upstreams.ollama.contexts import sized_name
from cobot_meter.adapters.upstreams.ollama.meter import open_meter
from cobot_meter.domain.errors import (
    CostNotYetKnown,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamFaultKind,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.wiring.settings.local import LOCAL
from tests.adapters.upstreams.ollama.ollama_rig import (
    MODEL,
    TARIFF,
    OllamaRig,
    ollama_rig,
    question,
)
from tests.contracts.upstream.answer_feeds import whole
from tests.contracts.upstream.upstream_bench import Heard
from tests.fakes.clock import FakeClock
from tests.fakes.servers.ollama_server import ANSWER, OllamaFault
from tests.fakes.servers.serving import refused_address

F = OllamaFault
K = UpstreamFaultKind

# What the sockets of both sides and the client's own buffer take before they are full.
HELD_BYTES_MAX = 16 * 1_024 * 1_024


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[OllamaRig]:
    """A fresh Ollama behind a real socket."""
    async with ollama_rig(tmp_path) as begun:
        yield begun


@pytest.mark.parametrize("fault", [None, F.WHOLE, F.CUT_AFTER_USAGE])
async def test_an_answer_is_priced_by_the_tariff(rig: OllamaRig, fault: OllamaFault | None) -> None:
    """Streamed or not, it is under our names, with its tokens and what they cost by our tariff."""
    completion = await rig.run(*([fault] if fault else []))
    body = orjson.loads(completion.body)
    assert body["id"] == completion.generation_id == rig.heard.ids[0] == "ollama-0000"
    assert (body["model"], body["provider"]) == ("ollama/llama3.2:3b", "Ollama")
    assert body["choices"][0]["message"]["content"].strip() == ANSWER
    assert completion.finish_reason == "stop"
    assert body["usage"]["completion_tokens"] == completion.completion_tokens > 0
    record = await rig.adapter().generation_cost(completion.generation_id, upstream=LOCAL)
    assert completion.inline_cost == record.total_cost
    assert pusd_from_text(record.total_cost) == record.cost_pusd == rig.earned_pusd > 0
    assert (record.provider, record.model) == ("Ollama", "ollama/llama3.2:3b")
    assert await rig.adapter().usage_pusd() == rig.earned_pusd


async def test_only_what_ollama_knows_is_sent(rig: OllamaRig) -> None:
    """Preferences of OpenRouter's stay here; the limit and the wish for usage always go along."""
    request = question(
        provider={"only": ["Groq"]},
        transforms=["middle-out"],
        plugins=[],
        models=["a/b"],
        user="c_1",
        reasoning={"effort": "low", "max_tokens": 7},
        temperature=0.5,
        max_tokens=9_999,
        stream=False,
    )
    await whole(rig.adapter().complete(request, price_cap=TARIFF, on_started=rig.heard))
    assert request.body.content == b""
    assert rig.other_side.requests == [
        {
            "messages": [{"role": "user", "content": "Why do invoices expire?"}],
            "temperature": 0.5,
            "reasoning": {"effort": "low"},
            "model": sized_name(MODEL),
            "max_tokens": 200,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (F.MODEL_NOT_FOUND, 404, K.NOT_FOUND),
        (F.BAD_REQUEST, 400, K.BAD_REQUEST),
        (F.NO_TOOLS, 400, K.NOT_FOUND),
        (F.BUSY, 503, K.OVERLOADED),
    ],
)
async def test_refused_before_it_ran(
    rig: OllamaRig, fault: OllamaFault, status: int, kind: UpstreamFaultKind
) -> None:
    """Nothing began: no generation is named, and what this model cannot do is its own fault."""
    with pytest.raises(UpstreamRefused) as refused:
        await rig.run(fault)
    assert (refused.value.status, refused.value.kind) == (status, kind)
    assert rig.heard.ids == []
    assert rig.meter.total_pusd == 0


@pytest.mark.parametrize(
    "fault",
    [
        F.FAILS,
        F.HUGE_FAILURE,
        F.ERROR_FRAME,
        F.ERROR_WITH_USAGE,
        F.NO_USAGE,
        F.EMPTY,
        F.ABSURD_TOKENS,
        F.OVER_CONTEXT,
        F.NEGATIVE_TOKENS,
        F.FRACTION_OF_TOKENS,
        F.NO_TOKENS,
    ],
)
async def test_failed_costs_nothing(rig: OllamaRig, fault: OllamaFault) -> None:
    """What cannot be sold is a failure whose record says 0, whatever it says of tokens."""
    with pytest.raises(UpstreamFailed) as failed:
        await rig.run(fault)
    assert failed.value.inline_cost is None
    record = await rig.adapter().generation_cost(rig.heard.ids[0], upstream=LOCAL)
    assert (record.cost_pusd, record.final) == (0, True)
    assert rig.meter.total_pusd == 0


@pytest.mark.parametrize(
    "fault", [F.CUT, F.CUT_AT_ONCE, F.ENDLESS, F.HUGE_WHOLE, F.BAD_JSON, F.SILENT]
)
async def test_broken_answers_are_bounded_and_free(rig: OllamaRig, fault: OllamaFault) -> None:
    """Cut, endless, silent or no JSON: unknown at first, and by its look-up it cost nothing."""
    limit_ms = 150 if fault is F.SILENT else None
    with pytest.raises(OutcomeUnknown):
        await rig.run(fault, within_ms=limit_ms, answer_bytes_max=100_000)
    assert (await rig.adapter().generation_cost(rig.heard.ids[0], upstream=LOCAL)).cost_pusd == 0
    assert rig.other_side.posts == 1
    assert rig.meter.total_pusd == 0


async def test_nobody_there(rig: OllamaRig) -> None:
    """Refused connections: nothing was sent; the models stay listed and costs can be looked up."""
    done = await rig.run()
    with refused_address() as url:
        away = rig.adapter(base_url=url)
        with pytest.raises(UpstreamUnreachable):
            await whole(away.complete(question(), price_cap=TARIFF, on_started=Heard()))
        with pytest.raises(UpstreamUnreachable):
            await away.ping()
        assert await away.models() == (MODEL,)
        assert (
            await away.generation_cost(done.generation_id, upstream=LOCAL)
        ).cost_pusd == rig.earned_pusd


async def test_another_name_changes_no_bill(rig: OllamaRig) -> None:
    """An answer in another model's name says so, and costs what was asked for."""
    completion = await rig.run(F.WRONG_MODEL)
    assert orjson.loads(completion.body)["model"] == "ollama/mistral:7b"
    record = await rig.adapter().generation_cost(completion.generation_id, upstream=LOCAL)
    assert (record.model, record.cost_pusd) == ("ollama/mistral:7b", rig.earned_pusd)


@pytest.mark.parametrize("dearer", ["prompt_pusd", "completion_pusd"])
async def test_a_raised_tariff_is_not_charged(rig: OllamaRig, dearer: str) -> None:
    """Who was quoted less is refused before anything is sent."""
    quoted = replace(TARIFF, **{dearer: getattr(TARIFF, dearer) - 1})
    with pytest.raises(UpstreamRefused):
        await whole(rig.adapter().complete(question(), price_cap=quoted, on_started=rig.heard))
    assert rig.other_side.posts == 0


@pytest.mark.parametrize(
    ("max_price", "answered"),
    [
        ({"prompt": 0.02, "completion": "0.04"}, True),
        ({"completion": 1}, True),
        ({"prompt": 0.019}, False),
        ({"completion": "0.0399999"}, False),
        ({"prompt": "cheap", "completion": -1}, True),
    ],
)
async def test_a_callers_own_limit_holds(
    rig: OllamaRig, max_price: dict[str, object], *, answered: bool
) -> None:
    """`provider.max_price` under the tariff: refused, so that a chain goes on; nothing is sent."""
    request = question(provider={"max_price": max_price})
    run = whole(rig.adapter().complete(request, price_cap=TARIFF, on_started=rig.heard))
    if answered:
        assert (await run).finish_reason == "stop"
        return
    with pytest.raises(UpstreamRefused) as refused:
        await run
    assert refused.value.kind is K.NOT_FOUND
    assert rig.other_side.posts == 0


async def test_a_tariff_of_nothing_is_a_price(rig: OllamaRig) -> None:
    """Free models answer at a cost of 0, as long as they say their tokens."""
    free = replace(MODEL, price=ModelPrice(prompt_pusd=0, completion_pusd=0))
    completion = await rig.run(models=(free,))
    assert completion.inline_cost == "0"
    with pytest.raises(UpstreamFailed):
        await rig.run(F.NO_USAGE, models=(free,))


async def test_without_models_nothing_is_sent(rig: OllamaRig) -> None:
    """What was sold once and is offered no more is refused; its old costs are still known."""
    done = await rig.run()
    with pytest.raises(UpstreamRefused):
        await rig.run(models=())
    assert rig.other_side.posts == 1
    record = await rig.adapter(models=()).generation_cost(done.generation_id, upstream=LOCAL)
    assert record.cost_pusd == await rig.adapter(models=()).usage_pusd() > 0


async def test_a_cost_is_not_known_before_its_end(rig: OllamaRig) -> None:
    """While a run goes on its record is not there; a strange name has none either."""
    found: list[type[Exception]] = []

    async def started(generation_id: str) -> None:
        for name in (generation_id, "ollama-strange"):
            with pytest.raises(CostNotYetKnown) as unknown:
                await rig.adapter().generation_cost(name, upstream=LOCAL)
            found.append(unknown.type)

    await whole(rig.adapter().complete(question(), price_cap=TARIFF, on_started=started))
    assert len(found) == 2


async def test_bills_survive_a_restart(tmp_path: Path) -> None:
    """Another process reads the same total and the same record from the file."""
    async with ollama_rig(tmp_path) as rig:
        done = await rig.run()
        earned_pusd = rig.earned_pusd
    path = tmp_path / "ollama.jsonl"
    async with open_meter(path, provider="Ollama", clock=FakeClock()) as meter:
        assert meter.total_pusd == meter.cost(done.generation_id).cost_pusd == earned_pusd


async def test_missing_models_are_named(rig: OllamaRig) -> None:
    """What was never pulled is told; `:latest` need not be said."""
    rig.other_side.names = ["llama3.2:3b", "qwen3:latest"]
    names = ("llama3.2:3b", "qwen3", "mistral:7b")
    models = tuple(replace(MODEL, model_id=f"ollama/{name}") for name in names)
    assert await rig.adapter(models=models).missing() == ("mistral:7b",)


async def test_the_dialect_of_ollama(rig: OllamaRig) -> None:
    """A developer's words are a system's; no thinking is said as Ollama reads it; degrees fit."""
    asked: list[tuple[dict[str, object], dict[str, object]]] = [
        ({"reasoning": {"enabled": False}}, {"reasoning_effort": "none"}),
        ({"reasoning": {"effort": "none"}}, {"reasoning_effort": "none"}),
        ({"reasoning": {"enabled": True}}, {}),
        ({"reasoning": {"effort": "xhigh"}}, {"reasoning": {"effort": "high"}}),
        ({"reasoning": {"effort": "minimal"}}, {"reasoning": {"effort": "low"}}),
    ]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "?"}]
    for fields, _ in asked:
        await whole(
            rig.adapter().complete(
                question(messages=messages, **fields), price_cap=TARIFF, on_started=rig.heard
            )
        )
    for sent, (_, thinking) in zip(rig.other_side.requests, asked, strict=True):
        assert [message["role"] for message in sent["messages"]] == ["system", "user"]
        names = ("reasoning", "reasoning_effort")
        assert {name: sent[name] for name in names if name in sent} == thinking


async def test_which_tools_are_chosen_is_for_the_model(rig: OllamaRig) -> None:
    """`none` sends no tools, `auto` is what it does; others are refused before anything is sent."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    for choice in ("none", "auto"):
        await whole(
            rig.adapter().complete(
                question(tools=tools, tool_choice=choice), price_cap=TARIFF, on_started=rig.heard
            )
        )
    first, second = rig.other_side.requests
    assert "tools" not in first
    assert second["tools"] == tools
    assert "tool_choice" not in first | second
    with pytest.raises(UpstreamRefused, match="does not take tool_choice"):
        await whole(
            rig.adapter().complete(
                question(tools=tools, tool_choice="required"),
                price_cap=TARIFF,
                on_started=rig.heard,
            )
        )
    assert len(rig.other_side.requests) == 2
    assert not MODEL.takes("tool_choice")
    assert "tool_choice" not in orjson.loads(MODEL.document)["supported_parameters"]


async def test_while_nobody_reads_on_the_upstream_is_held_up(rig: OllamaRig) -> None:
    """One piece of an endless answer is read: the sockets fill, and nothing more is sent."""
    other_side = rig.other_side
    other_side.faults.append(F.ENDLESS)
    answer = rig.adapter().complete(question(), price_cap=TARIFF, on_started=rig.heard)
    await anext(answer)
    before = -1
    while before != other_side.sent_bytes:
        before = other_side.sent_bytes
        await asyncio.sleep(0.1)
    assert 0 < before < HELD_BYTES_MAX
    for _ in range(1_000):
        await anext(answer)
        await asyncio.sleep(0)
        if other_side.sent_bytes > before:
            break
    assert other_side.sent_bytes > before
    await answer.aclose()
    assert rig.earned_pusd == 0
