"""One run upstream: when it is still sent, by whom, how long it may take, and what it left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.record import CostStanding, Summary
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.domain.upstream.completions import Model, UpstreamCall
from cobot_meter.domain.upstream.fallback import BACKOFF_MAX_MS, Circumstances
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.sale.run_completion import RESTARTED, RunCompletion, RunTerms, inline_cost
from cobot_meter.ports.books import Books
from cobot_meter.ports.escrow_runs import JustOpened
from cobot_meter.ports.identifiers import Sealer
from cobot_meter.ports.upstream import AnswerFeed, TellGeneration, Upstream
from tests.fakes.books import Crash, Killed, Moment
from tests.fakes.upstream_outcomes import Completes, Failed, Outcome, Refused, Unknown, Unreachable
from tests.flows.rigs.chains import FIRST, SECOND, THIRD
from tests.flows.rigs.process import RETENTION, RUN_MS
from tests.flows.rigs.stories import COST, Stage, ask_of
from tests.flows.sale.test_crash_points import staged

S = Progress
ATTEMPT_MIN_MS = 1_000


class Slow:
    """The upstream in memory, where each run takes so long first."""

    def __init__(self, stage: Stage, *takes_ms: int) -> None:
        self.inner = stage.lasting.upstream
        self.clock = stage.lasting.clock
        self.takes_ms = list(takes_ms)

    def complete(
        self,
        call: UpstreamCall,
        *,
        price_cap: ModelPrice,
        on_started: TellGeneration,
        within_ms: int | None = None,
    ) -> AnswerFeed:
        """Time passes, then it comes to what was written down."""
        if self.takes_ms:
            self.clock.set_ms(self.clock.now_ms() + self.takes_ms.pop(0))
        return self.inner.complete(
            call, price_cap=price_cap, on_started=on_started, within_ms=within_ms
        )


class Keyless:
    """Books that hold less of an escrow's bodies than they should."""

    def __init__(self, inner: Books, kept: StoredBodies | None) -> None:
        self.inner = inner
        self.kept = kept

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        """What is left."""
        del escrow_id
        return self.kept

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every other part of the port
        return getattr(self.inner, name)


class Unasked:
    """A sealer that nobody may ask to open anything."""

    def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        """Never."""
        raise AssertionError((wrapped_key, sealed, label))


class Noting(ChooseModel):
    """Knows nothing of circuits, and notes how attempts went."""

    def __init__(self) -> None:
        self.went: list[str | Circumstances] = []

    def tried(self, model_id: str) -> None:
        """An attempt begins."""
        self.went.append(f"tried {model_id}")

    def succeeded(self, model_id: str) -> None:
        """It answered."""
        self.went.append(f"{model_id} answered")

    def failed(self, model_id: str, fault: DependencyFault, under: Circumstances) -> None:
        """It failed, under these circumstances."""
        self.went += [f"{model_id} failed: {fault.code}", under]


def runs_of(
    stage: Stage,
    *,
    upstream: Slow | None = None,
    books: Keyless | None = None,
    sealer: Unasked | None = None,
    choice: Noting | None = None,
) -> RunCompletion:
    """The flow as the process has it, with other parts."""
    process, lasting = stage.process, stage.lasting
    return RunCompletion(
        ledger=process.ledger,
        vault=process.vault_on(
            books=cast("Books | None", books), sealer=cast("Sealer | None", sealer)
        ),
        upstream=cast("Upstream", upstream or lasting.upstream),
        choose_model=choice or process.choose_model,
        replicas=process.replicas,
        terms=RunTerms(timeout_ms=RUN_MS),
    )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A service with three models, where a run waits for its turn."""
    async with staged(tmp_path / "node", turns_free=False) as begun:
        begun.lasting.upstream.offered = (FIRST, SECOND, THIRD)
        begun.lasting.upstream.usually = Completes(cost=COST)
        await begun.process.catalogue.refresh()
        yield begun


async def waiting(stage: Stage, *chain: Model) -> JustOpened:
    """An opened escrow, whose process died before it was sent."""
    stage.process.mortal.crash = Crash(moment=Moment.AFTER)
    with pytest.raises(Killed):
        await stage.process.ask_completion.answer(ask_of())
    await stage.process.kill()
    stage.process = type(stage.process)(stage.lasting)
    await stage.process.catalogue.refresh()
    assert stage.escrow.progress is Progress.OPENED
    stored = await runs_of(stage)._stored(stage.escrow)
    return replace(stored, chain=chain, began_ms=stage.lasting.clock.now_ms())


@pytest.mark.parametrize(("late_ms", "state"), [(0, Progress.GENERATED), (1, S.FAILED)])
async def test_what_waited_for_a_minute_is_not_sent_any_more(
    stage: Stage, late_ms: int, state: Progress
) -> None:
    """To the millisecond: whoever asked has gone by then."""
    opened = await waiting(stage)
    stage.lasting.clock.set_ms(opened.escrow.opened_at_ms + RETENTION.abandoned_ms + late_ms)
    attempted = await runs_of(stage).just_opened(opened)
    assert attempted.escrow.progress is state
    assert attempted.left is None
    assert stage.lasting.upstream.posts == (0 if late_ms else 1)


async def test_a_run_read_back_from_the_books_has_all_its_time(stage: Stage) -> None:
    """Nobody else is left to ask, and nobody knows when its caller began to wait."""
    await waiting(stage)
    generated = await runs_of(stage).opened(stage.escrow)
    assert generated.progress is Progress.GENERATED
    assert stage.lasting.upstream.limits_ms == [None]
    assert generated.run.summary == Summary(
        completed_at_ms=stage.lasting.clock.now_ms(),
        inline_cost=COST,
        finish_reason="stop",
        prompt_tokens=14,
        completion_tokens=7,
    )
    bodies = await stage.process.books.bodies(generated.escrow_id)
    assert bodies is not None
    assert bodies.completion is not None
    assert bodies.request is None, "what was sent is not kept beside its answer"


@pytest.mark.parametrize(
    ("chain", "passed_ms", "limit_ms"),
    [
        ((FIRST,), 0, RUN_MS),
        ((FIRST,), 100, RUN_MS - 100),
        ((FIRST, SECOND), 100, (RUN_MS - 100) // 2),
        ((FIRST, SECOND, THIRD), 0, RUN_MS // 2),
        ((FIRST,), RUN_MS - ATTEMPT_MIN_MS, ATTEMPT_MIN_MS),
        ((FIRST,), RUN_MS - 1, ATTEMPT_MIN_MS),
        ((FIRST,), 2 * RUN_MS, ATTEMPT_MIN_MS),
        ((FIRST, SECOND), 2 * RUN_MS, ATTEMPT_MIN_MS // 2),
    ],
)
async def test_how_long_an_attempt_may_take(
    stage: Stage, chain: tuple[Model, ...], passed_ms: int, limit_ms: int
) -> None:
    """What is left of the ask's time, half of it while somebody else could be asked."""
    opened = await waiting(stage, *chain)
    opened = replace(opened, began_ms=opened.began_ms - passed_ms)
    await runs_of(stage).just_opened(opened)
    assert stage.lasting.upstream.limits_ms == [limit_ms]


