"""The process killed before and after every commit of every path: the same books in the end.

Undisturbed, a story makes so many commits. It is then told again for each of them, with a kill on
either side: a new process recovers over the same disk, the interrupted step is done again, and
the story goes on. Killed in `requested` the run is lost and is never repeated: then the books are
those of A8 where the generation's id was stored, and those of A8b and A13 where it was not.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.domain.errors import CobotMeterError, SettingInvalid
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import Ask
from tests.fakes.books import Crash, FakeBooks, Killed, Moment
from tests.fakes.clock import FakeClock
from tests.fakes.lnd.moving_node import MovingNode
from tests.fakes.twin_books import twin_books
from tests.fakes.upstream_outcomes import NEVER
from tests.flows.rigs.process import RETENTION, Lasting, Process
from tests.flows.rigs.stories import COST, Stage, Step, ask, end, hear, pay
from tests.flows.rigs.story_book import STORIES

S = Progress
UNCOUNTED = {"cost_lookup_missed", "usage_compared"}


@asynccontextmanager
async def staged(
    path: Path, *, turns_free: bool = True, node_clock: FakeClock | None = None
) -> AsyncIterator[Stage]:
    """A stage with a started process, a funded caller and empty books.

    The node's machine has our clock unless it is given its own. Without free turns what is opened
    is stored first, and requested when its turn comes.
    """
    clock = FakeClock(leaping=True)
    its_clock = node_clock or clock
    async with contextlib.AsyncExitStack() as stack:
        node, other = (
            stack.enter_context(contextlib.closing(_node(path.with_name(name), its_clock)))
            for name in (path.name, f"{path.name}-other")
        )
        books, moving = FakeBooks(retention=RETENTION), MovingNode(node)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        twins = twin_books(books, folder, retention=RETENTION)
        lasting = Lasting(
            books=(await stack.enter_async_context(twins))[0],
            node=moving,
            identity=await moving.identity(),
            clock=clock,
            turns_free=turns_free,
        )
        process = Process(lasting)
        await process.start()
        yield Stage(
            lasting=lasting,
            books=books,
            node=node,
            process=process,
            moving=moving,
            other_node=other,
        )


def _node(path: Path, clock: FakeClock) -> DevNode:
    return DevNode(path=path, network="regtest", alias="dev", clock=clock)


async def play(stage: Stage, steps: tuple[Step, ...], *crashes: Crash) -> list[Progress | None]:
    """All steps; where a crash falls, a new process recovers and does its step again.

    Each of `crashes` is armed when the one before has fallen. Answers in which state each left
    the newest escrow (None: there was none).
    """
    fallen: list[Progress | None] = []
    waiting = list(crashes)
    stage.process.mortal.crash = waiting.pop(0) if waiting else None
    for step in steps:
        while True:
            try:
                if stage.process.mortal.dead:
                    await restart(stage, waiting.pop(0) if waiting else None)
                await step(stage)
            except Killed:
                rows = stage.books.rows.escrows
                fallen.append(stage.escrow.progress if rows else None)
            else:
                break
    return fallen


async def restart(stage: Stage, crash: Crash | None = None) -> None:
    """The dead process is replaced by one that recovers, and may itself be killed doing so."""
    await stage.process.kill()
    stage.process = Process(stage.lasting)
    stage.process.mortal.crash = crash
    with contextlib.suppress(SettingInvalid):  # another node: the operator speaks first
        await stage.process.start()


def facts(stage: Stage) -> tuple[dict[str, int], dict[str, int], list[str], list[str]]:
    """What must not depend on a crash: balances, reservations, facts booked, states."""
    ledger = stage.books.rows.ledger
    kinds = [entry.kind for entry in stage.books.rows.journal.values()]
    return (
        {code: counters.net for code, counters in ledger.counters.items() if counters.net},
        {hold.debit: hold.amount for hold in ledger.open_reservations().values()},
        sorted(kind for kind in kinds if kind not in UNCOUNTED),
        [escrow.state for escrow in stage.books.rows.escrows.values()],
    )


async def killed_on_the_way(stage: Stage, crash: Crash, asked: Ask) -> None:
    """Ask, pay and hear until it is through, killed once; the books must be sound at the end."""
    stage.process.mortal.crash = crash
    for _ in range(3):
        try:
            await stage.process.ask_completion.answer(asked)
            await stage.process.runs.finish()
            await pay()(stage)
            await hear(stage)
        except Killed:
            await restart(stage)
        except CobotMeterError:
            break
    if stage.process.mortal.dead:
        await restart(stage)
    stage.process.mortal.crash = None
    await end(stage)
    await prove_sound(stage)


async def prove_sound(stage: Stage) -> None:
    """Ended: nothing on the way, every cost booked, and an audit that lives it all again."""
    ledger = stage.books.rows.ledger
    assert ledger.open_reservations() == {}
    assert ledger.of(chart.UNEARNED).net == 0
    upstream = stage.lasting.upstream
    assert -ledger.of(chart.upstream_credits(upstream.name)).net == upstream.spent_pusd
    audit = AuditLedger(
        reports=stage.books, node=lambda: stage.node, upstream=None, retention=RETENTION
    )
    findings = (await audit.audit()).findings
    assert [finding for finding in findings if finding.subject not in stage.unlikely] == []


async def commits_of(path: Path, steps: tuple[Step, ...], *, turns_free: bool = True) -> int:
    """How many commits the undisturbed story makes."""
    async with staged(path, turns_free=turns_free) as stage:
        started = stage.process.mortal.applies
        await play(stage, steps)
        return stage.process.mortal.applies - started


@pytest.mark.parametrize("turns_free", [True, False], ids=["at once", "in turn"])
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("story", STORIES)
async def test_a_kill_at_any_commit_ends_in_the_same_books(
    story: str, moment: Moment, tmp_path: Path, *, turns_free: bool
) -> None:
    """Every commit of this story, killed on this side of it."""
    steps = STORIES[story]
    commits = await commits_of(tmp_path / "counted", steps, turns_free=turns_free)
    assert commits > 0
    async with staged(tmp_path / "undisturbed", turns_free=turns_free) as stage:
        await play(stage, (*steps, end))
        await prove_sound(stage)
        undisturbed = facts(stage)
    for number in range(commits):
        async with staged(tmp_path / f"{number}", turns_free=turns_free) as stage:
            fallen = await play(stage, (*steps, end), Crash(moment=moment, commits=number))
            assert len(fallen) == 1
            await prove_sound(stage)
            if fallen == [Progress.REQUESTED]:
                prove_lost(stage)
            else:
                assert facts(stage) == undisturbed, f"killed {moment} commit {number}"


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
async def test_a_second_kill_during_recovery_changes_nothing(story: str, tmp_path: Path) -> None:
    """Every commit killed, and every one of the next commits after it: as one kill, or none."""
    steps = STORIES[story]
    commits = await commits_of(tmp_path / "counted", steps)
    async with staged(tmp_path / "undisturbed") as stage:
        await play(stage, (*steps, end))
        undisturbed = facts(stage)
    kills = [Crash(moment=moment, commits=number) for moment in Moment for number in range(commits)]
    again = [Crash(moment=moment, commits=number) for moment in Moment for number in range(3)]
    for kill, other in itertools.product(kills, again):
        async with staged(tmp_path / f"{kill} {other}") as stage:
            fallen = await play(stage, (*steps, end), kill, other)
            await prove_sound(stage)
            if Progress.REQUESTED in fallen:
                prove_lost(stage)
            else:
                assert facts(stage) == undisturbed, f"{kill}, then {other}"


def prove_lost(stage: Stage) -> None:
    """Killed in `requested`: failed, the run was not repeated, and its cost has its account."""
    lost = next(iter(stage.books.rows.escrows.values()))
    assert lost.progress is S.FAILED
    assert lost.failure is not None
    assert lost.failure.code == "outcome_unknown"
    assert len(stage.lasting.upstream.runs) <= len(stage.books.rows.escrows)
    ledger = stage.books.rows.ledger
    spent = stage.lasting.upstream.spent_pusd
    record = stage.lasting.upstream._records.get(lost.run.generation_id or "")
    if record is not None and record.fruitless_lookups != NEVER:
        assert ledger.of(chart.COST_FAILED).net == spent
        assert ledger.of(chart.COST_UNATTRIBUTED).net == 0
    else:
        assert ledger.of(chart.COST_UNATTRIBUTED).net == spent


@pytest.mark.parametrize("turns_free", [True, False], ids=["at once", "in turn"])
async def test_the_story_of_a_purchase_has_every_commit(
    tmp_path: Path, *, turns_free: bool
) -> None:
    """The path that is enumerated is the whole one, one commit longer where runs wait."""
    async with staged(tmp_path / "node", turns_free=turns_free) as stage:
        await play(stage, STORIES["bought"])
        kinds = [entry.kind for entry in stage.books.rows.journal.values()]
        assert kinds == [
            "node_adopted",
            "upstream_baseline",
            "opened",
            *([] if turns_free else ["upstream_requested"]),
            "generation_started",
            "completion_received",
            "cost_known",
            "invoice_issued",
            "invoice_settled",
            "completion_delivered",
        ]
        assert stage.answer is not None
        assert stage.answer.body
        assert stage.lasting.upstream.spent_pusd == pusd_from_text(COST)
        bought = facts(stage)
        await restart(stage)
        assert facts(stage) == bought


@pytest.mark.parametrize("turns_free", [True, False], ids=["at once", "in turn"])
@pytest.mark.parametrize(
    ("moment", "states"),
    [
        (
            Moment.BEFORE,
            [
                None,
                Progress.OPENED,
                *[Progress.REQUESTED] * 2,
                Progress.GENERATED,
                Progress.COSTED,
                S.INVOICED,
                S.SETTLED,
            ],
        ),
        (
            Moment.AFTER,
            [
                Progress.OPENED,
                *[Progress.REQUESTED] * 2,
                Progress.GENERATED,
                Progress.COSTED,
                S.INVOICED,
                S.SETTLED,
                S.RELEASED,
            ],
        ),
    ],
)
async def test_kills_fall_in_every_state_of_a_purchase(
    moment: Moment, states: list[Progress | None], tmp_path: Path, *, turns_free: bool
) -> None:
    """Nothing on the path is left out, `requested` with and without the stored id included."""
    expected = [state for state in states if state is not Progress.OPENED or not turns_free]
    fallen = []
    for number in range(len(expected)):
        async with staged(tmp_path / f"{number}", turns_free=turns_free) as stage:
            kill = Crash(moment=moment, commits=number)
            fallen += await play(stage, STORIES["bought"], kill)
    assert fallen == expected


async def test_a_recovered_run_sends_what_the_first_would_have(tmp_path: Path) -> None:
    """Read back from the sealed books after a kill, the request is the one that was at hand."""
    sent = []
    for name, crashes in (("calm", ()), ("killed", (Crash(moment=Moment.AFTER, commits=0),))):
        async with staged(tmp_path / name, turns_free=False) as stage:
            assert await play(stage, (ask,), *crashes) == [Progress.OPENED for _ in crashes]
            (run,) = stage.lasting.upstream.runs
            sent.append((run.body, run.call.model, run.call.max_tokens, run.call.caller_tag))
    assert sent[0] == sent[1]
