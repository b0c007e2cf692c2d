"""The circuit breaker as a value: when it opens, when it is probed, and what it forgets."""

from __future__ import annotations

import pytest

from cobot_meter.domain.upstream.fallback import Circuit

NOW_MS = 1_700_000_000_000
IN_A_ROW, WINDOW, OPEN_MS = 5, 20, 30_000  # as they are promised, whatever the code says


def played(*went_well: bool) -> Circuit:
    """A circuit after these attempts, all of them now."""
    circuit = Circuit()
    for well in went_well:
        circuit = circuit.succeeded() if well else circuit.failed(NOW_MS)
    return circuit


def opened() -> Circuit:
    """A circuit that five failures opened now."""
    return played(*[False] * IN_A_ROW)


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    """A success in between begins the row anew, and the fifth at last opens it."""
    assert played(*[False] * 4).opened_at_ms is None
    assert opened().opened_at_ms == NOW_MS
    assert played(*[False] * 4, True, *[False] * 4).opened_at_ms is None
    assert played(*[False] * 4, True, *[False] * 5).opened_at_ms == NOW_MS


def test_half_of_the_last_twenty_open_it_and_one_less_does_not() -> None:
    """Never five in a row, and still every second one: the twentieth attempt decides."""
    assert played(*[True, False] * 9, True).opened_at_ms is None
    assert played(*[True, False] * 10).opened_at_ms == NOW_MS
    assert played(True, True, *[True, False] * 9).opened_at_ms is None


def test_fewer_than_twenty_attempts_are_no_share_of_twenty() -> None:
    """A model that was asked a few times is not judged by a share of them, after any of them."""
    went = [False, False, False, False, True] * 4
    opened_after = [played(*went[:number]).opened_at_ms is not None for number in range(20)]
    assert opened_after == [False] * 20
    assert played(*went[:19], False).opened_at_ms == NOW_MS


def test_what_is_older_than_twenty_attempts_is_forgotten() -> None:
    """Failures from before the window count no more, however many attempts there were."""
    bad = [False, False, False, True]
    circuit = played(*bad, *bad, *bad, *[True] * WINDOW)
    assert (circuit.failures, circuit.attempts) == (0, WINDOW)
    again = played(*bad, *bad, *bad, *[True] * (WINDOW - 1), False)
    assert again.failures == 1
    assert again.opened_at_ms is None


def test_no_failure_outlives_the_window_by_one_attempt() -> None:
    """The twenty-first attempt drops the first one."""
    first_failed = played(False, *[True] * (WINDOW - 1))
    assert first_failed.failures.bit_count() == 1
    assert first_failed.succeeded().failures == 0


@pytest.mark.parametrize(
    ("waited_ms", "allowed"), [(0, False), (OPEN_MS - 1, False), (OPEN_MS, True)]
)
def test_an_open_circuit_is_left_alone_for_half_a_minute(waited_ms: int, *, allowed: bool) -> None:
    """To the millisecond."""
    assert opened().allows(NOW_MS + waited_ms) is allowed


def test_a_closed_circuit_always_allows() -> None:
    """Whatever the time is, and also while failures are remembered."""
    assert Circuit().allows(0)
    assert played(False, False).allows(NOW_MS)


def test_one_probe_at_a_time() -> None:
    """Half a minute after the probe began another may be made, should it never end."""
    probe_ms = NOW_MS + OPEN_MS
    probed = opened().tried(probe_ms)
    assert not probed.allows(probe_ms)
    assert not probed.allows(probe_ms + OPEN_MS - 1)
    assert probed.allows(probe_ms + OPEN_MS)
    assert played(False).tried(NOW_MS) == played(False), "a closed one is tried, not probed"


def test_a_failed_probe_keeps_it_open_for_as_long_again() -> None:
    """From its failure on, and the next probe is free."""
    failed_ms = NOW_MS + OPEN_MS + 7
    circuit = opened().tried(NOW_MS + OPEN_MS).failed(failed_ms)
    assert not circuit.allows(failed_ms + OPEN_MS - 1)
    assert circuit.allows(failed_ms + OPEN_MS)


def test_a_probe_that_went_well_closes_it_and_forgets() -> None:
    """What was before says nothing of what the model is now."""
    assert opened().tried(NOW_MS + OPEN_MS).succeeded() == Circuit()
