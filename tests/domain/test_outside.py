"""Whatever text, id, count or time comes from outside, what passes the gate can be kept."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.outside import (
    COUNT_MAX,
    DEPTH_MAX,
    NAME_MAX,
    REPLACEMENT,
    TIME_MAX_MS,
    count,
    identifier,
    maybe_text,
    shown,
    text,
    time_ms,
    value,
)

anything = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | anything,
    lambda inner: st.lists(inner) | st.dictionaries(anything, inner),
    max_leaves=20,
)


@given(anything)
def test_any_text_can_be_stored_after_the_gate(said: str) -> None:
    """It encodes as UTF-8, holds no NUL, and passing again changes nothing."""
    mended = text(said)
    mended.encode()
    assert "\0" not in mended
    assert text(mended) == mended


@given(st.text().filter(lambda said: "\0" not in said))
def test_an_honest_text_is_not_touched(said: str) -> None:
    """What UTF-8 and the databases can hold comes out as it went in."""
    assert text(said) == said


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ("bad output \ud83d near token", f"bad output {REPLACEMENT} near token"),
        ("\ud83d" + "\ude00", "😀"),
        ("\ude00\ud83d", REPLACEMENT * 2),
        ("a\0b", f"a{REPLACEMENT}b"),
    ],
)
def test_halves_are_joined_or_replaced(said: str, mended: str) -> None:
    """Two halves of one character become it; a half alone, and NUL, become U+FFFD."""
    assert text(said) == mended


@given(json_values)
def test_any_json_value_can_be_written_after_the_gate(said: object) -> None:
    """Names of members and texts at any depth are mended."""
    json.dumps(value(said), ensure_ascii=False).encode()


@given(anything)
def test_an_identifier_is_visible_ascii_or_none(said: str) -> None:
    """What passes stands in a header and in a path as it is."""
    let_in = identifier(said)
    assert let_in is None or (let_in == said and said.isascii() and said.isprintable())
    assert let_in is None or (" " not in said and 1 <= len(said) <= NAME_MAX)


@pytest.mark.parametrize("said", ["", "a b", "a\r\nb", "a\0", "é", "x" * 201, None, 7, "a\n"])
def test_what_is_no_identifier(said: object) -> None:
    """Controls, spaces, other alphabets, great lengths and other types are no id."""
    assert identifier(said) is None


@pytest.mark.parametrize(
    "said",
    [-1, COUNT_MAX + 1, 10**400, True, 1.0, "-1", "1e3", "", "٣", "9" * 4_000, None, [], "²"],
)
def test_what_is_no_count(said: object) -> None:
    """None, without an exception, for every other number and text."""
    assert count(said) is None


@given(st.integers(min_value=0, max_value=COUNT_MAX))
def test_a_count_passes_as_number_and_as_digits(number: int) -> None:
    """Both spellings are the same count."""
    assert count(number) == count(str(number)) == number


def test_times_have_a_last_year() -> None:
    """Seconds and milliseconds of this century pass; what no calendar shows does not."""
    assert time_ms(1_700_000_000, unit_ms=1_000) == 1_700_000_000_000
    assert time_ms(TIME_MAX_MS) == TIME_MAX_MS
    assert time_ms(TIME_MAX_MS + 1) is None
    assert time_ms(TIME_MAX_MS, unit_ms=1_000) is None


@given(anything)
def test_what_is_shown_moves_no_cursor(said: str) -> None:
    """One line, bounded, without controls or marks of direction."""
    line = shown(said, most=40)
    assert len(line) <= 40
    assert all(unicodedata.category(char)[0] != "C" or char == REPLACEMENT for char in line)


def test_no_text_is_an_empty_one() -> None:
    """Other types where a name was expected are no name."""
    assert maybe_text(7) == ""
    assert maybe_text("x" * 300) == "x" * NAME_MAX


@pytest.mark.parametrize("said", [2**64, -(2**63) - 1, 10**400])
def test_numbers_that_readers_read_differently_are_none(said: int) -> None:
    """Over 64 bits; a flag stays one."""
    assert value([said, True]) == [None, True]


def test_what_is_nested_deeper_than_anything_is_cut_off() -> None:
    """Every writer and reader can go as deep as what is left."""
    said: object = []
    for _ in range(5_000):
        said = [said]
    depth, mended = 0, value(said)
    while isinstance(mended, list) and mended:
        depth, mended = depth + 1, mended[0]
    assert (depth, mended) == (DEPTH_MAX, None)
