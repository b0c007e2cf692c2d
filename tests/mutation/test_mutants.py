"""The mutants themselves: each is another program, and the same seed draws the same ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.__main__ import CORE, ROOT, equivalents
from tests.mutation.mutants import Mutant, drawn, mutants_of

SOURCE = '''\
"""A module."""

LIMIT = 3  # bytes: €


def clamp(value: int, *, most: int = LIMIT) -> int:
    """What is returned."""
    if value < 0 or not most:
        raise ValueError("no €")
    return min(value, most) if value else 0
'''


def _mutants(folder: Path) -> list[Mutant]:
    (folder / "module.py").write_text(SOURCE, encoding="utf-8")
    return mutants_of(folder, "module.py")


def test_every_mutant_is_another_program_that_still_compiles(tmp_path: Path) -> None:
    """The change stands where it should, also behind characters of several bytes."""
    before = ast.dump(ast.parse(SOURCE))
    mutants = _mutants(tmp_path)
    for mutant in mutants:
        after = ast.dump(ast.parse(mutant.applied(SOURCE.encode())))
        assert after != before
    assert len(mutants) == len({mutant.applied(SOURCE.encode()) for mutant in mutants})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value < 0", "(value <= 0)"),
        ("value < 0 or not most", "((value < 0) and (not most))"),
        ("not most", "(most)"),
        ('raise ValueError("no €")', "pass"),
        ("min(value, most)", "max(value, most)"),
        ("3", "4"),
        ("value < 0 or not most", "True"),
    ],
)
def test_a_kind_of_change_is_made(tmp_path: Path, old: str, new: str) -> None:
    """Bounds, signs, conditions, raised errors and figures are changed."""
    assert (old, new) in {(mutant.old, mutant.new) for mutant in _mutants(tmp_path)}


def test_the_same_seed_draws_the_same_mutants() -> None:
    """A figure can be compared with that of another day."""
    one, two = (drawn(ROOT, CORE, number=50, seed=1) for _ in range(2))
    assert one == two
    assert drawn(ROOT, CORE, number=50, seed=2) != one


def test_what_is_named_as_equivalent_is_still_there() -> None:
    """A name that no mutant bears any more would hide nothing and explain nothing."""
    names = {mutant.name for path in CORE for mutant in mutants_of(ROOT, path)}
    assert equivalents() <= names
