"""Which tests reach which statement: the marks change nothing, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutation.__main__ import CORE, LIVES, ROOT, alive_in
from tests.mutation.mutants import drawn, mutants_of
from tests.mutation.reach import REACHED, marked, read, statement_at

SOURCE = '''\
"""A module."""

from __future__ import annotations

LIMIT = 3


def classify(value: int) -> str:
    """What is returned."""
    try:
        if value < 0:
            raise ValueError
        match value:
            case 0:
                return "none"
            case _:
                pass
    except ValueError:
        return "less"
    else:
        for _ in range(value):
            value += 1

        def inner() -> str:
            return "more"

        return inner()
'''


def reached_by(value: int) -> tuple[str, list[int]]:
    """What the marked program answers, and which of its lines wrote themselves down."""
    names: dict[str, object] = {}
    exec(compile(marked(SOURCE, "module.py"), "module.py", "exec"), names)  # noqa: S102 - above
    REACHED.clear()
    classify = names["classify"]
    assert callable(classify)
    answer = str(classify(value))
    lines = sorted(line for path, line in REACHED if path == "module.py")
    REACHED.clear()
    return answer, lines


@pytest.mark.parametrize(
    ("value", "answer", "lines"),
    [
        (-1, "less", [10, 11, 12, 19]),
        (0, "none", [10, 11, 13, 15]),
        (1, "more", [10, 11, 13, 17, 21, 22, 24, 25, 27]),
    ],
)
def test_each_statement_that_runs_is_written_down(
    value: int, answer: str, lines: list[int]
) -> None:
    """In every kind of block, and the program does what it did."""
    assert reached_by(value) == (answer, lines)


@pytest.mark.parametrize(
    ("line", "statement"),
    [(5, None), (8, None), (11, 11), (12, 12), (14, 13), (15, 15), (18, 10), (22, 22), (25, 25)],
)
def test_a_line_belongs_to_its_innermost_statement(line: int, statement: int | None) -> None:
    """A condition to the whole block; what runs at import to nobody."""
    assert statement_at(SOURCE, line) == statement


def test_every_change_of_the_core_has_a_statement_that_is_marked() -> None:
    """Or runs at import, and then every test has to judge it."""
    for path in CORE:
        source = (ROOT / path).read_text(encoding="utf-8")
        text = marked(source, path)
        compile(text, path, "exec")
        for line in {mutant.line for mutant in mutants_of(ROOT, path)}:
            statement = statement_at(source, line)
            assert statement is None or f"({path!r}, {statement})" in text


def test_notes_of_several_runs_are_read_together(tmp_path: Path) -> None:
    """By path and line, with how long each test took."""
    notes = [tmp_path / "0.json", tmp_path / "1.json"]
    notes[0].write_text(json.dumps({"a": [0.5, [["m.py", 3], ["m.py", 4]]]}), encoding="utf-8")
    notes[1].write_text(json.dumps({"b": [0.25, [["m.py", 3]]]}), encoding="utf-8")
    reaching = read(notes)
    assert reaching["m.py", 3] == [(0.5, "a"), (0.25, "b")]
    assert reaching["m.py", 4] == [(0.5, "a")]


def test_what_lived_is_found_again_in_a_report() -> None:
    """Whatever line it stands in by now; the other lines of a report are nothing."""
    report = (
        f"1/2    3 s  m.py:37: 0  →  1  {LIVES}\n2/2 3 s  m.py:4: a  →  b  killed by FAILED t::x\n"
        "\n1 of 2 died; 0 are named as equivalent\n✗ m.py:37: 0  →  1\n"
    )
    assert alive_in(report) == {"m.py: 0  →  1"}


def test_a_line_more_draws_the_same_mutants(tmp_path: Path) -> None:
    """What is added elsewhere, and where the file stands, leaves the draw as it was."""
    changes = []
    for name, more in (("one.py", ""), ("other.py", "\n\nMOST = LIMIT * 4\n")):
        (tmp_path / name).write_text(SOURCE + more, encoding="utf-8")
        lots = drawn(tmp_path, [name], number=100, seed=1)
        changes.append([mutant.change for mutant in lots if mutant.line < 28])
    assert changes[0] == changes[1]
    assert len(changes[0]) > 5
