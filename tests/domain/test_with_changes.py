"""A value with some of its fields changed is the one that `replace` would make."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.with_changes import changer_of
from tests.domain.samples import Shape, opened

ESCROW = opened(Shape())


@pytest.mark.parametrize("value", [ESCROW, ESCROW.run], ids=["sale", "run"])
def test_every_field_can_be_changed_and_the_value_of_before_stays(value: Escrow | Run) -> None:
    """One field at a time, and all the others are as they were."""
    changed_by: Any = changer_of(type(value))
    before = replace(value)
    for field in fields(value):
        fresh = object()
        changed = changed_by(value, {field.name: fresh})
        expected: Any = replace(value, **{field.name: fresh})  # type: ignore[arg-type]
        assert changed == expected
    assert value == before
    assert changed_by(value, {}) == value


def test_a_name_that_is_no_field_is_refused() -> None:
    """A misspelt change would otherwise be lost without a word."""
    with pytest.raises(KeyError, match="colour"):
        changer_of(Escrow)(ESCROW, {"colour": "red"})
