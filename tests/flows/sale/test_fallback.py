"""A chain of models: one whole answer for the caller, and every attempt in the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.errors import (
    CobotMeterError,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
)
from cobot_meter.domain.escrow.record import Escrow, Fallback, Opening
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.run.events import RunFailed, UpstreamRequested
from cobot_meter.domain.run.record import Failure
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.record_event import WRITTEN_EVERY_S
from cobot_meter.flows.sale.ask_completion import AnswerKind, ask_key
from cobot_meter.flows.vault import request_label
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import Completes, Failed, Outcome, Refused, Unknown, Unreachable
from tests.flows.rigs.chains import (
    FIRST,
    GOOD,
    LOCAL,
    SECOND,
    THIRD,
    WASTED,
    anew,
    chained,
    come_to,
    escrows,
    runs,
)
from tests.flows.rigs.process import RATE_USD_MICRO
from tests.flows.rigs.stories import CALLER, COST, Stage, ask_of, end, hear, pay
from tests.flows.sale.test_crash_points import killed_on_the_way, prove_sound, restart, staged
from tests.flows.sale.test_replicas import another


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A service whose upstream has four models."""
    async with staged(tmp_path / "node") as begun:
        begun.lasting.upstream.offered = (FIRST, SECOND, THIRD, LOCAL)
        begun.lasting.upstream.usually = GOOD
        await begun.process.catalogue.refresh()
        yield begun


@pytest.mark.parametrize(
    ("outcome", "wasted"),
    [
        (Unknown(cost=WASTED), WASTED),
        (Failed(cost=WASTED), WASTED),
        (Failed(cost=WASTED, says_cost=True), WASTED),
        (Unreachable(), "0"),
        (Refused(status=429), "0"),
        (Refused(status=503), "0"),
        (Refused(status=404), "0"),
    ],
    ids=["cut", "failed", "failed with its cost", "unreachable", "429", "503", "404"],
)
async def test_all_attempts_billed_once(stage: Stage, outcome: Outcome, wasted: str) -> None:
    """The caller pays the attempt that answered; what others cost is booked to us, each once."""
    come_to(stage, first=outcome)
    answer = await stage.process.ask_completion.answer(chained(SECOND))
    assert answer.kind is AnswerKind.CHALLENGE
    (escrow,) = escrows(stage)
    first, second = escrow.runs
    assert answer.escrow == escrow
    assert (first.state, second.state) == (RunState.FAILED, RunState.COSTED)
    assert (escrow.run, escrow.run_id) == (second, f"{escrow.escrow_id}.2")
    assert (escrow.model, escrow.quote.model) == (SECOND.model_id, FIRST.model_id)
    assert first.failure is not None
    assert escrow.fallback_now == Fallback(asked_model=FIRST.model_id, reason=first.failure.code)
    await pay()(stage)
    await hear(stage)
    proof = replace(chained(SECOND), proven_escrow_id=escrow.escrow_id)
    bought = await stage.process.ask_completion.answer(proof)
    assert bought.kind is AnswerKind.COMPLETION
    await end(stage)
    await prove_sound(stage)
    ledger = stage.books.rows.ledger
    assert ledger.of(chart.COST_FAILED).net == pusd_from_text(wasted)


async def test_the_ceiling_is_that_of_the_dearest(stage: Stage) -> None:
    """Whoever answers, the caller was told the same most it can cost, and each run its own cap."""
    come_to(stage, first=Unknown(cost=WASTED))
    await stage.process.ask_completion.answer(chained(SECOND, THIRD))
    (escrow,) = escrows(stage)
    caps = [run.price_cap for run in stage.lasting.upstream.runs[-2:]]
    assert caps == [FIRST.price, SECOND.price]
    assert escrow.prices == SECOND.price
    assert escrow.price_msat <= escrow.quote.ceiling_msat
    held = [run.budget_held_pusd for run in escrow.runs]
    assert held[0] == escrow.quote.ceiling_pusd, "what nobody knows yet stays reserved beside it"


