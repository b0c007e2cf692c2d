"""Turns: unpaid runs never take the slots that are kept, and whoever can begin does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from cobot_meter.background.run_turns import Lane, RunBounds, RunTurns, Turn
from cobot_meter.domain.errors import AddressBusy, ServiceBusy

BOUNDS = RunBounds(runs_max=8, kept_bps=2_500, address_max=5, waiting_max=6)


async def begun(turn: Turn) -> bool:
    """Whether its slot is its own by now."""
    waiting = asyncio.ensure_future(turn.wait())
    for _ in range(2):
        await asyncio.sleep(0)
    if waiting.done():
        return True
    waiting.cancel()
    return False


async def test_unpaid_runs_leave_what_is_kept() -> None:
    """Of eight slots two are kept: six unpaid runs act, the seventh waits, a paying one begins."""
    turns = RunTurns(BOUNDS)
    unpaid = [turns.turn() for _ in range(7)]
    took = [turn.take(Lane.UNPAID, f"a{number}") for number, turn in enumerate(unpaid)]
    assert took == [True] * 6 + [False]
    paying = [turns.turn() for _ in range(3)]
    assert [turn.take(Lane.PAYING, "a0") for turn in paying] == [True, True, False]
    unpaid[0].give_back()
    assert await begun(paying[2])
    assert not unpaid[6].runs


async def test_an_address_has_half_of_the_common_slots() -> None:
    """Three of six: the fourth waits while another address begins."""
    turns = RunTurns(BOUNDS)
    own = [turns.turn() for _ in range(4)]
    assert [turn.take(Lane.UNPAID, "a") for turn in own] == [True] * 3 + [False]
    assert turns.turn().take(Lane.UNPAID, "b")
    own[1].give_back()
    assert own[3].runs


async def test_what_is_too_much_is_refused_with_a_time() -> None:
    """Five under way of one address, and six waiting: the next is told when to come again."""
    turns = RunTurns(BOUNDS)
    for _ in range(5):
        turns.turn().take(Lane.UNPAID, "a")
    refused = turns.turn()
    with pytest.raises(AddressBusy, match="5 requests") as too_many:
        refused.take(Lane.UNPAID, "a")
    assert too_many.value.retry_after_s
    refused.give_back()  # it has no place, and takes none away
    for number in range(3):
        assert turns.turn().take(Lane.UNPAID, f"b{number}")
    for number in range(4):
        assert not turns.turn().take(Lane.UNPAID, f"c{number}")
    with pytest.raises(ServiceBusy, match="6 requests wait"):
        turns.turn().take(Lane.UNPAID, "d")
    assert turns.turn().take(Lane.PAYING, "d")


async def test_the_first_lane_is_served_first() -> None:
    """A free slot goes to who pays, then to our own work, then to the unpaid."""
    turns = RunTurns(RunBounds(runs_max=1, kept_bps=0))
    running = turns.turn()
    assert running.take(Lane.OURS)
    lanes = (Lane.UNPAID, Lane.OURS, Lane.PAYING)
    waiting = {lane: turns.turn() for lane in lanes}
    for lane, turn in waiting.items():
        assert not turn.take(lane, "a")
    for lane in (Lane.PAYING, Lane.OURS, Lane.UNPAID):
        running.give_back()
        running = waiting[lane]
        assert [one for one in lanes if waiting[one].runs] == [lane]


async def test_a_turn_that_is_taken_anew_changes_its_lane() -> None:
    """Credit that a parallel ask has spent: the place is given back and another one taken."""
    turns = RunTurns(RunBounds(runs_max=2, kept_bps=5_000, address_max=1))
    turn = turns.turn()
    assert turn.take(Lane.PAYING, "a")
    assert turn.take(Lane.PAYING, "a")
    assert turn.take(Lane.UNPAID, "a")
    assert not turns.turn().take(Lane.UNPAID, "b")
    turn.give_back()
    turn.give_back()
    assert turns.waiting(Lane.UNPAID) == 0


@pytest.mark.parametrize("seed", range(20))
async def test_any_order_of_taking_and_giving_back(seed: int) -> None:
    """Bounds hold, nobody waits who could begin, and in the end all is free."""
    chance = random.Random(seed)
    turns = RunTurns(BOUNDS)
    held: dict[Turn, tuple[Lane, str]] = {}
    for _ in range(400):
        if held and chance.random() < 0.45:
            turn = chance.choice(list(held))
            turn.give_back()
            del held[turn]
        else:
            turn, lane = turns.turn(), chance.choice(list(Lane))
            address = chance.choice("abc")
            try:
                turn.take(lane, address)
            except (AddressBusy, ServiceBusy):
                turn.give_back()
            else:
                held[turn] = lane, address
        running = Counter(lane for turn, (lane, _) in held.items() if turn.runs)
        unpaid = Counter(
            address for turn, (lane, address) in held.items() if lane is Lane.UNPAID and turn.runs
        )
        assert running.total() <= BOUNDS.runs_max
        assert running[Lane.UNPAID] <= BOUNDS.common
        assert all(count <= BOUNDS.of_an_address for count in unpaid.values())
        idle = running.total() < BOUNDS.runs_max
        for turn, (lane, address) in held.items():
            assert (
                turn.runs
                or not idle
                or (
                    lane is Lane.UNPAID
                    and (running[lane] == BOUNDS.common or unpaid[address] == BOUNDS.of_an_address)
                )
            )
    for turn in list(held):
        turn.give_back()
    assert [turns.waiting(lane) for lane in Lane] == [0, 0, 0]
    assert sum(turns.turn().take(Lane.PAYING, "a") for _ in range(8)) == 8
