"""A record says how a reply was judged, and is read again from its line as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.benchmarks.record import BenchRecord, ReplyVerdict, read_record, record_of
from tests.domain.benchmarks.bench_records import HEAD, ITEMS, MODEL, REPLY, record

COUNTS = st.integers(0, 10**12)
MAYBE = st.none() | COUNTS


@given(
    at_ms=COUNTS,
    cost=MAYBE,
    tokens=MAYBE,
    verdict=st.sampled_from(ReplyVerdict),
    error=st.text("ab_"),
)
def test_a_line_is_read_again(
    at_ms: int, cost: int | None, tokens: int | None, verdict: ReplyVerdict, error: str
) -> None:
    """Whatever was measured, and whatever was not."""
    kept = record(
        at_ms=at_ms, cost_pusd=cost, completion_tokens=tokens, verdict=verdict, error=error
    )
    assert read_record(kept.line()) == kept
    assert "\n" not in kept.line()


def test_a_reply_is_judged_and_not_kept() -> None:
    """Right, wrong, or unknown where it broke off; its text is in no line."""
    item = ITEMS[0]

    def judged(text: str, error: str = "") -> BenchRecord:
        return record_of(HEAD, item, MODEL, replace(REPLY, text=text, error=error), at_ms=1)

    assert judged(item.solution).verdict is ReplyVerdict.RIGHT
    assert judged("Answer: 0").verdict is ReplyVerdict.WRONG
    assert judged(item.solution, "timeout").verdict is ReplyVerdict.ERROR
    assert not judged(item.solution, "timeout").judged
    assert "soliloquy" not in judged("a soliloquy").line()
    assert item.prompt[:20] not in judged("x").line()


def test_names_and_times_alone_may_differ_between_two_runs() -> None:
    """Whatever else differs means that the runs were not the same."""
    one = record()
    other = replace(one, run_id="bench-2", at_ms=9, generation_id="gen-2", ttft_ms=7, total_ms=8)
    assert one.repeatable() == other.repeatable()
    assert one.repeatable() != replace(one, provider="Azure").repeatable()
    assert one.repeatable() != replace(one, verdict=ReplyVerdict.WRONG).repeatable()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "Expecting value"),
        ("[]", "not a record"),
        ("{}", "is no number"),
        (record().line()[:-9], "Unterminated|Expecting"),
        (json.dumps({**json.loads(record().line()), "at_ms": -1}), "at_ms is no number"),
        (json.dumps({**json.loads(record().line()), "seed": None}), "seed is no number"),
        (json.dumps({**json.loads(record().line()), "verdict": "perhaps"}), "perhaps"),
        (json.dumps({**json.loads(record().line()), "kind": "other"}), "other"),
        (json.dumps({**json.loads(record().line()), "model": ""}), "an item at a model"),
    ],
)
def test_what_is_no_record_is_refused(line: str, why: str) -> None:
    """A torn line, another file's, or a value that no run writes."""
    with pytest.raises(ValueError, match=why):
        read_record(line)
