"""No file is too long for one sitting, no function for one glance, no folder for one look."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import PurePosixPath

from tests.architecture.source_tree import HAND_WRITTEN, Function, functions, python_files, source
from tests.conftest import COUNTED

Record = Callable[[str, object], None]

FILE_LINES = 450
FUNCTION_LINES = 60
FOLDER_FILES = 15
# Whoever needs more has two subjects, or takes a subject apart that should come as one.
CONSTRUCTOR_ARGUMENTS = 6
# A state is a row of one table; what else names many of them has a new state to learn by hand.
STATE_FILES = 4
STATES_NAMED = 4


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


def test_no_folder_has_more_than_15_files(record_property: Record) -> None:
    """Every folder has at most 15 hand-written Python files, `__init__.py` not counted."""
    counted = Counter(
        str(path.parent)
        for path in map(PurePosixPath, python_files(*HAND_WRITTEN))
        if path.name != "__init__.py"
    )
    many = {folder: files for folder, files in counted.items() if files > FOLDER_FILES}
    record_property(COUNTED, f"folders of more than {FOLDER_FILES} files: {len(many)}")
    assert counted
    assert many == {}


def test_no_constructor_takes_more_than_6_arguments(record_property: Record) -> None:
    """Every written `__init__` has at most six beside `self`; what dataclasses generate is data."""
    taken = {
        f"{name}:{function.lineno}": len(_arguments(function))
        for name in python_files("service", "client", "simulator")
        for function in functions(name)
        if function.name == "__init__"
    }
    many = {place: count for place, count in taken.items() if count > CONSTRUCTOR_ARGUMENTS}
    record_property(
        COUNTED,
        f"constructors with more than {CONSTRUCTOR_ARGUMENTS} arguments: {len(many)}; "
        f"the largest takes {max(taken.values())}",
    )
    assert many == {}


def test_few_files_enumerate_the_states_of_an_escrow(record_property: Record) -> None:
    """At most four files of the service name four states or more: the tables, and the driver."""
    named = {
        name: len(set(re.findall(r"\b(?:Progress|S)\.([A-Z]+)\b", source(name))))
        for name in python_files("service")
        if "Progress" in source(name)
    }
    many = sorted(name for name, states in named.items() if states >= STATES_NAMED)
    record_property(COUNTED, f"files that enumerate escrow states: {len(many)}")
    assert len(many) <= STATE_FILES, many
    assert "service/cobot_meter/domain/escrow/states.py" in many


def _arguments(function: Function) -> list[str]:
    """The names of all its arguments but `self`, `*` and `**` included."""
    written = function.args
    named = [*written.posonlyargs, *written.args, *written.kwonlyargs]
    rest = [one for one in (written.vararg, written.kwarg) if one is not None]
    return [one.arg for one in (*named, *rest)][1:]


def _lines(first: int, last: int | None) -> int:
    return (last or first) - first + 1
