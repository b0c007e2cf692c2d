"""The same request once its answer was captured: that answer for two minutes, then a new one."""

from __future__ import annotations

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.asks import Verdict, verdict
from cobot_meter.domain.escrow.states import Progress
from tests.domain.escrow.stages import CREDIT_STAGES, covered
from tests.domain.samples import CALLER, NOW_MS, RETENTION

RETRY_MS = RETENTION.captured_repeated_ms
CAPTURED = CREDIT_STAGES[Progress.RELEASED]().escrow


@pytest.mark.parametrize(
    ("after_ms", "keyed", "gets"),
    [
        (0, False, Verdict.DELIVER),
        (RETRY_MS, False, Verdict.DELIVER),
        (-RETRY_MS, False, Verdict.DELIVER),
        (RETRY_MS + 1, False, Verdict.OPEN_ANEW),
        (RETENTION.released_ms, False, Verdict.OPEN_ANEW),
        (RETENTION.released_ms, True, Verdict.DELIVER),
    ],
)
def test_a_retry_gets_what_was_captured(after_ms: int, gets: Verdict, *, keyed: bool) -> None:
    """Later it is another request, unless it brings its Idempotency-Key."""
    now_ms = NOW_MS + after_ms
    found = verdict(CAPTURED, asker=CALLER, now_ms=now_ms, retention=RETENTION, keyed=keyed)
    assert found is gets


@pytest.mark.parametrize(("keyed", "gets"), [(False, Verdict.OPEN_ANEW), (True, Verdict.DELIVER)])
def test_what_was_handed_over_whole_is_not_repeated(gets: Verdict, *, keyed: bool) -> None:
    """The same request at once is another one, unless it brings its Idempotency-Key."""
    found = verdict(
        CAPTURED,
        asker=CALLER,
        now_ms=NOW_MS,
        retention=RETENTION,
        keyed=keyed,
        handed_over=True,
    )
    assert found is gets


def test_nobody_else_gets_it() -> None:
    """Neither a stranger nor another caller, however soon."""
    for asker in (None, "c_mallory"):
        found = verdict(CAPTURED, asker=asker, now_ms=NOW_MS, retention=RETENTION, keyed=False)
        assert found is Verdict.OPEN_ANEW


def test_what_credit_covered_of_a_sale_by_invoice_is_kept_for_a_day() -> None:
    """Its caller has no other way to claim what was bought."""
    escrow = covered().tell(on.CoveredByCredit(), on.CompletionDelivered()).escrow
    now_ms = NOW_MS + RETENTION.released_ms
    found = verdict(escrow, asker=CALLER, now_ms=now_ms, retention=RETENTION, keyed=False)
    assert found is Verdict.DELIVER