async def test_the_chain_is_asked_to_its_end(stage: Stage) -> None:
    """Two fail, the third answers; when all fail the last failure is the answer."""
    come_to(stage, first=Unknown(cost=WASTED), second=Failed(cost=WASTED))
    answer = await stage.process.ask_completion.answer(chained(SECOND, THIRD))
    assert answer.escrow.model == THIRD.model_id
    assert answer.escrow.run_id == f"{answer.escrow.escrow_id}.3"
    assert answer.escrow.asked_model == FIRST.model_id
    come_to(stage, first=Unknown(), second=Failed(), third=Refused(status=404))
    other = anew(9, SECOND, THIRD)
    with pytest.raises(UpstreamRefused):
        await stage.process.ask_completion.answer(other)
    last = escrows(stage)[-1]
    assert last.progress is Progress.FAILED
    assert [run.state for run in last.runs] == [RunState.FAILED] * 3
    assert last.failure == last.run.failure
    await end(stage)
    await prove_sound(stage)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_nobody_answers_better_is_returned(stage: Stage, status: int) -> None:
    """A request that is wrong is wrong everywhere: no other model is asked."""
    come_to(stage, first=Refused(status=status))
    with pytest.raises(UpstreamRefused):
        await stage.process.ask_completion.answer(chained(SECOND))
    assert len(escrows(stage)) == 1
    assert stage.lasting.upstream.posts == 1


@pytest.mark.parametrize("status", [401, 402])
async def test_what_is_wrong_with_our_account_is_asked_elsewhere(stage: Stage, status: int) -> None:
    """Models of the same account are passed over; one of another upstream is asked."""
    come_to(stage, first=Refused(status=status))
    answer = await stage.process.ask_completion.answer(chained(SECOND, THIRD, LOCAL))
    assert answer.escrow.model == LOCAL.model_id
    assert answer.escrow.run.upstream == LOCAL.upstream
    assert stage.lasting.upstream.posts == 2
    with pytest.raises(UpstreamRefused):
        await stage.process.ask_completion.answer(anew(101, SECOND))


async def test_only_what_was_never_run_is_asked_again(stage: Stage) -> None:
    """Unreachable: once more, then the next. A run that may have been charged: never the same."""
    come_to(stage, first=Unreachable())
    await stage.process.ask_completion.answer(chained(SECOND))
    assert stage.lasting.upstream.posts == 3
    come_to(stage, first=Unknown(announced=False))
    await stage.process.ask_completion.answer(anew(102, SECOND))
    assert stage.lasting.upstream.posts == 5
    sent = [run.body for run in stage.lasting.upstream.runs]
    assert len(set(sent)) == 1, "every attempt is sent the whole request"


async def test_a_short_wait_is_waited_and_a_long_one_is_not(stage: Stage) -> None:
    """429 for a second: the same model again; for a minute: the next one at once."""
    come_to(stage, first=Refused(status=429, retry_after_s=1))
    began_ms = stage.lasting.clock.now_ms()
    await stage.process.ask_completion.answer(chained(SECOND))
    assert stage.lasting.upstream.posts == 3
    assert stage.lasting.clock.now_ms() - began_ms >= 1_000
    come_to(stage, first=Refused(status=429, retry_after_s=60))
    await stage.process.ask_completion.answer(anew(103, SECOND))
    assert stage.lasting.upstream.posts == 5


async def test_the_operators_chain_is_for_those_who_name_none(stage: Stage) -> None:
    """Its models follow the one asked for; a caller's own `models` replace it, even by one name."""
    catalogue = ModelCatalogue(
        upstream=stage.lasting.upstream,
        clock=stage.lasting.clock,
        allowed=frozenset(),
        fallbacks=("nobody/offers-it", THIRD.model_id, FIRST.model_id),
    )
    await catalogue.refresh()
    quoting = QuoteRequest(
        catalogue=catalogue,
        rates=StaticRate(usd_micro_per_btc=RATE_USD_MICRO, clock=stage.lasting.clock),
        price_terms=PriceTerms(),
        exposure=ExposureTerms(cap=CapTerms()),
        steady_clock=stage.process.steady_clock,
    )
    assert quoting.models(ask_of().request) == (FIRST, THIRD)
    assert quoting.models(chained(SECOND).request) == (FIRST, SECOND)
    assert quoting.models(chained(FIRST).request) == (FIRST,)