@pytest.mark.parametrize(("left_ms", "goes_on"), [(ATTEMPT_MIN_MS, True), (999, False), (0, False)])
async def test_the_chain_goes_on_while_there_is_a_second_left(
    stage: Stage, left_ms: int, *, goes_on: bool
) -> None:
    """With less the failure stands: another attempt would only be cut."""
    opened = await waiting(stage, FIRST, SECOND)
    stage.lasting.upstream.then(Unknown(cost=COST))
    runs = runs_of(stage, upstream=Slow(stage, RUN_MS - left_ms))
    attempted = await runs.just_opened(opened)
    assert attempted.escrow.progress is (Progress.REQUESTED if goes_on else S.FAILED)
    assert (attempted.ended is not None) is goes_on, "written down with what follows, or at once"
    chain_left = attempted.left.chain if attempted.left else ()
    assert chain_left == ((SECOND,) if goes_on else ())


@pytest.mark.parametrize("outcome", [Unknown(cost=COST), Failed(cost=COST), Refused(status=404)])
async def test_the_last_of_a_chain_fails_for_good(stage: Stage, outcome: Outcome) -> None:
    """Nobody is left, however much time there is."""
    opened = await waiting(stage, FIRST)
    stage.lasting.upstream.then(outcome)
    attempted = await runs_of(stage).just_opened(opened)
    assert attempted.escrow.progress is S.FAILED
    assert (attempted.ended, attempted.left) == (None, None)


@pytest.mark.parametrize(
    ("outcome", "least_ms", "most_ms"),
    [
        (Unreachable(), 0, BACKOFF_MAX_MS),
        (Refused(status=503), 0, BACKOFF_MAX_MS),
        (Refused(status=503, retry_after_s=1), 1_000, 1_001),
        (Refused(status=429, retry_after_s=0), 0, 1),
    ],
)
async def test_a_second_try_waits_a_moment(
    stage: Stage, outcome: Outcome, least_ms: int, most_ms: int
) -> None:
    """As long as was asked for, or less than half a second that differs between escrows."""
    opened = await waiting(stage, FIRST)
    stage.lasting.upstream.then(outcome)
    began_ms = stage.lasting.clock.now_ms()
    attempted = await runs_of(stage).just_opened(opened)
    assert attempted.escrow.progress is Progress.GENERATED
    assert stage.lasting.upstream.posts == 2
    assert least_ms <= stage.lasting.clock.now_ms() - began_ms < most_ms


