"""Fifteen small puzzles with one answer: orders, liars, calendars, sets and rules.

Each is made from its solution, so that there is one; a test sees that there is no second.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from cobot_meter.domain.benchmarks.checks.final_answer import MARKER, ExactNumber, ExactWords
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "reasoning"
TOKENS = 500
_ASK = f"Think it through, then end with a line `{MARKER}` and the answer alone."
NAMES = ("Anna", "Bela", "Cora", "Dario", "Emil", "Fritz", "Gina", "Hans")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLOURS = ("red", "green", "blue", "white", "black")

Puzzle = Callable[[Draws], tuple[str, str | int]]


def logic_items(seed: int) -> tuple[Item, ...]:
    """All of them, as this seed draws them."""
    return tuple(_item(number, puzzle, seed) for number, puzzle in enumerate(PUZZLES, start=1))


def _item(number: int, puzzle: Puzzle, seed: int) -> Item:
    item_id = f"logic-{number:02d}"
    text, answer = puzzle(Draws(seed, item_id))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{text}\n\n{_ASK}",
        max_tokens=TOKENS,
        check=ExactNumber(answer) if isinstance(answer, int) else ExactWords(answer),
        solution=f"{MARKER} {answer}",
    )


def _queue(draws: Draws) -> tuple[str, str]:
    """A chain of neighbours, told out of order."""
    line = draws.some_of(NAMES, 5)
    told = draws.some_of([f"{a} stands right before {b}." for a, b in itertools.pairwise(line)], 4)
    return f"Five people stand in a queue. {' '.join(told)} Who stands third?", line[2]


def _oldest(draws: Draws) -> tuple[str, str]:
    line = draws.some_of(NAMES, 4)
    told = draws.some_of([f"{a} is older than {b}." for a, b in itertools.pairwise(line)], 3)
    return f"{' '.join(told)} Who is the second oldest of these four?", line[1]


def _weekday(draws: Draws) -> tuple[str, str]:
    today, ahead = draws.between(0, 6), draws.between(30, 400)
    return (
        f"Today is {DAYS[today]}. What day of the week is it in {ahead} days?",
        DAYS[(today + ahead) % 7],
    )


def _liar(draws: Draws) -> tuple[str, str]:
    """One of three broke it and one alone speaks the truth; `guilty` follows."""
    one, other, third = draws.some_of(NAMES, 3)
    return (
        (
            f"One of {one}, {other} and {third} broke the vase, and exactly one of the three "
            f"speaks the truth. {one} says: “{other} did it.” {other} says: “I did not do it.” "
            f"{third} says: “I did not do it.” Who broke the vase?"
        ),
        third,
    )


def _both(draws: Draws) -> tuple[str, int]:
    tea, coffee, both = draws.between(30, 60), draws.between(30, 60), draws.between(8, 25)
    none = draws.between(3, 14)
    whole = tea + coffee - both + none
    return (
        (
            f"Of {whole} guests {tea} drink tea, {coffee} drink coffee and {none} drink neither. "
            "How many drink both?"
        ),
        both,
    )


def _switches(draws: Draws) -> tuple[str, int]:
    lamps = draws.between(20, 90)
    lit = sum(1 for n in range(1, lamps + 1) if n * n <= lamps)
    return (
        (
            f"{lamps} lamps in a row are off. Person 1 switches every lamp, person 2 every second "
            f"one, person 3 every third one, and so on up to person {lamps}. How many lamps are on "
            "at the end?"
        ),
        lit,
    )


def _turns(draws: Draws) -> tuple[str, str]:
    headings, at = ("north", "east", "south", "west"), draws.between(0, 3)
    turns = [draws.between(0, 1) for _ in range(draws.between(5, 8))]
    told = ", ".join("right" if turn else "left" for turn in turns)
    end = (at + sum(1 if turn else -1 for turn in turns)) % 4
    return (
        (
            f"A robot looks {headings[at]}. It turns by a quarter: {told}. Where does it look "
            "then: north, east, south or west?"
        ),
        headings[end],
    )


def _houses(draws: Draws) -> tuple[str, str]:
    """Three houses in a row; each clue takes one possibility away."""
    left, middle, right = draws.some_of(COLOURS, 3)
    asked = draws.one_of(NAMES)
    return (
        (
            f"Three houses in a row are {', '.join(sorted((left, middle, right)))}, each one "
            f"colour. The {left} house is somewhere to the left of the {right} one. The {middle} "
            f"house has a neighbour on both sides. {asked} lives in the house on the far right. "
            f"What colour is {asked}'s house?"
        ),
        right,
    )


def _rule(draws: Draws) -> tuple[str, str]:
    rains, wind = draws.between(0, 1) == 1, draws.between(0, 1) == 1
    sails = wind and not rains
    return (
        (
            "The boat sails if and only if there is wind and it does not rain. If the boat does "
            f"not sail, the crew mends nets; otherwise it fishes. Today there is "
            f"{'' if wind else 'no '}"
            f"wind and it {'rains' if rains else 'does not rain'}. Does the crew mend nets? Answer "
            "yes or no."
        ),
        "no" if sails else "yes",
    )


def _swaps(draws: Draws) -> tuple[str, str]:
    cups = draws.some_of(COLOURS, 3)
    at = draws.between(0, 2)
    told = [f"The coin lies under the {cups[at]} cup."]
    place = {cup: number for number, cup in enumerate(cups)}
    coin = place[cups[at]]
    for _ in range(4):
        one, other = draws.some_of((0, 1, 2), 2)
        told.append(f"Then the contents of the {cups[one]} and the {cups[other]} cup are swapped.")
        coin = other if coin == one else one if coin == other else coin
    return f"{' '.join(told)} Under which cup is the coin now? Say its colour.", cups[coin]


def _sequence(draws: Draws) -> tuple[str, int]:
    first, step, factor = draws.between(2, 9), draws.between(3, 8), draws.between(2, 3)
    row = [first]
    for at in range(6):
        row.append(row[-1] + step if at % 2 == 0 else row[-1] * factor)
    told = ", ".join(map(str, row[:6]))
    return (
        (
            f"A row of numbers goes on by two steps in turn: first {step} is added, then the "
            f"number is multiplied by {factor}, then {step} is added, and so on: "
            f"{told}. What is the next number?"
        ),
        row[6],
    )


def _seats(draws: Draws) -> tuple[str, str]:
    """A round table: who sits opposite, told by steps to the left."""
    ring = draws.some_of(NAMES, 6)
    told = draws.some_of(
        [f"{a} sits directly to the left of {b}." for a, b in itertools.pairwise(ring)], 5
    )
    return (
        (
            f"Six people sit around a round table with six chairs. {' '.join(told)} Who sits "
            f"opposite {ring[0]}?"
        ),
        ring[3],
    )


def _overlap(draws: Draws) -> tuple[str, int]:
    start, end = draws.between(8, 11) * 60, draws.between(15, 18) * 60
    other, till = start + draws.between(20, 100), end - draws.between(15, 90)
    return (
        (
            f"One shop is open from {_clock(start)} to {_clock(end)}, another from {_clock(other)} "
            f"to {_clock(till)} on the same day. For how many minutes are both open?"
        ),
        till - other,
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02d}"


def _drawer(draws: Draws) -> tuple[str, int]:
    colours, wanted = draws.between(4, 9), draws.between(2, 5)
    return (
        (
            f"A drawer has very many socks in each of {colours} colours. How many must be taken in "
            f"the dark to be certain of {wanted} socks of one and the same colour?"
        ),
        colours * (wanted - 1) + 1,
    )


def _all_some(draws: Draws) -> tuple[str, str]:
    thing, kind, trait = draws.some_of(("dax", "wug", "blick", "zorp", "fep", "tiv"), 3)
    follows = draws.between(0, 1) == 1
    last = f"some {trait}s are {thing}s" if follows else f"all {trait}s are {thing}s"
    return (
        (
            f"All {thing}s are {kind}s. All {kind}s are {trait}s. There is at least one {thing}. "
            f"Does it follow for certain that {last}? Answer yes or no."
        ),
        "yes" if follows else "no",
    )


PUZZLES: tuple[Puzzle, ...] = (
    *(_queue, _oldest, _weekday, _liar, _both, _switches, _turns, _houses),
    *(_rule, _swaps, _sequence, _seats, _overlap, _drawer, _all_some),
)
