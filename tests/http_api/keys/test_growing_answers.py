"""A key with little credit begins what may cost much, and pays for what was said and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_text, usd_text
from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import Reasoning
from tests.fakes.upstream_outcomes import Completes, Outcome, fake_endpoint, fake_model
from tests.http_api.face_rig import FaceRig, open_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import DONE, chunks_of, standing, text_of

S = Progress
# At 94,000.50 USD a bitcoin.
SAT_OF_ONE_USD = 1_064
WORD = "letters "
IN_PUSD, OUT_PUSD = 3_000_000, 15_000_000
SONNET = fake_model(
    "anthropic/claude-sonnet-4.5",
    price=ModelPrice(prompt_pusd=IN_PUSD, completion_pusd=OUT_PUSD, cache_write_pusd=3_750_000),
    context_length=1_000_000,
    max_out=64_000,
    image_price=ImagePrice(image_pusd=0),
    reasoning=Reasoning.ASKED,
)
ANTHROPIC = fake_endpoint("anthropic", price=SONNET.price, stops=True)
BEDROCK = fake_endpoint("amazon-bedrock", provider="Amazon Bedrock", price=SONNET.price)
# As large as the first request of a coding agent, and like it in what it is made of.
PROMPT = ("You are an agent that edits files; read each of them before you change it.\n" * 1_540)[
    :115_800
]
AGENT: dict[str, Any] = {
    "model": SONNET.model_id,
    "messages": [{"role": "user", "content": PROMPT}],
    "max_tokens": 32_000,
    "stream": True,
}
SMALL = {**AGENT, "messages": [{"role": "user", "content": "Tell me of Lightning."}]}

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


async def offer(rig: FaceRig, *outcomes: Outcome) -> None:
    """The model at its two providers, one of whom stops."""
    rig.upstream.offered = (*rig.upstream.offered, SONNET)
    rig.upstream.served_by[SONNET.model_id] = (ANTHROPIC, BEDROCK)
    await rig.service.flows.catalogue.refresh()
    rig.upstream.then(*outcomes)


def said(words: int, *, tokens: int, cut_tokens: int | None = None) -> Completes:
    """An answer of so many words, each eight bytes, that costs so many tokens, or those cut."""
    return Completes(
        answer=(WORD * words).strip(),
        cost=usd_text(cost_of(tokens)),
        cut_cost=None if cut_tokens is None else usd_text(cost_of(cut_tokens)),
        stops=True,
    )


def cost_of(tokens: int) -> int:
    """Of a short prompt and so many tokens of output, in pico-USD."""
    return 300 * IN_PUSD + tokens * OUT_PUSD


def kinds_of(rig: FaceRig, escrow: Escrow) -> list[str]:
    """What the journal has of it."""
    entries = rig.books.rows.journal.values()
    return [one.kind for one in entries if one.subject_id == escrow.escrow_id]


async def test_a_key_with_one_dollar_begins_what_a_coding_agent_asks(tmp_path: Path) -> None:
    """115.8 kB and 32,000 tokens may cost more than it has; what is reserved is a part of that."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT_OF_ONE_USD)
        cost = usd_text(29_000 * 3_750_000 + 200 * OUT_PUSD)
        await offer(rig, Completes(answer=WORD * 60, cost=cost))
        reply = await rig.ask(AGENT, token=bearer(key))
        assert reply.status == 200
        assert reply.body.endswith(DONE)
        quote = rig.last.quote
        assert quote.ceiling_msat > SAT_OF_ONE_USD * 1_000
        assert quote.credit_reserved_msat < SAT_OF_ONE_USD * 1_000 // 2
        assert (rig.last.mode, rig.last.progress) == (Mode.CREDIT, S.RELEASED)
        assert rig.last.price_msat == rig.last.price_of(pusd_from_text(cost)).price_msat
        left = await standing(rig, proof)
        assert left["reserved_msat"] == 0
        assert left["available_msat"] == SAT_OF_ONE_USD * 1_000 - rig.last.price_msat
        assert rig.upstream.runs[-1].call.stoppable
        assert rig.upstream.runs[-1].call.max_tokens == 32_000


async def test_a_long_answer_is_extended_ahead_of_what_it_says(tmp_path: Path) -> None:
    """24,000 bytes take four extensions, each twice as large; the caller reads all of it."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(SAT_OF_ONE_USD)
        await offer(rig, said(3_000, tokens=6_000))
        reply = await rig.ask(SMALL, token=bearer(key))
        chunks = chunks_of(reply)
        assert text_of(chunks) == (WORD * 3_000).strip()
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert kinds_of(rig, rig.last).count("reservation_extended") == rig.last.extensions == 5
        assert rig.last.price_msat == rig.last.price_of(cost_of(6_000)).price_msat
        assert (await standing(rig, proof))["reserved_msat"] == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_what_cannot_be_extended_is_closed_upstream_and_ends_with_length(
    tmp_path: Path, *, stream: bool
) -> None:
    """What was generated is the caller's at its cost, found in the record; credit stays at zero."""
    async with open_face(tmp_path) as rig:
        credit = 200
        key, proof = await rig.key(credit)
        await offer(rig, said(20_000, tokens=40_000, cut_tokens=2_500))
        reply = await rig.ask({**SMALL, "stream": stream}, token=bearer(key))
        escrow = rig.last
        assert reply.status == 200
        assert rig.upstream.left == 1
        if stream:
            chunks = chunks_of(reply)
            text, last = text_of(chunks), chunks[-1]
            assert reply.body.endswith(DONE)
        else:
            last = reply.json()
            text = last["choices"][0]["message"]["content"]
        assert last["choices"][0]["finish_reason"] == "length"
        assert text
        assert (WORD * 20_000).startswith(text)
        assert last["cobot"]["cost"]["standing"] == "confirmed"
        assert escrow.progress is S.RELEASED
        assert escrow.price_msat == escrow.price_of(cost_of(2_500)).price_msat
        assert escrow.price_msat <= escrow.reserved_msat <= credit * 1_000
        left = await standing(rig, proof)
        assert (left["available_msat"], left["reserved_msat"]) == (
            credit * 1_000 - escrow.price_msat,
            0,
        )


