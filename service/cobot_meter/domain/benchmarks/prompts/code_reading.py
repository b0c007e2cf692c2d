"""Fifteen short programs whose output is to be said. Nothing is ever run: neither theirs nor ours.

What a program prints is worked out by an expression of ours beside it; a test runs the programs
and sees that the two agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.benchmarks.checks.final_answer import MARKER, ExactWords
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "code"
TOKENS = 500
_ASK = (
    "What does this Python program print? End with a line "
    f"`{MARKER}` and exactly what it prints, on that same line."
)


@dataclass(frozen=True, slots=True)
class Program:
    """A program with `@a` and the like for what is drawn, and what it prints."""

    source: str
    ranges: Mapping[str, tuple[int, int]]
    printed: Callable[..., object]


def code_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the numbers of this seed."""
    return tuple(_item(number, program, seed) for number, program in enumerate(PROGRAMS, start=1))


def _item(number: int, program: Program, seed: int) -> Item:
    item_id = f"code-{number:02d}"
    draws = Draws(seed, item_id)
    drawn = {name: draws.between(*ends) for name, ends in program.ranges.items()}
    printed = str(program.printed(**drawn))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{_ASK}\n\n```python\n{source_of(program, drawn)}\n```",
        max_tokens=TOKENS,
        check=ExactWords(printed, any_case=False),
        solution=f"{MARKER} {printed}",
    )


def source_of(program: Program, drawn: Mapping[str, int]) -> str:
    """The program with its numbers."""
    source = program.source
    for name, value in drawn.items():
        source = source.replace(f"@{name}", str(value))
    return source


def _collatz(a: int) -> int:
    steps = 0
    while a != 1:
        a = a // 2 if a % 2 == 0 else 3 * a + 1
        steps += 1
    return steps


def _fibonacci(n: int, m: int) -> int:
    one, other = 0, 1
    for _ in range(n):
        one, other = other, (one + other) % m
    return one


PROGRAMS: tuple[Program, ...] = (
    Program(
        "total = 0\nfor n in range(1, @a):\n    if n % @b == 0:\n        continue\n    total += n\n"
        "print(total)",
        {"a": (12, 30), "b": (3, 5)},
        lambda a, b: sum(n for n in range(1, a) if n % b),
    ),
    Program(
        "words = ['oak', 'elm', 'ash', 'fir', 'yew', 'box']\nprint(words[@a % 6] + words[-@b])",
        {"a": (7, 40), "b": (1, 6)},
        lambda a, b: (
            ("oak", "elm", "ash", "fir", "yew", "box")[a % 6]
            + ("oak", "elm", "ash", "fir", "yew", "box")[-b]
        ),
    ),
    Program(
        "def f(n):\n    return 0 if n == 0 else n % 10 + f(n // 10)\n\nprint(f(@a) * f(@b))",
        {"a": (1_000, 99_999), "b": (100, 9_999)},
        lambda a, b: sum(map(int, str(a))) * sum(map(int, str(b))),
    ),
    Program(
        "n, steps = @a, 0\nwhile n != 1:\n    n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
        "    steps += 1\nprint(steps)",
        {"a": (5, 24)},
        _collatz,
    ),
    Program(
        "a, b = 0, 1\nfor _ in range(@n):\n    a, b = b, (a + b) % @m\nprint(a)",
        {"n": (9, 16), "m": (11, 29)},
        _fibonacci,
    ),
    Program(
        "xs = [n * n % @m for n in range(@n)]\nprint(len(set(xs)), max(xs))",
        {"m": (7, 13), "n": (6, 12)},
        lambda m, n: f"{len({k * k % m for k in range(n)})} {max(k * k % m for k in range(n))}",
    ),
    Program(
        "def add(x, seen=[]):\n    seen.append(x)\n    return len(seen) * x\n\n"
        "print(add(@a), add(@b), add(@c))",
        {"a": (2, 9), "b": (11, 19), "c": (21, 39)},
        lambda a, b, c: f"{a} {2 * b} {3 * c}",
    ),
    Program(
        "fs = [lambda x: x + k for k in range(@k)]\nprint(fs[0](@a))",
        {"k": (3, 8), "a": (10, 60)},
        lambda k, a: a + k - 1,
    ),
    Program(
        "text = 'level-headed'\nprint(text[@a:@b:2].upper(), text.count('e', @a))",
        {"a": (1, 4), "b": (8, 12)},
        lambda a, b: f"{'level-headed'[a:b:2].upper()} {'level-headed'.count('e', a)}",
    ),
    Program(
        "try:\n    n = @a // (@b - @b)\nexcept ZeroDivisionError:\n    n = @c\nelse:\n    n = 0\n"
        "finally:\n    print(n * 3)",
        {"a": (5, 50), "b": (2, 9), "c": (11, 33)},
        lambda c, **_: 3 * c,
    ),
    Program(
        "d = {}\nfor i, c in enumerate('banana' * @a):\n    d[c] = i\n"
        "print(sum(d.values()), len(d))",
        {"a": (2, 6)},
        lambda a: f"{(6 * a - 6) + (6 * a - 1) + (6 * a - 2)} 3",
    ),
    Program(
        "print((@a & @b) + (@a | @b) - (@a ^ @b), @a >> 2)",
        {"a": (17, 120), "b": (9, 63)},
        lambda a, b: f"{2 * (a & b)} {a >> 2}",
    ),
    Program(
        "def g(n):\n    for i in range(n):\n        yield i\n        if i * i > @a:\n"
        "            return\n\nprint(sum(g(@b)))",
        {"a": (10, 60), "b": (12, 20)},
        lambda a, b: sum(i for i in range(b) if i == 0 or (i - 1) ** 2 <= a),
    ),
    Program(
        "xs = [@a, @b, @c]\nys = xs\nzs = xs[:]\nys.append(@d)\nzs[0] = 0\nprint(sum(xs), sum(zs))",
        {"a": (3, 20), "b": (21, 40), "c": (41, 60), "d": (61, 90)},
        lambda a, b, c, d: f"{a + b + c + d} {b + c}",
    ),
    Program(
        "grid = [[r * c % @m for c in range(4)] for r in range(@n)]\n"
        "print([max(row) for row in grid][-1], sum(grid[r][r % 4] for r in range(@n)))",
        {"m": (4, 9), "n": (4, 8)},
        lambda m, n: (
            f"{max((n - 1) * c % m for c in range(4))} {sum(r * (r % 4) % m for r in range(n))}"
        ),
    ),
)
