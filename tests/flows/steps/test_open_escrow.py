"""Who may have a place before others, and what an opening says of the model that is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CallerBlocked, ExposureExceeded
from cobot_meter.domain.escrow.record import AskKey, Fallback
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.events import RunFailed
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange, Transition
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.sale.open_escrow import TRIES, Opener
from cobot_meter.flows.sale.run_completion import Attempted
from cobot_meter.ports.books import Applied
from cobot_meter.ports.escrow_runs import JustOpened
from tests.domain.samples import FAILURE
from tests.fakes.upstream_outcomes import FREE_MODEL, PRICED_MODEL, fake_model
from tests.flows.rigs.stories import (
    ADDRESS,
    BODY,
    CALLER,
    Stage,
    ask_of,
    completes,
    hear,
    pay,
    top_up,
)
from tests.flows.sale.test_crash_points import staged

# A prompt and a hundred tokens of it cost less than a thousandth of a satoshi.
CHEAPEST = fake_model("tiny/cheapest", price=ModelPrice(prompt_pusd=10, completion_pusd=10))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A service with a free, a cheap and an ordinary model, and one caller with some credit."""
    async with staged(tmp_path / "node") as begun:
        begun.lasting.upstream.offered = (PRICED_MODEL, CHEAPEST, FREE_MODEL)
        await begun.process.catalogue.refresh()
        await top_up(begun)
        await hear(begun)
        yield begun


class Turns:
    """The place of a run: free or not, and what was said of whoever wants it."""

    def __init__(self, *, free: bool = True) -> None:
        self.free = free
        self.pays: list[bool] = []

    def take(self, *, pays: bool, address: str) -> bool:
        """Notes who came."""
        assert address == ADDRESS
        self.pays.append(pays)
        return self.free


async def opened(
    stage: Stage, model: Model, *, caller_id: str = CALLER, turns: Turns | None = None
) -> JustOpened:
    """An escrow of this caller for that model."""
    opening = stage.process.open_escrow
    escrow_id = opening.new_id()
    key = AskKey(
        request_key=escrow_id,
        address_key=f"{ADDRESS} {escrow_id}",
        address=ADDRESS,
        request_sha256="5e" * 32,
        nameless=False,
    )
    request = replace(ask_of().request, model=model.model_id, body=Body(BODY))
    opener = Opener(escrow_id=escrow_id, ask=key, caller_id=caller_id)
    return await opening.open(request, opener, at_once=(turns or Turns()).take)


@pytest.mark.parametrize(
    ("model", "caller_id", "pays"),
    [
        (PRICED_MODEL, "c_stranger", False),
        (PRICED_MODEL, CALLER, True),
        (CHEAPEST, "c_stranger", False),
        (CHEAPEST, CALLER, True),
        (FREE_MODEL, "c_stranger", False),
        (FREE_MODEL, CALLER, False),
    ],
    ids=lambda value: getattr(value, "model_id", str(value)),
)
async def test_whose_credit_covers_it_goes_before_who_may_never_pay(
    stage: Stage, model: Model, caller_id: str, *, pays: bool
) -> None:
    """To the last msat; a free ask pays nothing, whoever asks."""
    turns = Turns()
    await opened(stage, model, caller_id=caller_id, turns=turns)
    assert turns.pays == [pays]


async def test_who_has_paid_for_others_goes_before_newcomers(stage: Stage) -> None:
    """Without credit that covers it, and not for what is free."""
    await completes()(stage)
    for body in (BODY, BODY.replace(b"?", b"!")):
        await stage.process.ask_completion.answer(ask_of(caller_id="c_bob", body=body))
        await pay()(stage)
        await hear(stage)
    turns = Turns()
    await opened(stage, PRICED_MODEL, caller_id="c_bob", turns=turns)
    await opened(stage, FREE_MODEL, caller_id="c_bob", turns=turns)
    assert turns.pays == [True, False]


@pytest.mark.parametrize("free", [True, False])
async def test_what_has_a_place_is_requested_at_once(stage: Stage, *, free: bool) -> None:
    """In one commit, by this process; and what waits for its turn by nobody yet."""
    opening = await opened(stage, PRICED_MODEL, turns=Turns(free=free))
    escrow = opening.escrow
    own_id = stage.process.replicas.own_id
    expected = (Progress.REQUESTED, own_id) if free else (Progress.OPENED, None)
    assert (escrow.progress, escrow.run.requested_by) == expected
    assert escrow.versions == (1, 1)
    assert (escrow.fallback, escrow.asked_model) == (None, PRICED_MODEL.model_id)
    assert opening.chain == (PRICED_MODEL,)
    assert opening.began_ms == escrow.opened_at_ms == stage.lasting.clock.now_ms()


