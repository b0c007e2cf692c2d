"""The domain counts in integers and stands on the standard library alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import dotted, python_files, tree

IMPURE = {"asyncio", "datetime", "os", "random", "secrets", "socket", "threading", "time", "uuid"}


def inexact_places(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and reason of everything in `module` that could make an amount inexact."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "the name float"
        elif isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"the literal {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield node.lineno, "a true division"
        elif isinstance(node, ast.Attribute) and dotted(node) in {"math.ceil", "operator.truediv"}:
            yield node.lineno, f"{dotted(node)}, which goes through float"


def imported_roots(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import in `module`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, (node.module or "").split(".")[0]


def test_the_domain_has_no_inexact_number() -> None:
    """No float, no float literal and no true division in any file of service/domain."""
    names = python_files("service/cobot_meter/domain")
    assert names
    found = [f"{name}:{line} {why}" for name in names for line, why in inexact_places(tree(name))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["x: float", "x = 0.5", "x = a / b", "x /= 2", "x = float(a)", "import math\nmath.ceil(x)"],
)
def test_an_inexact_number_would_be_found(line: str) -> None:
    """Each way to leave the integers is noticed."""
    assert list(inexact_places(ast.parse(line)))


def test_integer_arithmetic_is_left_alone() -> None:
    """Floor division, integers and text are no offence."""
    assert list(inexact_places(ast.parse("x = -(-a // b) * 2 + len('0.5')"))) == []


def test_the_domain_imports_the_standard_library_alone() -> None:
    """The domain imports itself and pure parts of the standard library: no clock, no chance."""
    pure = (sys.stdlib_module_names - IMPURE) | {"cobot_meter"}
    found = [
        f"{name}:{line} {root}"
        for name in python_files("service/cobot_meter/domain")
        for line, root in imported_roots(tree(name))
        if root not in pure
    ]
    assert found == []


def test_nothing_in_the_domain_awaits() -> None:
    """The domain is synchronous."""
    found = [
        f"{name}:{node.lineno}"
        for name in python_files("service/cobot_meter/domain")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith | ast.AsyncFor)
    ]
    assert found == []
