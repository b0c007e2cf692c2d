"""Answers that the books do not keep: for two minutes, so many bytes, and until they are read."""

from __future__ import annotations

from cobot_meter.flows.answer.recent_answers import KEPT_MS, UNREAD_MS, RecentAnswers
from tests.fakes.clock import FakeClock


def test_an_answer_is_there_for_two_minutes() -> None:
    """To the millisecond, whoever reads it how often."""
    clock = FakeClock()
    recent = RecentAnswers(clock=clock)
    recent.keep("esc_1", b"answer")
    clock.advance(KEPT_MS / 1_000)
    assert recent.of("esc_1") == recent.of("esc_1") == b"answer"
    clock.advance(0.001)
    assert recent.of("esc_1") is None
    assert recent.kept_bytes == 0


def test_the_oldest_that_was_read_makes_room() -> None:
    """Beyond the bound, from the oldest on, and no further than needed."""
    clock = FakeClock()
    recent = RecentAnswers(clock=clock, bytes_max=250)
    for number in range(4):
        recent.keep(f"esc_{number}", bytes(100))
        assert recent.of(f"esc_{number}") is not None
    assert [recent.of(f"esc_{number}") is None for number in range(4)] == [True, True, False, False]
    assert recent.kept_bytes == 200


def test_what_nobody_has_read_yet_is_not_driven_out() -> None:
    """Whoever paid for it gets it, though the answers of others fill the memory meanwhile."""
    clock = FakeClock()
    recent = RecentAnswers(clock=clock, bytes_max=100)
    for number in range(5):
        recent.keep(f"esc_{number}", bytes(100))
    assert recent.of("esc_0") is not None
    recent.keep("esc_5", bytes(100))
    assert recent.of("esc_0") is None
    clock.advance((UNREAD_MS + 1) / 1_000)
    recent.keep("esc_6", bytes(100))
    assert [recent.of(f"esc_{number}") for number in range(1, 6)] == [None] * 5
    assert recent.of("esc_6") is not None


def test_the_same_sale_is_kept_once() -> None:
    """Another answer takes the place of the first, and its bytes."""
    recent = RecentAnswers(clock=FakeClock())
    recent.keep("esc_1", b"first")
    recent.keep("esc_1", b"second")
    assert (recent.of("esc_1"), recent.kept_bytes) == (b"second", 6)


def test_with_no_bytes_nothing_is_meant_to_be_kept() -> None:
    """Whoever sells asks first, and stores it then."""
    assert not RecentAnswers(clock=FakeClock(), bytes_max=0).any
    assert RecentAnswers(clock=FakeClock(), bytes_max=1).any
