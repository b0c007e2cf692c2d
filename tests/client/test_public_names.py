"""What a buyer may rely on is exactly what the package names."""

from __future__ import annotations

import ast

import pytest

import cobot_pay
from tests.architecture.source_tree import tree


def test_the_public_names_are_all_there_is() -> None:
    """`__all__` is sorted, and what type checkers and editors see is what is handed out."""
    package = tree("client/cobot_pay/__init__.py")
    seen = [
        alias.name
        for branch in package.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert cobot_pay.__all__ == sorted(seen)
    assert set(cobot_pay.__all__) <= set(dir(cobot_pay))


def test_every_public_name_says_what_it_is() -> None:
    """Each of them has a docstring of its own."""
    silent = [
        name
        for name in cobot_pay.__all__
        if "__doc__" not in vars(getattr(cobot_pay, name))
        or not vars(getattr(cobot_pay, name))["__doc__"]
    ]
    assert silent == []


def test_another_name_is_none_of_the_package() -> None:
    """It is refused as any module refuses it, by the type checker too."""
    with pytest.raises(AttributeError, match="module 'cobot_pay' has no attribute 'Bugdet'"):
        _ = cobot_pay.Bugdet  # type: ignore[attr-defined]
