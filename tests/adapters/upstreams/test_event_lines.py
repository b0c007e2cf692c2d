"""The grammar of server-sent events, all of it, wherever the network cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.upstreams.event_lines import Event, EventLines
from cobot_meter.domain.errors import OutcomeUnknown
from tests.adapters.upstreams.stream_frames import (
    ANSWER,
    COMMENT,
    DONE,
    FINISH,
    TEXT,
    USAGE_REPEATS,
    content,
    read,
)

WHOLE = COMMENT + ANSWER + FINISH + USAGE_REPEATS + DONE
BOM = b"\xef\xbb\xbf"


def events(*pieces: bytes) -> list[Event]:
    """Every event of a stream that arrives in these pieces."""
    lines = EventLines()
    found = [event for piece in pieces for event in lines.feed(piece)]
    return [*found, *lines.end()]


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\r\n\r\n", [(b"", b"a")]),
        (b"data: a\r\r", [(b"", b"a")]),
        (b"data:  a\n\n", [(b"", b" a")]),
        (BOM + b"data: a\n\n", [(b"", b"a")]),
        (b"data: a\n\n" + BOM + b"data: b\n\n", [(b"", b"a")]),
        (b": hello\ndata: a\n: bye\n\n", [(b"", b"a")]),
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"data: a\ndata\n\n", [(b"", b"a\n")]),
        (b"data:\n\ndata: \n\ndata\n\ndata: a\n\n", [(b"", b"a")]),
        (b"event: ping\ndata: a\n\ndata: b\n\n", [(b"ping", b"a"), (b"", b"b")]),
        (b"event: ping\n\ndata: b\n\n", [(b"", b"b")]),
        (b"id: 7\nretry: 10\ndata: a\nnobody: knows\n\n", [(b"", b"a")]),
        (b"data: a", [(b"", b"a")]),
        (b"data: a\n", [(b"", b"a")]),
        (b" data: a\n\n", []),
        (b"\n\n\r\n\r\r", []),
        (b"", []),
    ],
)
def test_the_grammar(stream: bytes, found: list[tuple[bytes, bytes]]) -> None:
    """Line ends, comments, names, empty data and what nobody knows, in any cut of two."""
    assert events(stream) == found
    for at in range(len(stream) + 1):
        assert events(stream[:at], stream[at:]) == found
    assert events(*(stream[at : at + 1] for at in range(len(stream)))) == found


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("before", [b"", BOM, b"\n\n", b"data:\n\n", b"id: 1\n"])
def test_every_cut_in_two_reads_the_same(newline: bytes, before: bytes) -> None:
    """At each byte, with each line end, and with what heartbeats and marks come first."""
    stream = (before + WHOLE).replace(b"\n", newline)
    expected = read(WHOLE)
    assert all(read(stream[:at], stream[at:]) == expected for at in range(len(stream) + 1))


def test_every_truncation_is_whole_or_unknown() -> None:
    """Cut at any byte: before its finish reason nothing is sold, after it all of it is."""
    finished = len(COMMENT + ANSWER + FINISH.rstrip(b"\n"))
    for at in range(len(WHOLE)):
        if at < finished:
            with pytest.raises(OutcomeUnknown):
                read(WHOLE[:at])
        else:
            assert content(read(WHOLE[:at])) == TEXT


@given(st.lists(st.binary(max_size=12), max_size=40))
def test_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    """Whatever comes, cut or whole, it is the same events and no fault."""
    assert events(*pieces) == events(b"".join(pieces))


def test_a_line_without_end_costs_no_more_than_its_length() -> None:
    """Pieces are kept, not copied: two megabytes of single bytes are one event."""
    found = events(b"data: ", *itertools.repeat(b"x", 2_000_000), b"\n\n")
    assert len(found[0][1]) == 2_000_000
