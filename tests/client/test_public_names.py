"""What a buyer may rely on is exactly what the package names."""

from __future__ import annotations

import inspect

import cobot_pay


def test_the_public_names_are_all_there_is() -> None:
    """`__all__` is sorted, complete, and holds no module and no private name."""
    names = {
        name
        for name, value in vars(cobot_pay).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert cobot_pay.__all__ == sorted(names)


def test_every_public_name_says_what_it_is() -> None:
    """Each of them has a docstring of its own."""
    silent = [
        name
        for name in cobot_pay.__all__
        if "__doc__" not in vars(getattr(cobot_pay, name))
        or not vars(getattr(cobot_pay, name))["__doc__"]
    ]
    assert silent == []