async def test_nobody_keeps_the_body_while_the_upstream_thinks(stage: Stage) -> None:
    """The ask and what is sent have one body, and whoever sends it takes it from both."""
    upstream, ask = stage.lasting.upstream, ask_of()
    upstream.open.clear()
    answer = asyncio.ensure_future(stage.process.ask_completion.answer(ask))
    await upstream.reached.wait()
    assert ask.request.body.content == b""
    upstream.open.set()
    await answer
    assert [run.body for run in upstream.runs] == [BODY]


async def test_a_caller_who_is_blocked_opens_nothing(stage: Stage) -> None:
    """The operator's word stands before everything that would cost us anything."""
    change = CallerChange(blocked=True, cap_msat=None)
    now_ms = stage.lasting.clock.now_ms()
    await stage.process.record_event.apply(
        caller_transition(CALLER, change, sequence=0, at_ms=now_ms)
    )
    with pytest.raises(CallerBlocked):
        await opened(stage, PRICED_MODEL)
    assert not stage.books.rows.escrows


class Contested(RecordEvent):
    """Somebody is always a moment before: `guard` refuses what is opened."""

    def __init__(self, record_event: RecordEvent, guard: str) -> None:
        self.record_event = record_event
        self.guard = guard
        self.refused: list[Transition] = []

    async def apply(self, transition: Transition, *, lasting: bool = False) -> Applied:
        """Refuses."""
        assert not lasting
        self.refused.append(transition)
        raise ExposureExceeded("no room", guard=self.guard, open_amount=0, asked=1, limit=0)


@pytest.mark.parametrize(("guard", "tries"), [("available", TRIES), ("caller", 1), ("budget", 1)])
async def test_credit_that_others_spend_meanwhile_is_quoted_anew(
    stage: Stage, guard: str, tries: int
) -> None:
    """Three times, and then it is refused; any other guard refuses at once."""
    process = stage.process
    contested = Contested(process.record_event, guard)
    process.open_escrow._ledger = process.ledger_on(record_event=contested)
    stage.lasting.clock.advance(7)
    with pytest.raises(ExposureExceeded) as refused:
        await opened(stage, PRICED_MODEL)
    assert len(contested.refused) == tries == (3 if guard == "available" else 1)
    assert refused.value.at_ms == stage.lasting.clock.now_ms()


async def test_what_is_left_of_a_chain_is_sent_at_once_on_the_same_terms(stage: Stage) -> None:
    """It has the sale of the attempt before it, its time, its body, and the key of its seal."""
    before = await opened(stage, PRICED_MODEL)
    stage.lasting.clock.advance(5)
    left = replace(
        before,
        chain=(CHEAPEST,),
        call=replace(before.call, body=Body(BODY)),
        own_terms=not before.own_terms,
    )
    ended = RunFailed(failure=FAILURE, charged=False)
    driver = stage.process.runs.driver
    assert driver is not None
    fall_back = driver._ask_models._fall_back
    following = await fall_back.next_run(Attempted(before.escrow, ended, left))
    assert following is not None
    escrow = following.escrow
    assert (escrow.escrow_id, escrow.caller_id) == (before.escrow.escrow_id, CALLER)
    assert (escrow.progress, escrow.version) == (Progress.REQUESTED, 2)
    assert (escrow.run.number, escrow.run.version) == (2, 1)
    assert escrow.run.requested_by == stage.process.replicas.own_id
    assert escrow.run.opened_at_ms == stage.lasting.clock.now_ms() > escrow.opened_at_ms
    assert (escrow.model, escrow.prices) == (CHEAPEST.model_id, CHEAPEST.price)
    assert escrow.quote == before.escrow.quote
    assert escrow.run.budget_held_pusd == escrow.quote.opening_pusd
    assert escrow.fallback_now == Fallback(asked_model=PRICED_MODEL.model_id, reason=FAILURE.code)
    assert (following.chain, following.began_ms) == ((CHEAPEST,), before.began_ms)
    assert following.own_terms is left.own_terms is True
    assert following.call.body.content == BODY
    assert following.call.model == CHEAPEST.model_id
    assert following.wrapped_key == before.wrapped_key
    assert await fall_back.next_run(Attempted(escrow)) is None, "it has not ended"