async def test_a_kill_in_the_second_attempt_ends_the_one_sale(stage: Stage) -> None:
    """Its run may have been charged, and nobody waits any more: outcome unknown, for a minute."""
    come_to(stage, first=Unreachable())
    stage.process.mortal.crash = Crash(moment=Moment.AFTER, commits=1)
    with pytest.raises(Killed):
        await stage.process.ask_completion.answer(chained(SECOND))
    (escrow,) = escrows(stage)
    assert (escrow.run.number, escrow.progress) == (2, Progress.REQUESTED)
    await restart(stage)
    asked = replace(chained(SECOND), respond_async=True)
    with pytest.raises(OutcomeUnknown):
        await stage.process.ask_completion.answer(asked)
    (escrow,) = escrows(stage)
    assert escrow.failure == escrow.run.failure
    stage.lasting.clock.advance(61)
    answer = await stage.process.ask_completion.answer(asked)
    assert answer.kind is AnswerKind.ACCEPTED
    assert answer.escrow != escrow
    await stage.process.runs.finish()
    await end(stage)
    await prove_sound(stage)


@pytest.mark.parametrize("outcome", [Unreachable(), Unknown(cost=WASTED)])
async def test_a_request_that_cannot_be_read_again_fails_as_it_did(
    stage: Stage, outcome: Outcome
) -> None:
    """Without the stored request nothing can go on: the first failure stands, and is booked."""
    come_to(stage, first=outcome)
    stage.lasting.sealer.broken.add(request_label(f"esc_{1:064d}"))
    with pytest.raises(CobotMeterError):
        await stage.process.ask_completion.answer(chained(SECOND))
    (only,) = escrows(stage)
    assert (only.progress, only.runs_made) == (Progress.FAILED, 1)
    assert stage.lasting.upstream.posts == 1
    await end(stage)
    await prove_sound(stage)


async def test_all_attempts_share_one_deadline(stage: Stage) -> None:
    """While somebody else is left an attempt gets half of what is left; the last gets it all."""
    come_to(stage, first=Unknown(), second=Unknown())
    await stage.process.ask_completion.answer(chained(SECOND, THIRD))
    first_ms, second_ms, third_ms = (limit or 0 for limit in stage.lasting.upstream.limits_ms)
    assert first_ms == 150_000
    assert second_ms <= 150_000
    assert 150_000 < third_ms <= 300_000


async def test_a_model_that_keeps_failing_comes_last(stage: Stage) -> None:
    """After five failures an ask begins with the second, and says so, until the first is well."""
    come_to(stage, first=Refused(status=429))
    for number in range(5):
        await stage.process.ask_completion.answer(anew(number, SECOND))
    posts = stage.lasting.upstream.posts
    answer = await stage.process.ask_completion.answer(anew(104, SECOND))
    assert stage.lasting.upstream.posts == posts + 1, "one call an ask while the circuit is open"
    assert answer.escrow.quote.model == SECOND.model_id
    assert answer.escrow.fallback_now == Fallback(asked_model=FIRST.model_id, reason="circuit_open")
    come_to(stage)
    stage.lasting.clock.advance(31)
    again = await stage.process.ask_completion.answer(anew(105, SECOND))
    assert again.escrow.quote.model == FIRST.model_id
    assert again.escrow.fallback is None


@pytest.mark.parametrize(
    ("outcome", "own_terms"),
    [
        (Refused(status=404), False),  # parameters, prices or policies that nobody meets
        (Refused(status=400), False),
        (Refused(status=402), False),
        (Refused(status=401), False),
        (Refused(status=429), True),
        (Refused(status=503), True),
    ],
)
async def test_what_the_model_did_not_bring_about_leaves_its_circuit_closed(
    stage: Stage, *, outcome: Outcome, own_terms: bool
) -> None:
    """Six asks that fail by their own terms or ours, and the next still begins with it (K4.7)."""
    come_to(stage, first=outcome)
    for number in range(6):
        asked = anew(number, SECOND)
        asked = replace(asked, request=replace(asked.request, own_terms=own_terms))
        with contextlib.suppress(CobotMeterError):
            await stage.process.ask_completion.answer(asked)
    come_to(stage)
    answer = await stage.process.ask_completion.answer(anew(104, SECOND))
    assert answer.escrow.quote.model == FIRST.model_id
    assert answer.escrow.fallback is None


