"""Digests of rows as they opened: fixed for ever, and aware of whatever is fixed at opening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow.record import Escrow, Fallback, Opening
from cobot_meter.domain.transitions.row_digests import opened_digest
from tests.domain.samples import Shape, opened

BEFORE_A_LEAST = opened(Shape(least=None))
FALLBACK = Fallback(asked_model="asked", reason="circuit_open")


@pytest.mark.parametrize(
    ("escrow", "digest"),
    [
        (opened(), "1:c3196db964d780c296cce4d2f99569ac"),
        (BEFORE_A_LEAST, "1:6c20045af7adb181a9bce7e4e87e9427"),
        (replace(BEFORE_A_LEAST, fallback=FALLBACK), "1:590204eac593e4b296ed8bfeb1ac629d"),
        (
            replace(BEFORE_A_LEAST, fallback=replace(FALLBACK, continues="esc_0")),
            "1:5129ec69f4f2b52b88f80430b1b693ff",
        ),
    ],
    ids=["with a least", "without", "with a fallback", "that continues another"],
)
def test_a_digest_is_what_it_was_when_fields_were_listed_by_hand(
    escrow: Escrow, digest: str
) -> None:
    """The journal's entries are never written anew: these four were made before it was derived."""
    assert opened_digest(escrow) == digest


def changed(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return f"{value} else"


PARTS = ("ask", "quote", "quote.rate", "quote.terms", "quote.prices", "fallback", "task")


def said(value: object, within: str = "") -> list[str]:
    """The path of every field that is fixed when a sale opens."""
    paths: list[str] = []
    for name in value.__dataclass_fields__:  # type: ignore[attr-defined]
        path = within + name
        inside = getattr(value, name)
        paths += said(inside, f"{path}.") if path in PARTS else [path]
    return paths


ALL_SAID = replace(opened(Shape(max_fee=1_500)), fallback=FALLBACK)


def edited(value: Escrow, path: str) -> Escrow:
    """With another value in one field, however deep it lies."""

    def put(into: object, names: list[str]) -> object:
        old = getattr(into, names[0])
        new = put(old, names[1:]) if names[1:] else changed(old)
        return replace(into, **{names[0]: new})  # type: ignore[type-var]

    made = put(value, path.split("."))
    assert isinstance(made, Escrow)
    return made


@pytest.mark.parametrize("path", said(Opening.of(ALL_SAID)))
def test_whatever_is_fixed_at_opening_is_in_the_digest(path: str) -> None:
    """An edited row is found out whichever of its fixed fields was edited, its mode included."""
    assert opened_digest(edited(ALL_SAID, path)) != opened_digest(ALL_SAID)


def test_a_sale_as_it_opened_is_made_of_any_later_row_of_it() -> None:
    """Whatever happened since, what was fixed is still there, field by field."""
    escrow = opened(Shape(escrow_id="esc_7"))
    later = replace(escrow, version=9, price_msat=5, changed_at_ms=escrow.changed_at_ms + 1)
    assert Escrow.opened(Opening.of(later), upstream=escrow.run.upstream) == escrow
