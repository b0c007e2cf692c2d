"""Answers that are closed before their end, held against the bill of whoever generated them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.api_key.record import ApiKey, KeyWish
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_decimal
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from openrouter_simulator.account import Account
from openrouter_simulator.book.credit_book import Generation
from tests.flows.rigs.stories import Stage, ask_of, hear
from tests.flows.sale.test_every_fault import FIRST, reckon, staged_on_the_simulator

CALLER = "c_agent"
# At Haiku's 5 USD a million and the rate of these flows: 2,000 tokens of output, and 16,000.
LITTLE_MSAT = 1_500_000
MUCH_MSAT = 12_000_000
SAID_EVERY_S = 0.002


async def key_with(stage: Stage, amount_msat: int) -> ApiKey:
    """A key of a caller who has topped up so much."""
    offer = await stage.process.top_up.offer(address_key=CALLER, caller_id=CALLER)
    await stage.node.pay(offer.payment_request, amount_msat=amount_msat)
    await hear(stage)
    await stage.process.flows.manage_keys.make(CALLER, KeyWish(), name=None)
    (key,) = stage.books.rows.api_keys.values()
    return key


def story(key: ApiKey, number: int = 1, *, words: int = 3_000) -> Ask:
    """A long answer is wanted, by a key."""
    content = f"Tell me of harbour {number} in {words} words"
    body = orjson.dumps({"model": FIRST, "messages": [{"role": "user", "content": content}]})
    plain = ask_of(caller_id=CALLER, body=body)
    request = replace(plain.request, model=FIRST, max_tokens=16_000, prompt_bytes=len(body))
    return replace(plain, request=request, key=key)


async def told(stage: Stage, ask: Ask) -> tuple[Escrow, dict[str, object]]:
    """The sale, and its choice."""
    answer = await stage.process.ask_completion.answer(ask)
    await stage.process.runs.finish()
    assert answer.kind is AnswerKind.COMPLETION
    choice: dict[str, object] = orjson.loads(answer.body)["choices"][0]
    return answer.escrow, choice


def billed(account: Account) -> Generation:
    """The newest generation in the other side's book."""
    return list(account.book.generations)[-1]


@pytest.mark.timeout(120)
async def test_a_partial_answer_costs_what_was_generated(tmp_path: Path) -> None:
    """Cut when credit was used up: the bill is for the words until then, and so is the price."""
    async with staged_on_the_simulator(tmp_path, within_s=20.0) as (stage, account):
        account.timing.chunk_s = SAID_EVERY_S
        key = await key_with(stage, LITTLE_MSAT)
        escrow, choice = await told(stage, story(key))
        bill = billed(account)
        assert (bill.cancelled, bill.provider) == (True, "Anthropic")
        assert choice["finish_reason"] == "length"
        assert escrow.progress is Progress.RELEASED
        cost_pusd = pusd_from_decimal(bill.total_cost)
        assert escrow.cost_pusd == cost_pusd > 0
        assert escrow.price_msat == escrow.price_of(cost_pusd).price_msat
        assert escrow.price_msat <= escrow.reserved_msat <= LITTLE_MSAT
        await reckon(stage, account)
        assert stage.books.rows.ledger.of(chart.overrun(escrow.quote.day)).net == 0
        caller = stage.books.rows.ledger.of(chart.available(CALLER))
        assert -caller.net == LITTLE_MSAT - escrow.price_msat


@pytest.mark.timeout(120)
async def test_an_answer_that_credit_reaches_for_is_whole(tmp_path: Path) -> None:
    """The same request with more credit: extended to its end, billed and paid for as a whole."""
    async with staged_on_the_simulator(tmp_path, within_s=20.0) as (stage, account):
        key = await key_with(stage, MUCH_MSAT)
        escrow, choice = await told(stage, story(key, words=1_500))
        bill = billed(account)
        assert (bill.cancelled, choice["finish_reason"]) == (False, "stop")
        assert escrow.quote.grows
        assert escrow.extensions > 0
        cost_pusd = pusd_from_decimal(bill.total_cost)
        assert escrow.price_msat == escrow.price_of(cost_pusd).price_msat
        await reckon(stage, account)


@pytest.mark.timeout(120)
async def test_who_is_named_serves_and_whoever_charges_on_does_not(tmp_path: Path) -> None:
    """With its best provider away the request is served by one that stops, or by nobody."""
    async with staged_on_the_simulator(tmp_path, within_s=20.0) as (stage, account):
        key = await key_with(stage, LITTLE_MSAT)
        for number in range(4):
            answer, _ = await told(stage, story(key, number, words=20))
            assert answer.quote.grows
            assert billed(account).provider == "Anthropic"
        await reckon(stage, account)
