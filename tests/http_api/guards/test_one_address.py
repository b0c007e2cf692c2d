"""One network address that never pays uses up its own share of the day, and nobody else's."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.flows.offer.quote_request import utc_day
from tests.fakes.upstream_outcomes import (
    FREE_MODEL,
    OTHER_MODEL,
    PRICED_MODEL,
    Completes,
    Failed,
    Refused,
    Unknown,
    Unreachable,
    fake_model,
)
from tests.http_api.face_rig import FaceRig, ask_of, open_face

ROUNDS, AT_ONCE = 40, 12
# What a run of the priced models costs here at most; their ceilings are higher.
COSTS = ("0.0000010", "0.0002658", "0.0005")
DEAR = fake_model("acme/dear", price=ModelPrice(prompt_pusd=5_000_000, completion_pusd=25_000_000))


def outcome(chance: random.Random) -> Completes | Failed | Unknown | Refused | Unreachable:
    """Whatever may become of a run."""
    cost = chance.choice(COSTS)
    return chance.choice(
        (
            Completes(cost=cost),
            Completes(cost=cost, says_cost=False),
            Failed(cost=cost, says_cost=True),
            Failed(cost=cost),
            Unknown(cost=cost),
            Unknown(cost=cost, announced=False),
            Refused(status=chance.choice((400, 402, 403, 404, 429))),
            Unreachable(),
        )
    )


def anything(chance: random.Random, number: int) -> dict[str, Any]:
    """An ask of any size, for any model or chain of them, with or without a limit."""
    names = [one.model_id for one in (PRICED_MODEL, OTHER_MODEL, DEAR, FREE_MODEL)]
    text = f"{number} {'long ' * chance.choice((0, 10, 3_000))}"
    fields: dict[str, object] = {"model": chance.choice(names)}
    if chance.random() < 0.3:
        fields["models"] = chance.sample(names, 2)
    ask = ask_of(text, **fields)
    limit = chance.choice((None, 1_000, 4_000, 16_000))
    return {**ask, "max_tokens": limit} if limit else {k: ask[k] for k in ask if k != "max_tokens"}


async def asked(rig: FaceRig, document: dict[str, Any], headers: dict[str, str]) -> int:
    """The status of one ask."""
    return (await rig.ask(document, headers=headers)).status


@pytest.mark.parametrize("seed", range(4))
async def test_one_address_uses_a_tenth_of_the_newcomers_day(tmp_path: Path, seed: int) -> None:
    """Any asks, chains, failures and lapses, twelve at once: a tenth, and others are served."""
    chance = random.Random(seed)
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, OTHER_MODEL, DEAR, FREE_MODEL)
        await rig.service.flows.catalogue.refresh()
        rig.upstream.by_model[FREE_MODEL.model_id] = Completes(cost="0")
        terms = rig.service.settings.exposure
        day = utc_day(rig.clock.now_ms())
        statuses: list[int] = []
        for round_ in range(ROUNDS):
            rig.upstream.then(*(outcome(chance) for _ in range(AT_ONCE)))
            asks = [
                asked(
                    rig,
                    anything(chance, round_ * AT_ONCE + number),
                    {"Prefer": "respond-async"} if chance.random() < 0.1 else {},
                )
                for number in range(AT_ONCE)
            ]
            statuses += await asyncio.gather(*asks)
            invoiced = [one for one in rig.escrows if one.progress is Progress.INVOICED]
            if invoiced and chance.random() < 0.3 and rig.clock.now_ms() % 86_400_000 < 80_000_000:
                await rig.expire(chance.choice(invoiced))
                await rig.service.flows.catalogue.refresh()
            claimed = rig.books.rows.ledger.of(chart.day_budget(day, newcomer=True)).claimed
            assert claimed <= terms.newcomers_day_pusd // 10
        assert rig.upstream.spent_pusd <= terms.newcomers_day_pusd // 10
        assert statuses.count(429) > ROUNDS
        assert len(rig.escrows) <= terms.address_day_pusd // terms.ask_least_pusd
        rig.upstream.usually = Completes()
        rig.upstream._script.clear()
        assert (await rig.ask(ask_of("From elsewhere"), peer="198.51.100.9")).status == 402


async def test_free_and_refused_asks_end_too(tmp_path: Path) -> None:
    """What costs nothing: so many rows of one address a day as its share has leasts, then 429."""
    async with open_face(tmp_path, ASK_LEAST_USD="0.005") as rig:
        model = FREE_MODEL.model_id
        for number in range(5):
            if number % 2:
                rig.upstream.then(Refused(status=400))
            reply = await rig.ask(ask_of(f"Free {number}", model=model, max_tokens=10))
            assert reply.status == (400 if number % 2 else 200)
        rows = len(rig.escrows), len(rig.books.rows.journal)
        for number in range(20):
            reply = await rig.ask(ask_of(f"More {number}", model=model, max_tokens=10))
            assert reply.status == 429
            assert reply.error["metadata"]["guard"] == "address"
        assert (len(rig.escrows), len(rig.books.rows.journal)) == rows
        elsewhere = ask_of("Elsewhere", model=model, max_tokens=10)
        assert (await rig.ask(elsewhere, peer="198.51.100.9")).status == 200


async def test_a_large_body_counts_once_more_for_each_64_kib(tmp_path: Path) -> None:
    """Bodies are kept for a day: an ask of 640 KiB takes the room of eleven small ones."""
    async with open_face(tmp_path) as rig:
        model = fake_model("acme/wide:free", price=ModelPrice(prompt_pusd=0, completion_pusd=0),
                           context_length=2_000_000)  # fmt: skip
        rig.upstream.offered = (model,)
        await rig.service.flows.catalogue.refresh()
        await rig.ask(ask_of("x" * 655_000, model=model.model_id, max_tokens=10))
        assert rig.last.quote.least_pusd == 10 * 100_000_000
        await rig.ask(ask_of("x" * 656_000, model=model.model_id, max_tokens=10))
        assert rig.last.quote.least_pusd == 11 * 100_000_000


async def test_the_price_and_not_the_ceiling_is_what_stays_reserved(tmp_path: Path) -> None:
    """Four invoiced asks of a caller and an address reserve their prices, and no more (K4.5)."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        caller_id = rig.last.caller_id
        for number in range(4):
            rig.upstream.then(Completes(cost="0.0020000"))
            ask = ask_of(f"Ask {number}", max_tokens=8_000)
            assert (await rig.ask(ask, token=token)).status == 402
        ledger, open_ones = rig.books.rows.ledger, rig.escrows[-4:]
        receivable = ledger.of(chart.receivable(caller_id))
        assert receivable.claimed == sum(one.due_msat for one in open_ones)
        day = open_ones[0].quote.day
        for account in (
            chart.address_budget(open_ones[0].ask.address, day),
            chart.day_budget(day, newcomer=True),
        ):
            assert ledger.of(account).claimed == sum(one.cost_pusd for one in open_ones)
        assert all(one.quote.ceiling_pusd > 2 * one.cost_pusd for one in open_ones)