async def test_the_same_ask_finds_whatever_it_went_on_as(stage: Stage) -> None:
    """Repeated in the middle or afterwards, here or elsewhere: one invoice, nothing runs twice."""
    come_to(stage, first=Unknown(cost=WASTED), second=Completes(cost=COST, gate=asyncio.Event()))
    gate = stage.lasting.upstream.by_model[SECOND.model_id].gate  # type: ignore[union-attr]
    asked = chained(SECOND, idempotency_key="once")
    first = asyncio.ensure_future(stage.process.ask_completion.answer(asked))
    async with asyncio.timeout(60):
        while stage.lasting.upstream.posts < 2:  # noqa: ASYNC110 - the writer is another thread
            await asyncio.sleep(0.001)
    second = asyncio.ensure_future(stage.process.ask_completion.answer(asked))
    other = await another(stage)
    elsewhere = asyncio.ensure_future(other.ask_completion.answer(asked))
    await asyncio.sleep(0)
    assert gate is not None
    gate.set()
    answers = [
        await first,
        await second,
        await elsewhere,
        await stage.process.ask_completion.answer(asked),
    ]
    (only,) = escrows(stage)
    assert {answer.escrow.escrow_id for answer in answers} == {only.escrow_id}
    assert {answer.kind for answer in answers} == {AnswerKind.CHALLENGE}
    assert stage.lasting.upstream.posts == 2
    await other.runs.finish()


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_kill_anywhere_in_a_chain_leaves_sound_books(
    tmp_path: Path, moment: Moment
) -> None:
    """Killed at each commit of a chain of two: nothing runs twice, every cost has its account."""
    for number in range(12):
        async with staged(tmp_path / f"{moment}-{number}") as stage:
            stage.lasting.upstream.offered = (FIRST, SECOND, THIRD, LOCAL)
            await stage.process.catalogue.refresh()
            come_to(stage, first=Unknown(cost=WASTED), second=GOOD)
            await killed_on_the_way(stage, Crash(moment=moment, commits=number), chained(SECOND))
            assert len(stage.lasting.upstream.runs) <= len(runs(stage))
            assert sum(one.paid_msat > 0 for one in escrows(stage)) <= 3


async def test_a_failure_that_is_continued_waits_for_the_books_too(stage: Stage) -> None:
    """Books that are away for two minutes while the first model fails: the second is asked."""
    come_to(stage, first=Unreachable(), second=GOOD)
    upstream = stage.lasting.upstream
    upstream.open.clear()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(stage.process.ask_completion.answer(chained(SECOND)))
        await upstream.reached.wait()
        stage.books.busy = int(120 / WRITTEN_EVERY_S)
        upstream.open.set()
        answer = await asking
    assert stage.books.busy == 0
    assert answer.kind is AnswerKind.CHALLENGE
    (escrow,) = escrows(stage)
    assert escrow.progress is Progress.INVOICED
    assert [run.state for run in escrow.runs] == [RunState.FAILED, RunState.COSTED]


@pytest.mark.parametrize("lost", [False, True], ids=["opened", "never opened"])
async def test_a_key_of_before_leads_to_the_newest_sale_of_its_chain(
    stage: Stage, *, lost: bool
) -> None:
    """In books from before revision 0014 each attempt was a sale, and the first one has the key."""
    newest = (await stage.process.ask_completion.answer(ask_of(body=b"the later attempt"))).escrow
    asked = replace(ask_of(), idempotency_key="once")
    opening = replace(Opening.of(newest), escrow_id="esc_first", ask=ask_key(asked, CALLER))
    first = Escrow.opened(opening, upstream=newest.run.upstream)
    standing = CallerStanding(caller_id=CALLER)
    await stage.process.record_event.apply(
        open_escrow(first, standing=standing, terms=stage.process.exposure, bodies=StoredBodies())
    )
    failure = Failure(code="upstream_failed", message="It failed.")
    failed = RunFailed(
        failure=failure, charged=False, continued_as="esc_gone" if lost else newest.escrow_id
    )
    for event in (UpstreamRequested(), failed):
        first = await stage.process.record_event.record(first, event)
    if lost:
        with pytest.raises(UpstreamFailed):
            await stage.process.ask_completion.answer(asked)
    else:
        answer = await stage.process.ask_completion.answer(asked)
        assert answer.escrow == newest
    await end(stage)
