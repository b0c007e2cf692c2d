"""What is read of a member's answer, and that nothing of it is lost."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.findings import (
    LISTS_TRIED_MAX,
    MemberAnswer,
    PanelFinding,
    Severity,
    Unread,
    read_findings,
)

ONE = {
    "file": "app/tokens.py",
    "line_start": 12,
    "line_end": 14,
    "category": "security",
    "severity": "critical",
    "claim": "The token is compared in a time that depends on it.",
    "evidence_quote": "if token == given:",
}
READ = PanelFinding(
    model="a/b",
    number=1,
    claim="The token is compared in a time that depends on it.",
    severity=Severity.CRITICAL,
    severity_said="critical",
    category="security",
    file="app/tokens.py",
    line_start=12,
    line_end=14,
    evidence_quote="if token == given:",
)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "```json\n{}\n```",
        "```\n{}\n```",
        '{{"findings": {}}}',
        '```json\n{{"findings":\n {}\n}}\n```',
        "\n\n  {}  \n",
    ],
)
def test_a_list_is_read_within_what_wraps_it(around: str) -> None:
    """A fence or an object around the list is nothing that a model has said."""
    answer = around.format(json.dumps([ONE]))
    assert read_findings("a/b", answer) == MemberAnswer(model="a/b", findings=(READ,))


def test_prose_around_a_list_is_kept() -> None:
    """What stands before and after the list may be the better half of the answer."""
    answer = f"I looked [twice].\n```json\n{json.dumps([ONE])}\n```\nThe rest is fine."
    assert read_findings("a/b", answer) == MemberAnswer(
        model="a/b",
        findings=(READ,),
        unread=(
            Unread(model="a/b", text="I looked [twice]."),
            Unread(model="a/b", text="The rest is fine."),
        ),
    )


@pytest.mark.parametrize(
    ("answer", "unread"),
    [
        ("", []),
        ("[]", []),
        ('{"findings": []}', []),
        ("Nothing is wrong with it.", ["Nothing is wrong with it."]),
        ('[{"severity": "high"}]', ['{"severity": "high"}']),
        ('[{"claim": "  "}]', ['{"claim": "  "}']),
        ("[{]", ["[{]"]),
        ('[{"claim": "it goes on and', ['[{"claim": "it goes on and']),
        ("[{" * 9_000, ["[{" * 9_000]),
        ('[{"claim": "a", "n": ' + "9" * 5_000 + "}]", ["whole"]),
        ('[{"claim": "a", "n": ' + "[" * 90_000 + "}]", ["whole"]),
    ],
)
def test_what_is_no_finding_is_kept_as_it_came(answer: str, unread: list[str]) -> None:
    """An answer, an item or a beginning that cannot be read is a text of that member."""
    read = read_findings("a/b", answer)
    assert read.findings == ()
    wanted = [answer if one == "whole" else one for one in unread]
    assert [one.text for one in read.unread] == wanted


def test_a_list_that_breaks_off_keeps_its_beginning() -> None:
    """A model that ran out of tokens has said what it has said; the torn rest is kept too."""
    answer = json.dumps([ONE, ONE])[:-20]
    read = read_findings("a/b", answer)
    assert read.findings == (READ,)
    assert read.unread[0].text.startswith(', {"file": "app/tokens.py"')


def test_other_names_are_understood() -> None:
    """Models that know better how a field is called are read all the same."""
    item = {"path": "a.py", "line": "7", "message": "It leaks.", "severity": "Major", "quote": "x"}
    (finding,) = read_findings("a/b", json.dumps([item])).findings
    assert (finding.file, finding.line_start, finding.line_end) == ("a.py", 7, None)
    assert (finding.claim, finding.severity, finding.severity_said) == (
        "It leaks.",
        Severity.HIGH,
        "Major",
    )
    assert (finding.evidence_quote, finding.more) == ("x", "")


def test_what_a_finding_has_beside_is_kept() -> None:
    """Unknown members, two of one name, and fields of another kind are in `more`."""
    item = '{"claim": "a", "claim": "b", "cwe": 79, "line_start": "10-12", "severity": "cursed"}'
    (finding,) = read_findings("a/b", f"[{item}]").findings
    assert finding.claim == "a"
    assert json.loads(finding.more) == {"claim (2)": "b", "cwe": 79, "line_start": "10-12"}
    assert (finding.severity, finding.severity_said) == (Severity.UNSTATED, "cursed")


def test_what_no_column_can_hold_is_mended() -> None:
    """Texts of models go through the gate, and what is cut there is kept as its own text."""
    answer = '[{"claim": "half \\ud800 of it \\u0000", "deep": ' + "[" * 200 + "]" * 200 + "}]"
    read = read_findings("a/b", answer)
    assert read.findings[0].claim == "half \ufffd of it \ufffd"
    assert [one.text for one in read.unread] == [answer[1:-1]]


def test_a_text_of_nothing_but_beginnings_is_given_up() -> None:
    """So many beginnings are looked at, and no more: reading stays linear in the answer."""
    answer = "[{} " * LISTS_TRIED_MAX + json.dumps([ONE])
    read = read_findings("a/b", answer.replace("{}", "{x"))
    assert read.findings == ()
    assert read.unread[0].text.endswith(json.dumps([ONE]))


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
ITEMS = st.one_of(
    st.fixed_dictionaries(
        {"claim": WORDS},
        optional={"file": WORDS, "severity": WORDS, "line_start": WORDS, "other": WORDS},
    ),
    WORDS,
    st.dictionaries(WORDS, WORDS, max_size=2),
    st.lists(WORDS, max_size=2),
)


@given(before=WORDS, items=st.lists(ITEMS, max_size=5), after=WORDS, cut=st.integers(0, 400))
def test_every_word_of_an_answer_is_kept(
    before: str, items: list[object], after: str, cut: int
) -> None:
    """Whatever a model says, torn off anywhere, is in a finding or in a text beside them."""
    answer = f"{before} {json.dumps(items)} {after}"[: cut + 1]
    read = read_findings("a/b", answer)
    kept = " ".join([one.text for one in read.unread] + [repr(one) for one in read.findings])
    said = {str(value) for value in re.findall(r"[a-z]{3,}", answer)}
    names = {"claim", "file", "severity", "line_start", "line", "start"}
    assert {word for word in said - names if word not in kept} == set()
