"""The service killed before and after every commit of a panel: nothing lost, nobody billed twice.

What was interrupted while its members were asked, or before there was a report, is never asked
again: it fails, and what it cost is ours. Whatever else was interrupted ends in the books of an
undisturbed one.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.routing.hints import Hints
from cobot_meter.domain.routing.virtual import VERIFY
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.books import Crash, Moment
from tests.fakes.upstream_outcomes import (
    FREE_MODEL,
    NEVER,
    OTHER_MODEL,
    PRICED_MODEL,
    Completes,
    Failed,
    Outcome,
    Refused,
    Unknown,
)
from tests.flows.rigs.stories import (
    HOUR_S,
    LAPSE_S,
    Stage,
    Step,
    after,
    ask_of,
    end,
    hear,
    pay,
    tick,
    top_up,
)
from tests.flows.rigs.stories import _asked as asked_by
from tests.flows.sale.test_crash_points import commits_of, facts, play, prove_sound, staged

PANEL = (PRICED_MODEL.model_id, OTHER_MODEL.model_id, FREE_MODEL.model_id)
ANSWER = '[{"claim": "It divides by zero.", "severity": "high"}]'
BODY = b'{"model":"cobot/consensus","messages":[{"role":"user","content":"1/0"}]}'


def panel_ask() -> Ask:
    """A review by three, of at most a hundred tokens each."""
    plain = ask_of(body=BODY)
    hints = Hints(panel=PANEL)
    request = replace(plain.request, model="cobot/consensus:review", hints=hints)
    return replace(plain, request=request, request_sha256=hashlib.sha256(BODY).hexdigest())


async def ask(stage: Stage) -> None:
    """The caller asks, or asks the same again."""
    await asked_by(stage, panel_ask())


def checked_ask() -> Ask:
    """Asked in turn until an answer is JSON."""
    body = BODY.replace(b"}]}", b'}],"response_format":{"type":"json_object"}}')
    plain = ask_of(body=body)
    request = replace(plain.request, model=VERIFY)
    return replace(plain, request=request, request_sha256=hashlib.sha256(body).hexdigest())


async def ask_checked(stage: Stage) -> None:
    """The caller asks for an answer that is checked."""
    await asked_by(stage, checked_ask())


async def claim_checked(stage: Stage) -> None:
    """With macaroon and preimage."""
    await asked_by(stage, replace(checked_ask(), proven_escrow_id=stage.escrow.escrow_id))


async def claim(stage: Stage) -> None:
    """With macaroon and preimage."""
    await asked_by(stage, replace(panel_ask(), proven_escrow_id=stage.escrow.escrow_id))


def members(*outcomes: Outcome) -> Step:
    """What each of the three comes to."""

    async def step(stage: Stage) -> None:
        stage.lasting.upstream.by_model = dict(zip(PANEL, outcomes, strict=True))

    return step


async def records_appear(stage: Stage) -> None:
    """The upstream's own book is complete at last."""
    for run in stage.lasting.upstream.runs:
        stage.lasting.upstream.record_appears(run.generation_id)


FIRST = Completes(answer=ANSWER, cost="0.0000700")
SECOND = Completes(answer=ANSWER, cost="0.0000300")
FREE = Completes(answer=ANSWER, cost="0")
STORIES: dict[str, tuple[Step, ...]] = {
    "bought": (members(FIRST, SECOND, FREE), ask, pay(), hear, claim),
    "in turn, the second passes": (
        members(
            Completes(answer="no JSON", cost="0.0000700"),
            Completes(answer="no JSON", cost="0.0000300"),
            FREE,
        ),
        *(ask_checked, pay(), hear, claim_checked),
    ),
    "covered by credit": (top_up, hear, members(FIRST, SECOND, FREE), ask, claim),
    "not paid, then bought late": (
        *(members(FIRST, SECOND, FREE), ask, pay(), after(LAPSE_S), tick, claim),
    ),
    "one failed at a cost": (
        *(members(FIRST, Failed(cost="0.0000200", says_cost=True), FREE), ask, pay(), hear, claim),
    ),
    "one unknown": (members(Unknown(cost="0.0000200"), SECOND, FREE), ask, pay(), hear, claim),
    "two failed": (members(Refused(), Unknown(announced=False, cost="0"), FREE), ask),
    "a late record": (
        members(FIRST, replace(SECOND, says_cost=False, lookups_before_record=NEVER), FREE),
        *(ask, after(HOUR_S), records_appear, tick, after(HOUR_S), tick, ask, pay(), hear, claim),
    ),
    "provisional, then corrected": (
        members(FIRST, replace(SECOND, inline_cost="0.0000250", lookups_before_record=30), FREE),
        *(ask, pay(), hear, claim, records_appear, after(HOUR_S), tick),
    ),
}


SHORT = ("bought", "in turn, the second passes")


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize(
    "story", [one if one in SHORT else pytest.param(one, marks=pytest.mark.slow) for one in STORIES]
)
async def test_a_kill_at_any_commit_of_a_panel_ends_in_sound_books(
    story: str, moment: Moment, tmp_path: Path
) -> None:
    """Every commit of this story, killed on this side of it."""
    steps = STORIES[story]
    commits = await commits_of(tmp_path / "counted", steps)
    async with staged(tmp_path / "undisturbed") as stage:
        await play(stage, (*steps, end))
        await prove_sound(stage)
        undisturbed = facts(stage)
    kept = 0
    for number in range(commits):
        async with staged(tmp_path / f"{number}") as stage:
            fallen = await play(stage, (*steps, end), Crash(moment=moment, commits=number))
            assert len(fallen) == 1
            await prove_sound(stage)
            prove_never_asked_twice(stage)
            if not lost(stage):
                kept += 1
                assert facts(stage) == undisturbed, f"killed {moment} commit {number}"
    assert kept or story == "two failed"


def lost(stage: Stage) -> bool:
    """Whether a panel was killed before there was a report, or with one whose runs were lost."""
    sales = [one for one in stage.books.rows.escrows.values() if one.mode is Mode.PANEL]
    unheard = [
        run
        for one in sales
        for run in one.runs
        if run.failure is not None and "restarted" in run.failure.message
    ]
    unreported = [
        one for one in sales if one.failure is not None and "interrupted" in one.failure.message
    ]
    return bool(unheard or unreported)


def prove_never_asked_twice(stage: Stage) -> None:
    """A run is one request, whatever was killed."""
    runs = [run for one in stage.books.rows.escrows.values() for run in one.runs]
    assert len(stage.lasting.upstream.runs) <= len(runs)
    assert not any(run.may_charge for run in runs)


async def test_an_undisturbed_panel_opens_with_all_its_runs_in_one_commit(tmp_path: Path) -> None:
    """Each member then writes what it would write alone; the sale adds two commits of its own."""
    async with staged(tmp_path / "node") as stage:
        await play(stage, STORIES["bought"])
        kinds = [entry.kind for entry in stage.books.rows.journal.values()]
        assert kinds.count("opened") == 1
        for kind in ("generation_started", "completion_received", "cost_known"):
            assert kinds.count(kind) == len(PANEL)
        own = [kind for kind in kinds if kind.startswith(("panel", "invoice", "completion_d"))]
        assert own == [
            "panel_answered",
            "panel_priced",
            "invoice_issued",
            "invoice_settled",
            "completion_delivered",
        ]
        assert stage.answer is not None
        assert b"It divides by zero." in stage.answer.body
