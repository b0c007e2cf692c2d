"""What is said of a sale is never more than what was kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import (
    CobotMeterError,
    CostPending,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.privacy.faults import PrivacyUnroutable
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.http_api.chat.privacy import Promise, retention_document
from tests.http_api.samples import invoiced_escrow

LOCAL, ZDR, PUBLIC = PrivacyTier.LOCAL, PrivacyTier.ZDR, PrivacyTier.PUBLIC


def promise(privacy: Privacy, *, here: bool = False) -> Promise:
    """Of a model that runs here, or elsewhere."""
    return Promise(privacy, "a/b", lambda _: here)


@pytest.mark.parametrize(
    ("privacy", "elsewhere"),
    [
        (Privacy(declared=LOCAL), PUBLIC),
        (Privacy(signals=("card",)), PUBLIC),
        (Privacy(declared=ZDR, signals=("card",)), ZDR),
        (Privacy(declared=PUBLIC, signals=("card",)), PUBLIC),
    ],
)
def test_local_is_said_of_what_ran_here_alone(privacy: Privacy, elsewhere: PrivacyTier) -> None:
    """A sale from before a detector or a tier may have gone elsewhere, and that is what is said."""
    escrow = invoiced_escrow()
    assert promise(privacy, here=True).told(escrow)["privacy"]["tier"] is LOCAL
    assert promise(privacy).told(escrow)["privacy"]["tier"] is elsewhere


def test_of_what_was_promised_nothing_is_said_where_nothing_was() -> None:
    """An undeclared request in which nothing was seen has no such member."""
    assert promise(Privacy()).told(invoiced_escrow()) == {}


@pytest.mark.parametrize(
    "fault",
    [UpstreamFailed("No."), UpstreamUnreachable("No."), UpstreamRefused("No.", status=400)],
)
def test_a_fault_of_the_model_here_is_the_end(fault: CobotMeterError) -> None:
    """It is told as what it means: nobody else may answer."""
    with pytest.raises(PrivacyUnroutable, match="that one failed"):
        promise(Privacy(declared=LOCAL)).refuse(fault)
    promise(Privacy()).refuse(fault)


@pytest.mark.parametrize("fault", [CostPending("Wait."), OutcomeUnknown("Who knows.")])
def test_what_says_nothing_of_the_model_stays_what_it_is(fault: CobotMeterError) -> None:
    """A run that is still going on, or of which nobody knows, is no refusal."""
    for tier in PrivacyTier:
        promise(Privacy(declared=tier)).refuse(fault)


def test_what_is_kept_is_what_the_sale_says() -> None:
    """Sealed while a key is kept or payment is awaited, else in memory."""
    escrow = invoiced_escrow()
    assert retention_document(escrow)["kept"] == "sealed"
    credit = replace(escrow, mode=Mode.CREDIT, keep_until_ms=None)
    assert retention_document(credit)["kept"] == "memory"
    assert retention_document(replace(credit, keep_until_ms=7)) == {
        "kept": "sealed",
        "until_ms": 7,
        "then": "sha256",
    }
