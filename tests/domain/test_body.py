"""A body is there until it is taken, for all who have passed it on."""

from __future__ import annotations

from cobot_meter.domain.body import Body


def test_a_body_stays_until_it_is_taken_and_is_taken_once() -> None:
    """Reading takes nothing; taking leaves nothing, whoever else holds it."""
    body = Body(b"{}")
    passed_on = body
    assert (body.content, passed_on.content) == (b"{}", b"{}")
    assert passed_on.take() == b"{}"
    assert (body.content, body.take()) == (b"", b"")
