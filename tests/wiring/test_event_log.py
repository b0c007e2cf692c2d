"""What the log says of transitions, a line for what an operator wants to hear of."""

from __future__ import annotations

from typing import cast

from structlog.typing import FilteringBoundLogger

from cobot_meter.domain.run import events as ran
from cobot_meter.wiring.event_log import EventLog
from tests.domain.escrow.walks import Walk
from tests.domain.samples import FAILURE, fell_back


class Noted:
    """A logger that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, message: str, **fields: object) -> None:
        """One line."""
        self.lines.append((message, fields))


def test_each_model_that_failed_is_a_line() -> None:
    """Who failed, why, and who is asked next; and at the end that nobody is left."""
    noted, walk = Noted(), Walk().tell(ran.UpstreamRequested())
    log = EventLog(cast("FilteringBoundLogger", noted))
    for event in (fell_back(walk.escrow), ran.RunOutcomeUnknown(failure=FAILURE)):
        walk.tell(event)
        log.observe(walk.last)
    (first, between), (last, end) = noted.lines
    assert (first, last) == ("fell back", "failed")
    assert between["failed_model"] == walk.escrow.quote.model
    assert between["model"] == end["model"] == "meta/next"
    assert between["code"] == end["code"] == FAILURE.code
    assert between["escrow_id"] == end["escrow_id"] == "esc_1"
