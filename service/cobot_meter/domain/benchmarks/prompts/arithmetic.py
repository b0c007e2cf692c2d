"""Thirty word problems whose numbers are drawn; the answer is worked out beside the text.

Every answer is a whole number: `solve` takes the drawn numbers by name. Must not know: models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import lcm

from cobot_meter.domain.benchmarks.checks.final_answer import MARKER, ExactNumber
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "maths"
TOKENS = 400
_ASK = f"Work it out, then end with a line `{MARKER}` and the number alone."


@dataclass(frozen=True, slots=True)
class Problem:
    """A text with names in braces, the range of each, and how it is solved.

    `derived` are numbers that the text says and that follow from those that were drawn.
    """

    text: str
    ranges: Mapping[str, tuple[int, int]]
    solve: Callable[..., int]
    derived: Mapping[str, Callable[..., int]] = field(default_factory=dict)


def arithmetic_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the numbers of this seed."""
    return tuple(_item(number, problem, seed) for number, problem in enumerate(PROBLEMS, start=1))


def _item(number: int, problem: Problem, seed: int) -> Item:
    item_id = f"arithmetic-{number:02d}"
    draws = Draws(seed, item_id)
    drawn = {name: draws.between(*ends) for name, ends in problem.ranges.items()}
    told = drawn | {name: derive(**drawn) for name, derive in problem.derived.items()}
    answer = problem.solve(**drawn)
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{problem.text.format(**told)}\n\n{_ASK}",
        max_tokens=TOKENS,
        check=ExactNumber(answer),
        solution=f"{MARKER} {answer}",
    )


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "A bakery fills {a} trays with {b} rolls each and sells {c} of the rolls before noon. How "
        "many rolls are left?",
        {"a": (12, 19), "b": (14, 24), "c": (31, 97)},
        lambda a, b, c: a * b - c,
    ),
    Problem(
        "A ferry makes {a} crossings a day and carries {b} cars on each. A ticket costs {c} crowns "
        "a car. How many crowns does it take in {d} days?",
        {"a": (4, 9), "b": (21, 38), "c": (6, 14), "d": (3, 8)},
        lambda a, b, c, d: a * b * c * d,
    ),
    Problem(
        "Three sisters save {a}, {b} and {c} coins. They put it all together, buy a kite for {d} "
        "coins and keep the rest in a jar. How many coins are in the jar?",
        {"a": (41, 98), "b": (53, 120), "c": (17, 66), "d": (25, 80)},
        lambda a, b, c, d: a + b + c - d,
    ),
    Problem(
        "A tank holds {a} litres. A pump adds {b} litres a minute while a leak loses {c} litres a "
        "minute. How many litres are in it after {d} minutes, if it never runs over?",
        {"a": (40, 90), "b": (11, 19), "c": (2, 7), "d": (13, 27)},
        lambda a, b, c, d: a + (b - c) * d,
    ),
    Problem(
        "A library lends {a} books on Monday. On each of the next {b} days it lends {c} more than "
        "on the day before. How many books does it lend on the last of these days?",
        {"a": (110, 190), "b": (4, 6), "c": (7, 16)},
        lambda a, b, c: a + b * c,
    ),
    Problem(
        "A theatre has {a} seats in its first row, and each row behind has {b} more than the one "
        "before it. How many seats are there in all {c} rows?",
        {"a": (14, 25), "b": (2, 5), "c": (9, 16)},
        lambda a, b, c: c * a + b * c * (c - 1) // 2,
    ),
    Problem(
        "A train leaves with {a} people. At the first stop {b} get off and {c} get on; at the "
        "second stop twice as many get off as got on at the first. How many are on it then?",
        {"a": (230, 390), "b": (24, 60), "c": (31, 75)},
        lambda a, b, c: a - b - c,
    ),
    Problem(
        "A gardener plants {a} rows of 60 tulips. In each row {b} tulips do not come up, and mice "
        "eat {c} more in all. How many tulips are left?",
        {"a": (6, 12), "b": (4, 11), "c": (5, 23)},
        lambda a, b, c: a * (60 - b) - c,
    ),
    Problem(
        "A shop sells pens in boxes of {a}. A school needs {b} pens for each of its {c} pupils. "
        "How many boxes must it buy, if only whole boxes are sold?",
        {"a": (14, 23), "b": (3, 7), "c": (61, 148)},
        lambda a, b, c: -(-b * c // a),
    ),
    Problem(
        "What is the remainder when {a} × {b} + {c} is divided by {d}?",
        {"a": (112, 389), "b": (23, 78), "c": (101, 999), "d": (7, 13)},
        lambda a, b, c, d: (a * b + c) % d,
    ),
    Problem(
        "A cyclist rides {k} kilometres at 3 minutes a kilometre, rests {b} minutes, and rides "
        "back the same way at 4 minutes a kilometre. How many minutes does all of it take?",
        {"k": (11, 24), "b": (9, 21)},
        lambda k, b: 7 * k + b,
    ),
    Problem(
        "{a} friends share the bill of a meal and each pays {b} crowns. The bill was {c} crowns "
        "too high by mistake, and that is given back. What should the bill have been?",
        {"a": (5, 9), "b": (31, 58), "c": (20, 45)},
        lambda a, b, c: a * b - c,
    ),
    Problem(
        "A coat costs {a}00 crowns. Its price is lowered by {b} percent, and for members by {c} "
        "crowns more. How many crowns does a member pay?",
        {"a": (4, 19), "b": (15, 45), "c": (8, 29)},
        lambda a, b, c: a * (100 - b) - c,
    ),
    Problem(
        "Ann is {a} years older than Ben, and Ben is {b} years older than Cleo. How many years old "
        "are the three of them together when Cleo is {c}?",
        {"a": (3, 9), "b": (2, 8), "c": (11, 30)},
        lambda a, b, c: a + 2 * b + 3 * c,
    ),
    Problem(
        "A clock is {a} minutes fast at noon and gains {b} minutes in every hour. By how many "
        "minutes is it fast at {c} o'clock in the evening?",
        {"a": (2, 8), "b": (3, 6), "c": (6, 11)},
        lambda a, b, c: a + b * c,
    ),
    Problem(
        "A wall of {a} by {b} tiles is to be covered. {c} tiles break, and tiles come in packs of "
        "10. How many packs are needed?",
        {"a": (13, 27), "b": (14, 29), "c": (5, 38)},
        lambda a, b, c: -(-(a * b + c) // 10),
    ),
    Problem(
        "A box has {a} red, {b} blue and {c} green beads. How many must be drawn without looking, "
        "to be certain of at least one of each colour?",
        {"a": (12, 20), "b": (21, 30), "c": (5, 11)},
        lambda a, b, **_: a + b + 1,
    ),
    Problem(
        "In a league of {a} teams each team plays every other one twice. How many matches are "
        "played?",
        {"a": (9, 18)},
        lambda a: a * (a - 1),
    ),
    Problem(
        "How many whole numbers from 1 to {a} can be divided by {b} but not by {c}?",
        {"a": (200, 900), "b": (3, 5), "c": (7, 11)},
        lambda a, b, c: a // b - a // lcm(b, c),
    ),
    Problem(
        "A printer prints {a} pages a minute and pauses for 2 minutes after every {b} pages. It "
        "prints {c} lots of {b} pages, one after the other, and is done with the last page. The "
        "printing itself takes {m} minutes for each lot. How many minutes pass in all?",
        {"a": (10, 20), "m": (5, 9), "c": (4, 8)},
        lambda m, c, **_: c * m + 2 * (c - 1),
        {"b": lambda a, m, **_: a * m},
    ),
    Problem(
        "A farmer has hens and goats, {a} animals in all, with {b} goats among them. How many legs "
        "have they together?",
        {"a": (38, 64), "b": (9, 27)},
        lambda a, b: 2 * a + 2 * b,
    ),
    Problem(
        "A rectangle is {a} cm long and {b} cm wide. Its length grows by {c} cm and its width "
        "shrinks by {d} cm. By how many square centimetres is the new area larger than {e}?",
        {"a": (30, 45), "b": (25, 38), "c": (6, 14), "d": (2, 5), "e": (100, 400)},
        lambda a, b, c, d, e: (a + c) * (b - d) - e,
    ),
    Problem(
        "A worker earns {a} crowns an hour, and half as much again for every hour beyond 8 on one "
        "day. What does a day of {b} hours bring?",
        {"half": (7, 16), "b": (9, 13)},
        lambda half, b: 2 * half * 8 + 3 * half * (b - 8),
        {"a": lambda half, **_: 2 * half},
    ),
    Problem(
        "A parcel may weigh {a} kg. Books weigh 2 kg and jars 3 kg each. {b} jars are in it. How "
        "many books fit at most?",
        {"a": (41, 70), "b": (4, 11)},
        lambda a, b: (a - 3 * b) // 2,
    ),
    Problem(
        "Two trains start at the same time from towns {d} km apart and ride towards each other, "
        "one at {a} km an hour and the other at {b} km an hour. How many kilometres has the first "
        "one gone when they meet?",
        {"a": (60, 95), "b": (96, 130), "h": (2, 5)},
        lambda a, h, **_: a * h,
        {"d": lambda a, b, h: (a + b) * h},
    ),
    Problem(
        "A number is multiplied by {a}, then {b} is taken away, and {c} comes out. What was the "
        "number?",
        {"a": (6, 14), "b": (12, 60), "n": (17, 83)},
        lambda n, **_: n,
        {"c": lambda a, b, n: n * a - b},
    ),
    Problem(
        "A plant doubles the number of its leaves every week. It has {a} leaves today, and after "
        "{b} weeks {c} leaves are cut off once. How many leaves has it then?",
        {"a": (3, 9), "b": (4, 7), "c": (11, 40)},
        lambda a, b, c: a * 2**b - c,
    ),
    Problem(
        "A password has {a} letters out of A, B and C, in any order and with repeats, followed by "
        "one digit from 0 to {b}. How many passwords are there?",
        {"a": (3, 5), "b": (3, 8)},
        lambda a, b: 3**a * (b + 1),
    ),
    Problem(
        "The average of {a} measurements is {b}. One more is made, and the average becomes {c}. "
        "What was the last measurement?",
        {"a": (6, 14), "b": (41, 60), "c": (61, 75)},
        lambda a, b, c: c * (a + 1) - b * a,
    ),
    Problem(
        "What is the sum of the digits of {a} × {b}?",
        {"a": (1_103, 9_877), "b": (112, 887)},
        lambda a, b: sum(int(digit) for digit in str(a * b)),
    ),
)
