"""The context of a local model is set before it is asked, and a prompt that it would cut is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.adapters.upstreams.ollama.contexts import sized_name
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import RequestInvalid, UpstreamFaultKind, UpstreamRefused
from cobot_meter.domain.pricing.token_bounds import tokens_bound
from cobot_meter.domain.upstream.completions import (
    TEMPLATE_TOKENS,
    CompletionRequest,
    refuse_over_context,
)
from tests.adapters.upstreams.ollama.ollama_rig import (
    LOCAL,
    MODEL,
    TARIFF,
    OllamaRig,
    ollama_rig,
    question,
)
from tests.contracts.upstream.answer_feeds import whole
from tests.fakes.servers.ollama_server import MODEL_NAME


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[OllamaRig]:
    """A fresh Ollama behind a real socket."""
    async with ollama_rig(tmp_path) as begun:
        yield begun


async def test_the_context_that_is_sold_is_the_one_that_is_run_with(rig: OllamaRig) -> None:
    """A name with `num_ctx` is made once, asked under that name, and called by the operator's."""
    adapter = rig.adapter()
    first, second = [
        await whole(adapter.complete(question(), price_cap=TARIFF, on_started=rig.heard))
        for _ in range(2)
    ]
    assert rig.other_side.created == [
        {
            "model": "cobot-meter/llama3.2:3b-ctx8192",
            "from": MODEL_NAME,
            "parameters": {"num_ctx": 8_192},
            "stream": False,
        }
    ]
    assert {sent["model"] for sent in rig.other_side.requests} == {sized_name(MODEL)}
    for done in (first, second):
        assert orjson.loads(done.body)["model"] == MODEL.model_id


@pytest.mark.parametrize("change", ["another process", "pulled anew", "taken away"])
async def test_it_is_made_anew_where_it_may_be_another(rig: OllamaRig, change: str) -> None:
    """Whatever changed there since, the next run has the context and the newest weights."""
    adapter = rig.adapter()
    await whole(adapter.complete(question(), price_cap=TARIFF, on_started=rig.heard))
    match change:
        case "another process":
            adapter = rig.adapter()
        case "pulled anew":
            rig.other_side.digest = "sha256:two"
        case _:
            rig.other_side.sized.clear()
    await whole(adapter.complete(question(), price_cap=TARIFF, on_started=rig.heard))
    assert len(rig.other_side.created) == 2


@pytest.mark.parametrize("why", ["is not there", "could not be set to 8192"])
async def test_what_cannot_be_sized_is_not_asked(rig: OllamaRig, why: str) -> None:
    """Refused before anything is sent; a model that is not there is never downloaded."""
    if why == "is not there":
        rig.other_side.names.clear()
    else:
        rig.other_side.cannot_create = True
    with pytest.raises(UpstreamRefused, match=why) as refused:
        await rig.run()
    assert refused.value.kind is UpstreamFaultKind.NOT_FOUND
    assert rig.other_side.posts == 0
    assert rig.heard.ids == []


async def test_a_name_with_the_context_that_runs_elsewhere_is_not_asked(rig: OllamaRig) -> None:
    """Also where only the list of another machine has it: what is local stays here."""
    rig.other_side.remote = {"remote_host": "https://ollama.com:443"}
    here = replace(MODEL, on_this_machine=True)
    with pytest.raises(UpstreamRefused, match="does not run on this machine"):
        await rig.run(models=(here,))
    assert (rig.other_side.posts, rig.other_side.created) == (0, [])


def test_a_prompt_that_might_be_cut_is_refused_with_what_would_fit() -> None:
    """To the token; the same prompt for a model that says when it is too long is let through."""
    content = b"a sentence of ordinary words, " * 400
    most = tokens_bound(content) + TEMPLATE_TOKENS
    request = CompletionRequest(
        body=Body(content), model=MODEL.model_id, max_tokens=1, prompt_bytes=len(content)
    )
    fits = MODEL.context_length - most
    assert MODEL.model_id.startswith(LOCAL)
    refuse_over_context(request, MODEL, max_tokens=fits)
    with pytest.raises(RequestInvalid, match=f"up to {most} tokens.*max_tokens {fits} would fit"):
        refuse_over_context(request, MODEL, max_tokens=fits + 1)
    refuse_over_context(request, replace(MODEL, cuts_prompts=False), max_tokens=fits + 1)
    long = replace(request, body=Body(content * 8))
    with pytest.raises(RequestInvalid, match="cut the prompt without a word; send a shorter"):
        refuse_over_context(long, MODEL, max_tokens=1)
