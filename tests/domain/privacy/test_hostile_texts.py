"""No text makes the detector slow: every pattern takes time in proportion to what it reads."""

from __future__ import annotations

import re
import time

import pytest

from cobot_meter.domain.privacy.personal_data import personal_data
from cobot_meter.domain.privacy.secret_rules import SecretRule, around_runs
from tests.domain.privacy.reading import shipped_detector, shipped_rules

SIZE = 64 * 1_024
# A quadratic pattern takes minutes for this size; the machine of the tests may be busy.
SECONDS_MAX = 2
FILLS = ("a", "1", "-", " ", "a1", "1 ", "A-", "a=", "a:", "é", "\n", '="', "eyJ-", "0123456789 ")
_NESTED = re.compile(r"[+*}]\)[+*{]")


def seconds(rule: SecretRule, text: str) -> float:
    """CPU seconds of one look."""
    began = time.process_time()
    rule.is_in(text)
    return time.process_time() - began


@pytest.mark.parametrize("rule", shipped_rules().rules, ids=lambda rule: rule.name)
def test_no_rule_is_slow_on_text_made_of_its_own_words(rule: SecretRule) -> None:
    """Its words over and over, and once before a long run of anything."""
    hostile = [(word * SIZE)[:SIZE] for word in rule.words]
    hostile += [(f"{word} = " * SIZE)[:SIZE] for word in rule.words]
    hostile += [(rule.words[0] + fill * SIZE)[:SIZE] for fill in FILLS]
    assert max(seconds(rule, text) for text in hostile) < SECONDS_MAX


def test_no_repeat_of_a_rule_is_unbounded_or_nested_without_bound() -> None:
    """No `*` or `+` in a pattern: each repeat says how often at most."""
    for rule in shipped_rules().rules:
        bare = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "x", rule.pattern)
        assert not re.search(r"(?<!\()[*+]", bare), rule.name
        assert "{," not in bare, rule.name
        assert not re.search(r"\{\d+,\}", bare), rule.name


@pytest.mark.parametrize("fill", [*FILLS, "@", "a@", "a.", "1.", "(1", "+1 ", "GB82 ", "::", "1:"])
def test_no_long_text_makes_the_detector_slow(fill: str) -> None:
    """Sixty-four thousand letters of each kind are read within the time of two seconds."""
    text = (fill * SIZE)[:SIZE]
    began = time.process_time()
    list(personal_data(text, text.lower()))
    around_runs(text)
    shipped_detector().signals(text)
    assert time.process_time() - began < SECONDS_MAX
