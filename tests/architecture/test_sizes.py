"""No file is too long to read at one sitting, and no function to see at one glance."""

from __future__ import annotations

from tests.architecture.source_tree import HAND_WRITTEN, functions, python_files, source

FILE_LINES = 450
FUNCTION_LINES = 60


def test_no_file_is_longer_than_450_lines() -> None:
    """Every hand-written Python file has at most 450 lines."""
    lengths = {name: len(source(name).splitlines()) for name in python_files(*HAND_WRITTEN)}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    """Every function, its docstring counted, has at most 60 lines."""
    lengths = {
        f"{name}:{function.lineno} {function.name}": _lines(function.lineno, function.end_lineno)
        for name in python_files(*HAND_WRITTEN)
        for function in functions(name)
    }
    assert lengths
    assert {place: lines for place, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def _lines(first: int, last: int | None) -> int:
    return (last or first) - first + 1
