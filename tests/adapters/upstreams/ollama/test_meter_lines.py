"""The lines of a meter: what they add up to, wherever the file ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.ollama.meter import ended_line, folded, read_book, started_line

COSTS = st.lists(st.none() | st.integers(0, 10**15), max_size=12)


def lines_of(costs: list[int | None]) -> list[bytes]:
    """Runs one after the other, an hour apart; None for one that was never ended."""
    lines: list[bytes] = []
    for number, cost_pusd in enumerate(costs):
        name, at_ms = f"ollama-{number}", number * 3_600_000
        lines.append(started_line(name, model="ollama/a", at_ms=at_ms))
        if cost_pusd is not None:
            lines.append(
                ended_line(name, model="ollama/a", at_ms=at_ms, cost_pusd=cost_pusd, tokens=(1, 2))
            )
    return lines


@given(COSTS, st.data())
def test_a_torn_end_is_passed_over(costs: list[int | None], data: st.DataObject) -> None:
    """Cut at any byte, the meter holds exactly the lines that are whole."""
    lines = lines_of(costs)
    written = b"".join(lines)
    cut = data.draw(st.integers(0, len(written)))
    whole = written[:cut].count(b"\n")
    book = read_book(written[:cut])
    assert book.whole_bytes == len(b"".join(lines[:whole]))
    said = [line for line in lines[:whole] if line.startswith(b'{"ended"')]
    ended = [cost for cost in costs if cost is not None][: len(said)]
    assert book.total_pusd == sum(ended)


@given(COSTS, st.integers(-1, 13), st.sets(st.integers(0, 12)))
def test_folding_keeps_the_sum_and_what_is_young(
    costs: list[int | None], hours: int, running: set[int]
) -> None:
    """Fewer lines, the same total; what is young or still runs can be looked up as before."""
    written = b"".join(lines_of(costs))
    before_ms = hours * 3_600_000
    kept = frozenset(f"ollama-{number}" for number in running)
    old, new = read_book(written), read_book(folded(written, before_ms=before_ms, kept=kept))
    assert new.total_pusd == old.total_pusd
    assert new.runs == {
        name: run for name, run in old.runs.items() if run.at_ms >= before_ms or name in kept
    }


@given(COSTS)
def test_folding_twice_is_folding_once(costs: list[int | None]) -> None:
    """A folded meter is a meter."""
    written = b"".join(lines_of(costs))
    once = folded(written, before_ms=7_200_000, kept=frozenset())
    assert folded(once, before_ms=7_200_000, kept=frozenset()) == once


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"\0\0\0",
        b'{"ended":"ollama-1","model":"a","at_ms":1,"cost_pusd":-1}',
        b'{"ended":"ollama-1","model":"a","at_ms":1,"cost_pusd":1.5}',
        b'{"started":"ollama-1","at_ms":1}',
        b'{"folded_pusd":-1}',
    ],
)
def test_damage_is_named(line: bytes) -> None:
    """A whole line that is none of ours is damage, and its number is said."""
    good = started_line("ollama-0", model="ollama/a", at_ms=1)
    with pytest.raises(ValueError, match="line 2 is damaged"):
        read_book(good + line + b"\n")


def test_a_run_ends_once() -> None:
    """A second cost of the same run would be counted twice: it is damage."""
    started = started_line("ollama-0", model="ollama/a", at_ms=1)
    ended = ended_line("ollama-0", model="ollama/a", at_ms=2, cost_pusd=5, tokens=(1, 1))
    assert read_book(started + ended).total_pusd == 5
    for twice in (started + started, started + ended + ended, ended + started):
        with pytest.raises(ValueError, match="there twice"):
            read_book(twice)


@pytest.mark.parametrize(
    "line",
    [
        b'{"folded_pusd":-1}',
        b'{"folded_pusd":true}',
        b'{"folded_pusd":"1"}',
        b'{"folded_pusd":9223372036854775807}',
        b'{"started":"","model":"m","at_ms":1}',
        b'{"started":"a b","model":"m","at_ms":1}',
        b'{"started":"a\\u0000","model":"m","at_ms":1}',
        b'{"started":"a","model":"m","at_ms":-1}',
        b'{"started":"a","model":"m","at_ms":99999999999999}',
        b'{"ended":"a","model":"m","at_ms":1,"cost_pusd":10000000000000001}',
        b'{"ended":"a","model":"m","at_ms":1,"cost_pusd":false}',
    ],
)
def test_a_number_or_id_that_no_meter_writes_is_damage(line: bytes) -> None:
    """A file that is read back passes the gate like everything from outside."""
    with pytest.raises(ValueError, match="line 1 is damaged"):
        read_book(line + b"\n")
