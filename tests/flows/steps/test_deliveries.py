"""Which answers were handed over: what is owed to whoever lost one, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.flows.sale.deliveries import KEPT_MAX, Deliveries, Delivery
from tests.http_api.samples import invoiced_escrow

SALE = invoiced_escrow()


def sale(name: str, request_key: str = "a") -> Escrow:
    """A sale of this name for the request of this key."""
    ask = replace(SALE.ask, request_key=request_key)
    return replace(SALE, escrow_id=name, run_id=name, ask=ask)


def test_nothing_is_over_before_something_was_handed_over() -> None:
    """Neither by asking nor by beginning."""
    deliveries = Deliveries()
    assert not deliveries.is_over(SALE)
    deliveries.begun(SALE)
    assert not deliveries.is_over(SALE)


def test_the_end_of_a_whole_answer_ends_it() -> None:
    """For this sale; the next one of the same request begins anew."""
    deliveries = Deliveries()
    deliveries.begun(sale("first")).reached_end()
    assert deliveries.is_over(sale("first"))
    assert not deliveries.is_over(sale("second"))
    deliveries.begun(sale("second")).broke_off()
    assert not deliveries.is_over(sale("second"))


def test_what_broke_off_is_owed_until_it_was_read_whole() -> None:
    """However often it breaks off again."""
    deliveries = Deliveries()
    for _ in range(3):
        deliveries.begun(SALE).broke_off()
        assert not deliveries.is_over(SALE)
    deliveries.begun(SALE).reached_end()
    assert deliveries.is_over(SALE)


def test_another_reader_does_not_take_what_is_owed_to_the_one_who_lost_it() -> None:
    """Two joined one run; one lost the answer and asks again, whichever ended first."""
    for lost_first in (True, False):
        deliveries = Deliveries()
        lost, read = deliveries.begun(SALE), deliveries.begun(SALE)
        ends = [lost.broke_off, read.reached_end]
        for end in ends if lost_first else ends[::-1]:
            end()
        assert not deliveries.is_over(SALE)
        deliveries.begun(SALE).reached_end()
        assert deliveries.is_over(SALE)


ENDS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12)


@given(ends=ENDS)
def test_no_reader_who_lost_an_answer_is_ever_told_that_it_is_over(
    ends: list[tuple[int, bool]],
) -> None:
    """Readers one after the other, each at most once at a time: who lost it can ask again."""
    deliveries, lost = Deliveries(), set[int]()
    for reader, whole in ends:
        if deliveries.is_over(SALE):
            assert not lost
            return
        delivery: Delivery = deliveries.begun(SALE)
        if whole:
            delivery.reached_end()
            lost.discard(reader if reader in lost else min(lost, default=reader))
        else:
            delivery.broke_off()
            lost = lost or {reader}
    assert deliveries.is_over(SALE) is (bool(ends) and ends[-1][1] and not lost)


def test_the_memory_is_bounded_and_what_is_forgotten_is_handed_over_again() -> None:
    """The oldest request goes first; that is an answer too many and never a second bill."""
    deliveries = Deliveries(kept_max=3)
    for number in range(5):
        deliveries.begun(sale(f"s{number}", request_key=f"{number}")).reached_end()
    over = [deliveries.is_over(sale(f"s{number}", request_key=f"{number}")) for number in range(5)]
    assert over == [False, False, True, True, True]
    assert KEPT_MAX > 1_000
