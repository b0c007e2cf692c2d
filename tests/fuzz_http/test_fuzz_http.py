"""A short run with a fixed seed; `python -m tests.fuzz_http` is the long one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fuzz_http.fuzz import Fuzz
from tests.fuzz_http.inputs import Known, input_of


def test_an_input_is_the_same_whenever_it_is_made() -> None:
    """A finding can be looked at again by its number alone."""
    first = [input_of(1, number, Known()) for number in range(50)]
    assert [input_of(1, number, Known()) for number in reversed(range(50))] == first[::-1]
    assert len(set(first)) > 40
    assert first != [input_of(2, number, Known()) for number in range(50)]


async def test_mutated_requests_give_no_500_and_leave_the_books_right(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No 500, no traceback in the log, ready afterwards, and the audit is content."""
    verdict = await Fuzz(tmp_path, seed=1).run(0, 1_500, warm_up=750)
    record_property("counted", str(verdict))
    assert verdict.wrongs == []
    assert verdict.answers["200"] > 20
    assert verdict.answers["402"] > 20
    assert verdict.answers["400"] > 100
