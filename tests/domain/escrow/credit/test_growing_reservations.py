"""A reservation that grows: what it books, what it may be extended to, and what stays ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.errors import ExposureExceeded, IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.escrows import extension_transition
from tests.domain.escrow.stages import growing, on_credit
from tests.domain.escrow.walks import Walk, assert_cleared, lines
from tests.domain.samples import NOW_MS, RETENTION, TERMS, completion_costed, cost_known, received


def extension(number: int, by_msat: int) -> on.ReservationExtended:
    """So much more."""
    return on.ReservationExtended(number=number, by_msat=by_msat)


def requested() -> Walk:
    """8,000 of 10,000 are reserved, and 1,000 of the day's overruns."""
    return growing().tell(ran.UpstreamRequested())


def test_it_opens_with_a_part_of_the_ceiling_and_touches_no_day() -> None:
    """What the caller and its key have to have is the first part; nothing of it is unpaid."""
    walk = growing()
    assert walk.pending() == {
        "available": 8_000,
        "key": 8_000,
        "key's day": 8_000,
        "overrun": 1_000,
    }
    assert walk.escrow.run.budget_held_pusd == 0


def test_two_extensions_and_the_capture_leave_nothing_behind() -> None:
    """Each makes the reservation anew under another name, and the price is posted from the last."""
    walk = requested().tell(extension(1, 500), extension(2, 1_500))
    assert walk.pending()["available"] == walk.pending()["key"] == 10_000
    assert walk.last.key == "esc_1/reservation_extended/2"
    assert walk.last.runs == ()
    walk.tell(completion_costed(walk.escrow, 9_000))
    assert walk.escrow.progress is Progress.RELEASED
    assert (walk.nets()["available"], walk.nets()["key"]) == (-1_000, 9_000)
    assert_cleared(walk)


@pytest.mark.parametrize(
    "wrong",
    [extension(1, 2_001), extension(2, 500), extension(0, 500), extension(1, 0), extension(1, -1)],
)
def test_it_is_extended_step_after_step_up_to_its_ceiling(wrong: on.ReservationExtended) -> None:
    """Not beyond it, not out of turn, and not by nothing."""
    with pytest.raises(IllegalTransition, match="up to its ceiling"):
        requested().tell(wrong)


def test_what_began_with_its_ceiling_does_not_grow() -> None:
    """There is nothing that it could grow to."""
    with pytest.raises(IllegalTransition, match="only what grows"):
        on_credit().tell(extension(1, 1))


def test_what_was_extended_cannot_pass_the_limit_of_its_key() -> None:
    """The guard stands in the extension as it stood in the opening."""
    walk = requested()
    told = extension_transition(
        walk.escrow,
        extension(1, 1_000),
        at_ms=NOW_MS,
        retention=RETENTION,
        limits=KeyLimits(limit_msat=8_999),
    )
    with pytest.raises(ExposureExceeded) as refused:
        walk.ledger.after((), told.transfers)
    assert (refused.value.guard, refused.value.limit) == ("key", 8_999)


def test_nothing_is_charged_beyond_what_was_reserved() -> None:
    """The price ends there, and the rest counts as an overrun of the day, beyond its bound too."""
    walk = requested().tell(extension(1, 500))
    walk.tell(completion_costed(walk.escrow, 9_900))
    assert walk.escrow.price_msat == 8_500
    assert walk.nets()["overrun"] == 1_400
    assert lines(walk.last)[-2:] == [
        "post overrun / contra 1000",
        "posted overrun / contra 400",
    ]
    assert_cleared(walk)


def test_a_cost_that_is_found_later_is_bounded_alike() -> None:
    """An answer that was cut says no cost: it is priced from the record, and credit covers that."""
    walk = requested().tell(received())
    walk.tell(cost_known(walk.escrow, 8_700))
    assert (walk.escrow.price_msat, walk.escrow.due_msat) == (8_000, 0)
    assert walk.nets()["overrun"] == 700
    walk.tell(on.CoveredByCredit(), on.CompletionDelivered())
    assert walk.escrow.progress is Progress.RELEASED
    assert_cleared(walk)


def test_the_day_lets_so_many_overruns_begin_and_no_more() -> None:
    """What may be lost is reserved before anything runs."""
    tight = replace(TERMS, overrun_day_pusd=999)
    assert growing().escrow.quote.overrun_pusd == 1_000
    with pytest.raises(ExposureExceeded) as refused:
        growing(terms=tight)
    assert (refused.value.guard, refused.value.limit) == ("overrun", 999)
