"""Numbers keep their digits through reading and writing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.exact_json import (
    NumberText,
    amount,
    checked_amount,
    exact_dumps,
    exact_loads,
    plain_loads,
)
from cobot_meter.domain.money import pusd_from_decimal, pusd_from_text

DOUBLES = st.floats(min_value=0, max_value=9_000_000, allow_nan=False, allow_infinity=False)


@given(DOUBLES)
def test_digits_survive_the_round_trip(value: float) -> None:
    """Whatever digits a double is written with are the digits that are kept and written again."""
    text = repr(value)
    document = exact_loads(f'{{"cost":{text}}}')
    assert isinstance(document, dict)
    assert document["cost"] == text
    assert exact_dumps(document) == f'{{"cost":{text}}}'.encode()


@given(st.decimals(min_value=0, max_value=9_999, places=20))
def test_amount_is_the_exact_decimal(value: Decimal) -> None:
    """An amount is the decimal that was written, to the last digit, and rounds up once."""
    document = exact_loads(f"[{value}]")
    assert isinstance(document, list)
    read = amount(document[0])
    assert read == value
    assert read is not None
    assert pusd_from_decimal(read) == pusd_from_text(str(value))


@pytest.mark.parametrize(
    "text",
    ["0.0076509169000000005", "4.1400000000000003e-05", "0", "1E-8", "0.00003452", "12.5"],
)
def test_recorded_number_forms_are_read(text: str) -> None:
    """The forms seen in recorded traffic, noise and exponents included, are amounts."""
    document = exact_loads(f'{{"cost":{text}}}')
    assert isinstance(document, dict)
    assert amount(document["cost"]) == Decimal(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0.5,
        "0.5",
        NumberText("-0.1"),
        NumberText("1e400"),
        NumberText("1e-999999999"),
        NumberText("9" * 70),
    ],
)
def test_what_is_no_amount_is_none(value: object) -> None:
    """Absent, negative, huge, absurdly small and non-numbers are no amount of money."""
    assert amount(value) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "", "1_000", "\u0661", "0x10", "free"])
def test_price_texts_that_are_no_prices(text: str) -> None:
    """A price text must be plain ASCII digits of a finite, non-negative amount."""
    assert checked_amount(text) is None


@pytest.mark.parametrize("data", ['{"a":NaN}', '{"a":-Infinity}', "{", "", "[" * 100_000])
def test_what_is_no_json_is_a_value_error(data: str) -> None:
    """Non-numbers, broken and bottomless JSON all raise ValueError, nothing else."""
    with pytest.raises(ValueError, match=r".+"):
        exact_loads(data)


@pytest.mark.parametrize(
    ("text", "read"), [("9" * 5_000, None), ("1e400", None), ("1" * 64, "1" * 64)]
)
def test_numbers_that_no_reader_takes_are_none(text: str, read: str | None) -> None:
    """What is longer than any amount, or no double, must not stand in an answer that is kept."""
    assert exact_loads(f"[{text}]") == [read]


@pytest.mark.parametrize(
    "data",
    [b'\xef\xbb\xbf{"a":"b"}', b'{"a":"b\xff"}', b'{"a":"\\ud83d"}', b"[" + b"9" * 5_000 + b"]"],
)
def test_any_bytes_that_are_json_but_for_their_letters_are_read(data: bytes) -> None:
    """A byte-order mark, bytes that are no UTF-8, half an emoji and long numbers spoil nothing."""
    assert plain_loads(data)
    assert exact_loads(data)


def test_only_json_is_written() -> None:
    """A value that JSON has no word for is a bug and raises TypeError."""
    with pytest.raises(TypeError):
        exact_dumps({"cost": Decimal(1)})


def test_strings_that_look_like_numbers_stay_strings() -> None:
    """Writing tells a number's digits from a string of digits."""
    document = exact_loads('{"number":1.50,"text":"1.50"}')
    assert exact_dumps(document) == b'{"number":1.50,"text":"1.50"}'
    assert json.loads(exact_dumps(document))["text"] == "1.50"
