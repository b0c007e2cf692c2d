"""What a detector says of whole requests: types alone, and local where it cannot be sure."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.privacy.detector import WITHIN_MS, Detector
from cobot_meter.domain.privacy.secret_rules import SecretRule, SecretRules
from cobot_meter.domain.privacy.texts import SCANNED_CHARS_MAX
from cobot_meter.domain.privacy.tiers import DETECTOR_FAILED, UNSCANNABLE
from tests.domain.privacy.reading import shipped_detector, shipped_rules, signals

CARD = "4111 1111 1111 1111"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def base64_of(text: str) -> str:
    """As a file or a secret is written into a request."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": CARD}]},
        {"role": "system", "content": CARD},
        {"role": "user", "name": CARD.replace(" ", ""), "content": "x"},
        {"role": "tool", "tool_call_id": "1", "content": json.dumps({"card": CARD})},
        {"role": "user", "content": [{"type": "file", "file": {"filename": f"{CARD}.txt"}}]},
        {"role": "user", "content": "see " + base64_of(f"the card is {CARD}, use it")},
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {"file_data": "data:text/plain;base64," + base64_of(f"card {CARD}")},
                }
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"function": {"name": "pay", "arguments": '{"card": "\\u0034111111111111111"}'}}
            ],
        },
        {"role": "user", CARD: "x"},
        {"role": "user", "content": 4111111111111111},
    ],
)
def test_every_place_of_a_request_is_read(message: dict[str, Any]) -> None:
    """Contents, names, files, base64, tools' arguments with escapes, and members' names."""
    assert shipped_detector().signals([message]) == ("card",)


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "image", "video_url"])
def test_what_is_no_text_cannot_be_looked_at(kind: str) -> None:
    """Images, sound and moving pictures are unscannable, wherever they are."""
    part = {"type": kind, kind: {"url": "https://pictures.org/a.png"}}
    assert shipped_detector().signals([{"role": "user", "content": [part]}]) == (UNSCANNABLE,)


def test_a_file_that_is_no_text_cannot_be_looked_at() -> None:
    """Bytes in base64 that are no text are not taken for harmless."""
    data = "data:application/pdf;base64," + base64.b64encode(bytes(range(256))).decode()
    assert shipped_detector().signals({"file_data": data}) == (UNSCANNABLE,)


def test_more_than_can_be_read_is_not_taken_for_harmless() -> None:
    """256 KiB of text are read; one letter more is not."""
    assert shipped_detector().signals("a " * (SCANNED_CHARS_MAX // 2)) == ()
    assert shipped_detector().signals("a " * (SCANNED_CHARS_MAX // 2) + "a") == (UNSCANNABLE,)


def test_long_base64_is_not_taken_for_harmless() -> None:
    """A chunk of more than 64 KiB is not opened, and says so."""
    assert UNSCANNABLE in signals(base64_of("word " * 14_000))


def test_a_value_that_is_too_deep_is_not_taken_for_harmless() -> None:
    """What lies deeper than anything that means something is not read, and says so."""
    deep: object = "x"
    for _ in range(150):
        deep = [deep]
    assert shipped_detector().signals(deep) == (UNSCANNABLE,)


def test_who_runs_out_of_time_has_not_found_nothing() -> None:
    """A scan past its time is a failure, which counts as private."""
    clock = itertools.count(step=WITHIN_MS)
    late = Detector(shipped_rules(), monotonic_ms=lambda: next(clock))
    assert late.signals("call me at 415-555-0132 or 415-555-0133") == (DETECTOR_FAILED,)


def test_a_rule_that_cannot_be_read_has_not_found_nothing() -> None:
    """A broken pattern is a failure, which counts as private."""
    broken = SecretRules([SecretRule(name="b", words=("b",), pattern="(", anywhere=True)])
    assert Detector(broken, monotonic_ms=lambda: 0).signals("b") == (DETECTOR_FAILED,)


@given(json_values)
def test_any_value_can_be_scanned(value: object) -> None:
    """No JSON value makes it fail, and it says types alone."""
    found = shipped_detector().signals(value)
    assert DETECTOR_FAILED not in found
    assert all(kind.isidentifier() for kind in found)


@given(json_values, st.lists(st.text(), max_size=3))
def test_nothing_around_it_hides_a_card(value: object, others: list[str]) -> None:
    """A card in a message of its own is found whatever the other messages say."""
    messages = [*others, f"card: {CARD}", value]
    assert "card" in shipped_detector().signals(messages)


def test_signals_say_no_value() -> None:
    """Several kinds come in alphabetic order, each once, and nothing of what was found."""
    said = signals(f"{CARD}, {CARD} and jane.roe@hospital.org", "+49 30 901820")
    assert said == ("card", "email", "phone")
