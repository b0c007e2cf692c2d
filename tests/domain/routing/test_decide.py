"""Who answers: properties of every decision, whatever the table, the prices and the bounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cobot_meter.domain.errors import CallerFault, CeilingOverCap, RequestInvalid
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.routing.decide import (
    BELOW_SESSION,
    BELOW_TARGET,
    CHAIN_MAX,
    CHAIN_TIMES,
    OVER_CAP,
    Bounds,
    Candidate,
    Choice,
    Considered,
    choose,
    decide,
)
from cobot_meter.domain.routing.hints import NO_HINTS, Downgrade, Hints, Task
from cobot_meter.domain.routing.rules import RequestFacts, bounded_turn
from cobot_meter.domain.routing.stored import read_stored, stored_text
from cobot_meter.domain.routing.table import PPM, Record, SuccessTable, Tier

NAMES = st.sampled_from([f"maker/m{number}" for number in range(8)])
CONSIDERED = st.builds(
    Considered,
    model_id=NAMES,
    tier=st.sampled_from(Tier),
    lower_ppm=st.integers(min_value=0, max_value=PPM),
    ceiling_pusd=st.integers(min_value=0, max_value=20),
    barred=st.sampled_from(["", "", "", OVER_CAP, "context"]),
)
FIELD = st.lists(CONSIDERED, min_size=1, max_size=8, unique_by=lambda one: one.model_id)
BOUNDS = st.builds(
    Bounds,
    bar_ppm=st.integers(min_value=0, max_value=PPM),
    floor=st.sampled_from([None, *Tier]),
    downgrade=st.sampled_from([None, *Downgrade]),
)
TURNS = st.sampled_from(["", "Who was Euclid?", "Prove it.", "```\nx\n```", "Translate: hola"])
TABLE = SuccessTable(
    version="t#1",
    tiers={"a/cheap": Tier.CHEAP, "a/mid": Tier.MIDDLE, "a/best": Tier.PREMIUM},
    targets_ppm=dict.fromkeys(Task, 950_000),
    records={
        task: {
            "a/cheap": Record(successes=cheap, trials=1_000),
            "a/mid": Record(successes=mid, trials=1_000),
            "a/best": Record(successes=990, trials=1_000),
        }
        for task, cheap, mid in (
            (Task.FACTUAL, 985, 986),
            (Task.GENERAL, 700, 980),
            (Task.MATHS, 300, 600),
            (Task.CODE, 500, 975),
        )
    },
)
FIELD_OF_THREE = (
    Candidate(model_id="a/cheap", ceiling_pusd=10),
    Candidate(model_id="a/mid", ceiling_pusd=100),
    Candidate(model_id="a/best", ceiling_pusd=1_000),
)


def chosen(considered: Sequence[Considered], bounds: Bounds) -> Choice:
    """The choice; a search that finds none is of another test."""
    try:
        return choose(considered, bounds)
    except CallerFault:
        assume(False)
        raise


@given(considered=FIELD, bounds=BOUNDS)
def test_who_is_asked_may_serve_and_nobody_cheaper_is_good_enough(
    considered: list[Considered], bounds: Bounds
) -> None:
    """Nobody barred is in a chain; and who reaches the bar and the tier is not dearer than that."""
    choice = chosen(considered, bounds)
    by_name = {one.model_id: one for one in considered}
    chain = [by_name[name] for name in choice.chain]
    assert 0 < len(chain) <= CHAIN_MAX
    assert len(set(choice.chain)) == len(chain)
    assert not any(one.barred for one in chain)
    first = chain[0]
    assert all(one.ceiling_pusd <= CHAIN_TIMES * first.ceiling_pusd for one in chain[1:])
    above = BELOW_SESSION not in choice.reasons
    floor = bounds.floor if above and bounds.floor else Tier.CHEAP
    assert all(one.tier >= floor for one in chain)
    good = [
        one
        for one in considered
        if not one.barred and one.tier >= floor and one.lower_ppm >= bounds.bar_ppm
    ]
    assert (BELOW_TARGET in choice.reasons) is not bool(good)
    if good:
        assert first.lower_ppm >= bounds.bar_ppm
        assert first.ceiling_pusd == min(one.ceiling_pusd for one in good)


@given(considered=FIELD, bounds=BOUNDS)
def test_never_is_never(considered: list[Considered], bounds: Bounds) -> None:
    """Who may not be downgraded is asked of nobody below target or tier, in the whole chain."""
    bounds = replace(bounds, downgrade=Downgrade.NEVER)
    choice = chosen(considered, bounds)
    by_name = {one.model_id: one for one in considered}
    assert all(by_name[name].lower_ppm >= bounds.bar_ppm for name in choice.chain)
    assert all(by_name[name].tier >= (bounds.floor or Tier.CHEAP) for name in choice.chain)


@given(considered=FIELD, bounds=BOUNDS)
def test_the_order_in_which_models_stand_decides_nothing(
    considered: list[Considered], bounds: Bounds
) -> None:
    """Nor does a model that is barred."""
    choice = chosen(considered, bounds)
    free = [one for one in considered if not one.barred]
    assert choose(list(reversed(considered)), bounds) == choice == choose(free, bounds)


@given(turn=TURNS, declared=st.sampled_from([None, *Task]), floor=st.sampled_from([None, *Tier]))
def test_a_session_never_falls(turn: str, declared: Task | None, floor: Tier | None) -> None:
    """Whatever comes next in it, and whatever is declared; and the next one starts from there."""
    decision = decide(
        RequestFacts(turn=turn), NO_HINTS, TABLE, FIELD_OF_THREE, declared=declared, floor=floor
    )
    assert decision.choice.tier >= (floor or Tier.CHEAP)
    assert decision.task is (declared or decision.task)
    again = decide(
        RequestFacts(turn=turn), NO_HINTS, TABLE, FIELD_OF_THREE, declared=declared, floor=floor
    )
    assert again == decision
    stored = read_stored(stored_text(decision, None))
    assert stored.decision == decision
    assert choose(stored.decision.considered, stored.decision.bounds) == decision.choice


@pytest.mark.parametrize(
    ("turn", "declared", "model"),
    [
        ("Who was Euclid?", None, "a/cheap"),
        ("Prove that there is no largest prime.", None, "a/best"),
        ("Hm.", None, "a/mid"),
        ("Who was Euclid?", Task.CODE, "a/mid"),
        ("Prove that there is no largest prime.", Task.CHEAP, "a/cheap"),
        ("Who was Euclid?", Task.PREMIUM, "a/best"),
    ],
)
def test_the_task_decides(turn: str, declared: Task | None, model: str) -> None:
    """What is declared goes before what is read, and what nobody knows is not cheap."""
    facts = RequestFacts(turn=turn)
    assert decide(facts, NO_HINTS, TABLE, FIELD_OF_THREE, declared=declared).model == model


def test_a_cap_in_the_way_is_told_with_both_figures() -> None:
    """The cheapest that could, and what is allowed."""
    field = [replace(one, barred=OVER_CAP) for one in FIELD_OF_THREE]
    hints = Hints(max_cost=MaxCost(msat=7))
    with pytest.raises(CeilingOverCap, match=r"a/cheap .* \$0\.00000000001.* 7 msat"):
        decide(RequestFacts(), hints, TABLE, field)


def test_nobody_who_may_serve_is_told_with_every_reason() -> None:
    """One word for each model."""
    field = [replace(one, barred="context") for one in FIELD_OF_THREE]
    with pytest.raises(RequestInvalid, match="a/mid: context"):
        decide(RequestFacts(), NO_HINTS, TABLE, field)


def test_the_baselines_price_is_stored_along() -> None:
    """As the model list had it then."""
    price = ModelPrice(prompt_pusd=1, completion_pusd=2, request_pusd=3)
    decision = decide(RequestFacts(), NO_HINTS, TABLE, FIELD_OF_THREE)
    assert read_stored(stored_text(decision, price)).baseline_price == price


@pytest.mark.parametrize(
    "filler", ["a", "1", "(", " ", "\n- if ", "a b. ", "$x^2 ", "```\n", "to the "]
)
def test_no_turn_takes_long(filler: str) -> None:
    """Text that is made to make patterns go back and forth costs what any other costs."""
    facts = RequestFacts(turn=bounded_turn(filler * 200_000))
    began = time.process_time()
    for _ in range(10):
        decide(facts, NO_HINTS, TABLE, FIELD_OF_THREE)
    assert time.process_time() - began < 1.0
