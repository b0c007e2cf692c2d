"""Every module says what it is, and every test what it proves."""

from __future__ import annotations

import ast

from tests.architecture.source_tree import HAND_WRITTEN, functions, python_files, tree


def test_every_module_says_what_it_is() -> None:
    """No hand-written Python file is without a docstring."""
    names = python_files(*HAND_WRITTEN)
    assert names
    assert [name for name in names if not ast.get_docstring(tree(name))] == []


def test_every_test_says_what_it_proves() -> None:
    """No test function or method is without a docstring that ends as a sentence does."""
    silent = [
        f"{name}:{function.lineno} {function.name}"
        for name in python_files("tests")
        for function in functions(name)
        if function.name.startswith("test_") and not _is_sentence(ast.get_docstring(function))
    ]
    assert silent == []


def _is_sentence(text: str | None) -> bool:
    return bool(text) and str(text).rstrip().endswith((".", "!", "?"))


def test_a_package_holds_nothing_but_its_docstring() -> None:
    """An __init__.py runs nothing; but for versions and the public names of the client."""
    full = [
        name
        for name in python_files(*HAND_WRITTEN)
        if name.endswith("/__init__.py") and len(tree(name).body) > 1
    ]
    assert set(full) == {
        "service/cobot_meter/__init__.py",
        "client/cobot_pay/__init__.py",
        "simulator/openrouter_simulator/__init__.py",
    }
