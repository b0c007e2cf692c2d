"""Any state of a sale, any outage: nothing unpaid is delivered, and nothing paid is lost.

The states are the members of `Progress` and `TopupState`, each as it comes and in quarantine;
the outages are the rows of a table; a story of the story book leads into each state. At the commit
that reaches it the outage begins. Everybody goes on as if nothing were, somebody may kill the
process meanwhile, the outage ends, and one judge looks at all of it. A new state, story or outage
is tried by being there.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.topup.states import TopupState
from tests.flows.outages.outage_judge import judged, prepared, quiet, restored, somebody_waits
from tests.flows.outages.outage_rig import OutageRig, State, Wanted, named, outage_rig
from tests.flows.outages.outage_table import OUTAGES, Outage
from tests.flows.rigs.stories import Step, another_node
from tests.flows.rigs.story_book import STORIES

STATES: tuple[State, ...] = (*Progress, *TopupState)
WANTED = tuple(Wanted(state=state, parked=parked) for parked in (False, True) for state in STATES)
# Another node is another outage, with proofs of its own in test_adopt_node.py.
TOLD = {name: steps for name, steps in STORIES.items() if another_node not in steps}
SAMPLE = 110
PARTS = 6
SEED = 9
HALF = 0.5
PASSES = 6
PASS_S = 7

Way = tuple[str, bool]  # a story, and whether its runs begin at once
Ways = Mapping[str, Sequence[Way]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of the product; `killed` is a process that is killed while the outage lasts."""

    wanted: Wanted
    way: Way
    outage: str
    killed: bool

    def __str__(self) -> str:
        killed = ", and the process is killed meanwhile" if self.killed else ""
        return f"{self.wanted} ({self.way}): {self.outage}{killed}"


FOUND = (
    # Its failure was dated a month ahead, and repeated until then.
    Case(
        wanted=Wanted(state=Progress.FAILED),
        way=("unknown and nameless", True),
        outage="the clock is a month forward",
        killed=False,
    ),
    # Every invoice that the node made was canceled at once, as long expired.
    Case(
        wanted=Wanted(state=TopupState.LAPSED),
        way=("a top-up lapses", True),
        outage="the clock goes a month forward for good",
        killed=True,
    ),
    # The books in memory and those in a file told different unconfirmed costs.
    Case(
        wanted=Wanted(state=Progress.INVOICED, parked=True),
        way=("lapsed while provisional", True),
        outage="the node is slow",
        killed=False,
    ),
    # What it could cost counted against our credit until a restart.
    Case(
        wanted=Wanted(state=Progress.FAILED),
        way=("refused upstream", True),
        outage="one answer of the database is lost",
        killed=False,
    ),
)


async def _ways(folder: Path) -> Ways:
    """Which stories reach each state, undisturbed."""
    found: dict[str, list[Way]] = {}
    for number, way in enumerate(itertools.product(TOLD, (True, False))):
        story, turns_free = way
        async with outage_rig(
            folder / f"{number}", twins=False, turns_free=turns_free
        ) as undisturbed:
            await prepared(undisturbed)
            for step in TOLD[story]:
                await undisturbed.step(step)
            for state in dict.fromkeys(undisturbed.reached):
                found.setdefault(state, []).append(way)
    return found


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Ways:
    """State by state, the stories that reach it."""
    return asyncio.run(_ways(tmp_path_factory.mktemp("ways")))


async def _through(path: Path, case: Case) -> None:
    """One story, one outage in it, and the judge."""
    story, turns_free = case.way
    async with outage_rig(path, turns_free=turns_free) as tried:
        await prepared(tried)
        rest = await _until(tried, case.wanted, TOLD[story], OUTAGES[case.outage])
        await _meanwhile(tried, killed=case.killed)
        await restored(tried)
        await OUTAGES[case.outage].end(tried)
        await quiet(tried)
        for step in rest:
            await tried.step(step)
            await tried.turns()
        await judged(tried)
    assert tried.logged == [], tried.logged


async def _until(
    tried: OutageRig, wanted: Wanted, steps: Sequence[Step], outage: Outage
) -> Sequence[Step]:
    """What is left of the story when the outage has begun."""
    tried.wanted, tried.begins = wanted, lambda: outage.begin(tried)
    for number, step in enumerate(steps):
        await somebody_waits(tried)
        await tried.step(step)
        if not tried.waits_for_its_state():
            return steps[number + 1 :]
    message = f"{wanted} was not reached"
    raise AssertionError(message)


async def _meanwhile(tried: OutageRig, *, killed: bool) -> None:
    """Everybody does what they would have done, while time passes."""
    for number in range(PASSES):
        if killed and number == 1:
            await tried.kill()
        await tried.pay()
        await tried.turns()
        await tried.claims()
        for ask in tried.regulars():
            await tried.ask(ask)
        tried.clock.advance(PASS_S)


async def _all_through(folder: Path, cases: Iterable[Case]) -> None:
    for number, case in enumerate(cases):
        try:
            await _through(folder / f"{number}", case)
        except BaseException as fault:
            fault.add_note(str(case))
            raise


def test_every_state_has_a_way_that_leads_to_it(ways: Ways) -> None:
    """A state that no story reaches is a state in which no outage is tried."""
    assert {named(state) for state in STATES} == set(ways)


def _sample(ways: Ways) -> list[Case]:
    """The same pairs in every run."""
    chance = random.Random(SEED)
    pairs = list(itertools.product(WANTED, OUTAGES))
    chance.shuffle(pairs)
    return [
        Case(
            wanted=wanted,
            way=chance.choice(ways[named(wanted.state)]),
            outage=outage,
            killed=chance.random() < HALF,
        )
        for wanted, outage in pairs[:SAMPLE]
    ]


def test_the_sample_has_every_state_and_every_outage(ways: Ways) -> None:
    """A new row of either table is tried in every test run."""
    sample = _sample(ways)
    assert {str(case.wanted) for case in sample} == set(map(str, WANTED))
    assert {case.outage for case in sample} == set(OUTAGES)


@pytest.mark.parametrize("part", range(PARTS))
async def test_some_states_and_every_outage(ways: Ways, tmp_path: Path, part: int) -> None:
    """A part of the product, always the same."""
    await _all_through(tmp_path, _sample(ways)[part::PARTS])


@pytest.mark.parametrize("case", FOUND, ids=str)
async def test_what_this_has_found(case: Case, tmp_path: Path) -> None:
    """Each was wrong once; what was mended has tests of its own where it is."""
    await _all_through(tmp_path, (case,))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("wanted", WANTED, ids=str)
async def test_a_state_and_every_outage(wanted: Wanted, ways: Ways, tmp_path: Path) -> None:
    """The whole product: with the process alive and killed, over stories drawn by lot."""
    chance = random.Random(f"{SEED} {wanted}")
    cases = [
        Case(
            wanted=wanted,
            way=chance.choice(ways[named(wanted.state)]),
            outage=outage,
            killed=killed,
        )
        for outage, killed in itertools.product(OUTAGES, (False, True))
    ]
    await _all_through(tmp_path, cases)
