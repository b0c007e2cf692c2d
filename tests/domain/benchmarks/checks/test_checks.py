"""What passes and what does not, kind by kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.checks import instructions as rules
from cobot_meter.domain.benchmarks.checks.final_answer import ExactNumber, ExactWords
from cobot_meter.domain.benchmarks.checks.json_reply import JsonShape, JsonValues
from cobot_meter.domain.benchmarks.item import ReplyCheck

MEMBERS = st.dictionaries(
    st.text(max_size=8), st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=20))
)


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ("Answer: 1234", True),
        ("First 5, then 7.\n**Answer:** 1,234.", True),
        ("The answer is: $1234.00 crowns", True),
        ("Answer: 12\nNo, wait.\nAnswer: 1234", True),
        ("It must be 1234", True),
        ("\\boxed{1234}", True),
        ("Answer: 1234 of 2000", True),
        ("Answer: 1234.5", False),
        ("Answer: -1234", False),
        ("Answer: \N{MINUS SIGN}1234", False),
        ("1234, or rather 1235", False),
        ("Answer: twelve", False),
        ("Answer: 12345", False),
        ("", False),
    ],
)
def test_a_number_counts_however_it_is_written(reply: str, *, passes: bool) -> None:
    """The one behind the last mark, or the last of all."""
    assert ExactNumber(1234).passes(reply) is passes


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ("Answer: Anna", True),
        ("So it is her.\n**Answer**: `anna`.", True),
        ("Answer:\n```\nAnna\n```", True),
        ("I think:\nAnna", True),
        ("Answer: Anna or Bela", False),
        ("Answer: Bela\n", False),
        ("Anna?\nNo idea.", False),
        ("", False),
    ],
)
def test_words_count_without_what_stands_around_them(reply: str, *, passes: bool) -> None:
    """Marks of emphasis and case do not matter, other words do."""
    assert ExactWords("Anna").passes(reply) is passes


def test_what_a_program_prints_is_said_in_its_case() -> None:
    """Names count in any case, output does not."""
    check = ExactWords("VLHA 3", any_case=False)
    assert check.passes("Answer: VLHA  3")
    assert not check.passes("Answer: vlha 3")


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ('{"a": "Leeds", "n": 3.50}', True),
        ('```json\n{"n": 3.5, "a": " leeds "}\n```', True),
        ('Here it is: {"a": "Leeds", "n": 3.5}', False),
        ('{"a": "Leeds", "n": 3.5, "more": 1}', False),
        ('{"a": "Leeds", "n": "3.5"}', False),
        ('{"a": "Leeds"}', False),
        ('{"a": "Leeds", "n": NaN}', False),
        ("[" * 100_000, False),
        ('{"a": "Leeds", "n": 1' + "0" * 5_000 + "}", False),
        ("", False),
    ],
)
def test_facts_are_held_member_by_member(reply: str, *, passes: bool) -> None:
    """All of them and nothing else, as JSON and nothing around it."""
    assert JsonValues('{"a": "Leeds", "n": 3.5}').passes(reply) is passes


def test_a_flag_is_no_number() -> None:
    """To Python `true` is 1; whoever reads the JSON elsewhere knows the difference."""
    assert not JsonValues('{"paid": true}').passes('{"paid": 1}')
    assert not JsonValues('{"n": 1}').passes('{"n": true}')
    assert not JsonShape((("n", "integer"),)).passes('{"n": true}')


@given(MEMBERS)
def test_what_was_expected_passes_itself(members: dict[str, object]) -> None:
    """Whatever the facts are, saying exactly them is right, and saying one more is not."""
    check = JsonValues(json.dumps(members))
    assert check.passes(json.dumps(members))
    assert not check.passes(json.dumps({**members, "one too many": 1}))


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ('{"t": "x", "w": [1, 2], "o": {}}', True),
        ('{"t": "x", "w": [1], "o": {}}', False),
        ('{"t": 1, "w": [1, 2], "o": {}}', False),
        ('{"t": "x", "w": {"a": 1, "b": 2}, "o": {}}', False),
        ("[]", False),
        ("no", False),
    ],
)
def test_a_shape_is_members_types_and_lengths(reply: str, *, passes: bool) -> None:
    """What is said in them is free."""
    shape = JsonShape((("t", "string"), ("w", "array"), ("o", "object")), (("w", 2),))
    assert shape.passes(reply) is passes


KEPT_AND_BROKEN: tuple[tuple[ReplyCheck, str, str], ...] = (
    (rules.Without((",",)), "no such mark", "here, it is"),
    (rules.Without(("Rain",)), "sun", "the rain falls"),
    (rules.Words(2, 3), "it's well-known", "one"),
    (rules.Words(2, 3), "one two three", "one two three four"),
    (rules.Sentences(2, 2), "One. Two!", "One. Two. Three"),
    (rules.Sentences(1, 1), "It costs 3.5 crowns.", "One? Two."),
    (rules.Bullets(2), "* a\n- b\nc", "*a\n* b"),
    (rules.Paragraphs(2), "a\n\nb\nc", "a\nb"),
    (rules.Lines(2), "a\n\nb", "a b"),
    (rules.WordTimes("is", 0, 0), "this isn't", "it is"),
    (rules.WordTimes("Rain", 2, 2), "rain RAIN", "rain trains"),
    (rules.LetterTimes("z", 2), "zigZag", "zig"),
    (rules.InOneCase(upper=False), "all small 3", "One"),
    (rules.InOneCase(upper=True), "ALL 3", "ALl"),
    (rules.InOneCase(upper=True), "A", "123"),
    (rules.CapitalWords(1, 1), "A BIG one", "BIG DOG"),
    (rules.Begins("To"), "To be", "to be"),
    (rules.Ends("it."), "I know it.", "it. No"),
    (rules.Quoted(), '"a"', '"'),
    (rules.Placeholders(2), "[a] and [b]", "[a] and []"),
    (rules.Titled(), "<<x>>\ny", "<x>"),
    (rules.Sections(2), "SECTION 1\na\n**SECTION 2**\nb", "Section 1\nSection 2"),
    (rules.PartsBetween("**", 2), "a ** b", "a **"),
    (rules.Sorted(), "a\nB\nc", "b\na"),
    (rules.Sorted(), "a\nb", "a\na"),
    (rules.All((rules.Words(1, 2), rules.Ends("."))), "  One.\n", "One two three."),
)


@pytest.mark.parametrize(("check", "kept", "broken"), KEPT_AND_BROKEN)
def test_an_instruction_is_kept_or_broken(check: ReplyCheck, kept: str, broken: str) -> None:
    """One reply that keeps it, and one that just does not."""
    assert check.passes(kept)
    assert not check.passes(broken)


def test_nothing_keeps_no_instruction() -> None:
    """An empty reply passes no item, however little was forbidden."""
    assert not rules.All((rules.Without((",",)),)).passes(" \n ")


@given(st.text(max_size=400))
def test_whatever_is_said_gets_a_verdict(reply: str) -> None:
    """No reply makes a judge fall over, and each judges the same text alike twice."""
    checks: list[ReplyCheck] = [check for check, _, _ in KEPT_AND_BROKEN]
    for check in (*checks, ExactNumber(3), ExactWords("x"), JsonValues("{}")):
        assert check.passes(reply) is check.passes(reply)


@pytest.mark.parametrize(
    "reply", ["1" * 60_000, "[a" * 30_000, "answer" * 10_000, "<<" * 30_000, "." * 60_000]
)
def test_long_replies_are_judged_at_once(reply: str) -> None:
    """No pattern backtracks over a reply that was made to hurt: the time-out of a test ends it."""
    for check, _, _ in KEPT_AND_BROKEN:
        check.passes(reply)
    ExactNumber(1).passes(reply)
    ExactWords("1").passes(reply)