@pytest.mark.parametrize(
    ("chain", "began", "outcome", "limit_ms"),
    [
        ((), False, Unknown(announced=False), RUN_MS),
        ((), True, Unknown(), RUN_MS),
        ((FIRST,), False, Failed(), None),
        ((FIRST,), True, Unknown(), RUN_MS),
        ((FIRST, SECOND), True, Unknown(), RUN_MS // 2),
    ],
)
@pytest.mark.parametrize("own_terms", [True, False])
async def test_what_an_attempt_ran_under_is_told_with_its_failure(
    stage: Stage,
    chain: tuple[Model, ...],
    outcome: Outcome,
    limit_ms: int | None,
    *,
    began: bool,
    own_terms: bool,
) -> None:
    """Its time and limit, whether it had begun to answer, and whether its caller chose terms."""
    opened = replace(await waiting(stage, *chain), own_terms=own_terms)
    stage.lasting.upstream.then(outcome)
    choice = Noting()
    await runs_of(stage, upstream=Slow(stage, 4_321), choice=choice).just_opened(opened)
    model_id = FIRST.model_id
    code = "upstream_failed" if isinstance(outcome, Failed) else "outcome_unknown"
    assert choice.went == [
        f"tried {model_id}",
        f"{model_id} failed: {code}",
        Circumstances(
            own_terms=own_terms,
            started=began or isinstance(outcome, Failed),
            waited_ms=4_321,
            limit_ms=limit_ms or RUN_MS,
        ),
    ]


async def test_a_second_try_is_told_of_by_itself(stage: Stage) -> None:
    """Each with its own time: the pause between them is nobody's."""
    opened = replace(await waiting(stage), own_terms=False)
    stage.lasting.upstream.then(Refused(status=503, retry_after_s=1))
    choice = Noting()
    await runs_of(stage, upstream=Slow(stage, 11, 22), choice=choice).just_opened(opened)
    model_id = FIRST.model_id
    assert choice.went == [
        f"tried {model_id}",
        f"{model_id} failed: upstream_refused",
        Circumstances(waited_ms=11, limit_ms=RUN_MS),
        f"tried {model_id}",
        f"{model_id} answered",
    ]


@pytest.mark.parametrize(
    ("said", "cost_pusd"),
    [("0.00001", 10_000_000), ("0", None), ("nonsense", None), ("-1", None), ("9", None)],
)
async def test_what_an_answer_says_of_its_cost_counts_where_it_can_be_believed(
    stage: Stage, said: str, cost_pusd: int | None
) -> None:
    """None for zero, for nonsense, and for far too much."""
    await waiting(stage)
    cost = inline_cost(stage.escrow, said)
    assert (cost.cost_pusd if cost else None) == cost_pusd
    assert inline_cost(stage.escrow, None) is None
    assert inline_cost(stage.escrow, "") is None
    if cost is not None:
        assert (cost.text, cost.standing) == (said, CostStanding.PROVISIONAL)


async def test_what_another_process_sends_is_left_to_it(stage: Stage) -> None:
    """Its word that it is requested came first: nothing is sent twice."""
    opened = await waiting(stage)
    other = type(stage.process)(stage.lasting)
    run = replace(opened.escrow.run, state=RunState.OPENED)
    taken = replace(opened.escrow, run=run)
    first = stage.process.record_event
    stage.process.record_event = other.record_event
    by_other = RunCompletion(
        ledger=other.ledger,
        vault=other.vault,
        upstream=stage.lasting.upstream,
        choose_model=other.choose_model,
        replicas=other.replicas,
        terms=RunTerms(timeout_ms=RUN_MS),
    )
    await by_other.just_opened(opened)
    assert stage.lasting.upstream.posts == 1
    stage.process.record_event = first
    attempted = await runs_of(stage).just_opened(replace(opened, escrow=taken))
    assert attempted.escrow.run.requested_by == other.replicas.own_id
    assert stage.lasting.upstream.posts == 1


@pytest.mark.parametrize(
    "kept",
    [
        None,
        StoredBodies(request=b"sealed"),
        StoredBodies(wrapped_key=b"key"),
        StoredBodies(),
    ],
)
async def test_a_request_that_is_not_stored_whole_is_abandoned(
    stage: Stage, kept: StoredBodies | None
) -> None:
    """Nobody tries to open what is not there, nothing is sent, and nothing is charged."""
    await waiting(stage)
    runs = runs_of(stage, books=Keyless(stage.process.books, kept), sealer=Unasked())
    failed = await runs.opened(stage.escrow)
    assert failed.progress is S.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "abandoned"
    assert stage.lasting.upstream.posts == 0


@pytest.mark.parametrize(
    ("asked_by", "left_alone"), [("living", True), ("dead", False), ("own", False), (None, False)]
)
async def test_a_request_is_an_orphan_once_whoever_sent_it_is_gone(
    stage: Stage, asked_by: str | None, *, left_alone: bool
) -> None:
    """Another process that lives may yet book its answer; our own earlier run cannot."""
    opened = await waiting(stage)
    living = type(stage.process)(stage.lasting)
    names = {
        "living": living.replicas.own_id,
        "dead": "replica-0",
        "own": stage.process.replicas.own_id,
        None: None,
    }
    run = replace(opened.escrow.run, state=RunState.REQUESTED, requested_by=names[asked_by])
    requested = replace(opened.escrow, run=run)
    after = await runs_of(stage).orphaned(requested)
    assert (after.progress is Progress.REQUESTED) is left_alone
    assert after.failure == (None if left_alone else RESTARTED)