async def test_the_limit_of_a_key_ends_an_answer_as_its_credit_does(tmp_path: Path) -> None:
    """An owner who limits a key to 150 sat loses no more through it, whatever is asked."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(50_000, limit_sat=150)
        await offer(rig, said(20_000, tokens=40_000, cut_tokens=1_500))
        reply = await rig.ask(SMALL, token=bearer(key))
        assert chunks_of(reply)[-1]["choices"][0]["finish_reason"] == "length"
        assert rig.last.reserved_msat <= 150_000
        assert rig.last.price_msat <= 150_000


async def test_a_bill_beyond_the_reservation_is_the_operators(tmp_path: Path) -> None:
    """The caller pays what was reserved; the rest counts as an overrun of the day."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(200)
        await offer(rig, said(20_000, tokens=40_000, cut_tokens=12_000))
        await rig.ask(SMALL, token=bearer(key))
        escrow = rig.last
        assert escrow.price_msat == escrow.reserved_msat
        counted = rig.books.rows.ledger.of(chart.overrun(escrow.quote.day))
        assert counted.net == counted.claimed == escrow.overrun_of(cost_of(12_000)) > 0
        assert (await standing(rig, proof))["available_msat"] >= 0


async def test_once_the_day_has_lost_enough_a_request_needs_its_whole_ceiling(
    tmp_path: Path,
) -> None:
    """What may be lost is reserved before it runs: no request begins that could pass the bound."""
    async with open_face(tmp_path, OVERRUN_DAY_USD="0.02", OVERRUN_REQUEST_USD="0.01") as rig:
        key, _ = await rig.key(200)
        await offer(rig, *(said(20_000, tokens=40_000, cut_tokens=12_000) for _ in range(9)))
        statuses = []
        for number in range(9):
            mine = {**SMALL, "messages": [{"role": "user", "content": f"Story {number}"}]}
            key, _ = await rig.key(200)
            statuses.append((await rig.ask(mine, token=bearer(key))).status)
        assert statuses[0] == 200
        assert statuses[-1] == 402
        assert set(statuses) == {200, 402}
        assert len(rig.upstream.runs) == statuses.count(200)


@pytest.mark.parametrize(
    "what",
    [
        {"reasoning": {"effort": "high"}},
        {"provider": {"only": ["amazon-bedrock"]}},
        {"provider": {"ignore": ["anthropic"]}},
        {"models": ["mistralai/mistral-small-2603"], "max_tokens": 16_000},
        {"messages": [{"role": "user", "content": [PICTURE]}]},
    ],
)
async def test_what_may_run_on_unseen_needs_its_whole_ceiling(
    tmp_path: Path, what: dict[str, Any]
) -> None:
    """Thoughts or pictures that we cannot count, a provider who charges on: 402, nothing runs."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(200)
        await offer(rig)
        reply = await rig.ask({**SMALL, **what}, token=bearer(key))
        assert reply.status == 402
        assert rig.upstream.runs == []


async def test_ample_credit_reserves_the_ceiling_and_asks_nobody(tmp_path: Path) -> None:
    """No commit more, no look-up of providers, nothing at the operator's risk."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(20_000)
        await offer(rig, said(3_000, tokens=6_000))
        await rig.ask(SMALL, token=bearer(key))
        assert rig.last.quote.credit_reserved_msat == rig.last.quote.ceiling_msat
        assert rig.upstream.asked_for_endpoints == []
        assert rig.last.extensions == 0


async def test_many_at_once_overspend_nothing(tmp_path: Path) -> None:
    """Forty long answers on credit for a few: each is whole, cut or refused, and none is owed."""
    async with open_face(tmp_path) as rig:
        key, proof = await rig.key(600)
        await offer(rig, *(said(900, tokens=1_900, cut_tokens=400) for _ in range(40)))
        asked = [
            {**SMALL, "messages": [{"role": "user", "content": f"Story {number}"}]}
            for number in range(40)
        ]
        replies = await asyncio.gather(*(rig.ask(one, token=bearer(key)) for one in asked))
        assert {reply.status for reply in replies} == {200, 402}
        sold = [escrow for escrow in rig.escrows if escrow.progress is S.RELEASED]
        assert len(sold) == sum(reply.status == 200 for reply in replies) > 2
        assert all(escrow.price_msat <= escrow.reserved_msat for escrow in sold)
        left = await standing(rig, proof)
        assert left["available_msat"] == 600_000 - sum(escrow.price_msat for escrow in sold)
        assert (left["available_msat"] >= 0, left["reserved_msat"]) == (True, 0)
