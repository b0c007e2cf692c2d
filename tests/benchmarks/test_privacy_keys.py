"""The generated keys of the privacy benchmark: always the same, and found."""

from __future__ import annotations

from benchmarks.privacy.keys import KEYS, generated
from tests.benchmarks.test_smoke import run
from tests.domain.privacy.reading import signals


def test_the_keys_are_always_the_same() -> None:
    """Three hundred of them, of many issuers, from one seed."""
    first = list(generated())
    assert first == list(generated())
    assert len(first) == KEYS
    assert len({name for name, _ in first}) >= 60


def test_at_least_ninety_five_of_a_hundred_keys_are_found() -> None:
    """In exports, JSON, programs and sentences."""
    missed = [name for name, text in generated() if "secret" not in signals(text)]
    assert len(missed) <= KEYS * 5 // 100, missed


def test_without_data_the_benchmark_says_what_it_needs() -> None:
    """Recorded documents are other people's and are not here."""
    result = run("privacy")
    assert result.returncode != 0
    assert "needs --data DIR" in result.stderr
