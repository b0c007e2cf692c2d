"""Which tests run which statements of the money core: only those can notice a change of one.

In a copy of the tree every statement in a function first writes down that it was reached; as a
plugin (`-p tests.mutation.reach`) this module notes for every test what was. What runs while a
module is imported is nobody's in particular.
"""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

NOTES = "MUTATION_NOTES"
REACHED: set[tuple[str, int]] = set()
_MARK = "_REACHED"
_RUN: dict[str, tuple[float, list[tuple[str, int]]]] = {}
Reaching = Mapping[tuple[str, int], Sequence[tuple[float, str]]]
Functions = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note what this test reached, from its set-up to its teardown."""
    REACHED.clear()
    began_s = time.monotonic()
    try:
        return (yield)
    finally:
        _RUN[item.nodeid] = (time.monotonic() - began_s, sorted(REACHED))


def pytest_sessionfinish() -> None:
    """Leave the notes where the run wants them."""
    Path(os.environ[NOTES]).write_text(json.dumps(_RUN), encoding="utf-8")


def marked(source: str, path: str) -> str:
    """The same program, noting each statement of its functions as it is reached."""
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, Functions):
            _mark(node.body, path)
    futures = sum(1 for one in module.body if _is_first(one))
    importing = ast.parse(f"from tests.mutation.reach import REACHED as {_MARK}").body
    module.body[futures:futures] = importing
    return ast.unparse(ast.fix_missing_locations(module))


def statement_at(source: str, line: int) -> int | None:
    """The first line of the innermost statement there; None outside of functions."""
    held = [
        statement
        for function in ast.walk(ast.parse(source))
        if isinstance(function, Functions)
        for statement in _statements(function.body)
        if statement.lineno <= line <= (statement.end_lineno or line)
    ]
    return max((statement.lineno for statement in held), default=None)


def read(notes: Iterable[Path]) -> Reaching:
    """The tests of each statement, by path and line, with how long they took."""
    found: dict[tuple[str, int], list[tuple[float, str]]] = {}
    for note in notes:
        for test, (seconds, reached) in json.loads(note.read_text(encoding="utf-8")).items():
            for path, line in reached:
                found.setdefault((path, line), []).append((seconds, test))
    return found


def _mark(body: list[ast.stmt], path: str) -> None:
    for statement in list(body):
        for part in _bodies(statement):
            _mark(part, path)
        if not isinstance(statement, ast.Nonlocal | ast.Global) and not _is_first(statement):
            noting = ast.parse(f"{_MARK}.add(({path!r}, {statement.lineno}))").body
            body[body.index(statement) : body.index(statement)] = noting


def _statements(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    inner = [one for statement in body for part in _bodies(statement) for one in _statements(part)]
    return [*body, *inner]


def _bodies(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement; a function's own are marked as a function's."""
    if isinstance(statement, Functions | ast.ClassDef):
        return []
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    parts = [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]
    return [block for block in (*blocks, *(part.body for part in parts)) if block]


def _is_first(statement: ast.stmt) -> bool:
    """A docstring, or an import that must come before all else."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom(module="__future__"):
            return True
        case _:
            return False
