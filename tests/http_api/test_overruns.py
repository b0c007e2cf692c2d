"""A run that costs more than its ceiling: the caller pays the ceiling, we the rest, with a bell."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from service.domain.accounts import UPSTREAM_CREDITS
from service.domain.money import pusd_from_text
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ASK, FaceRig, open_face

ABSURD = "0.5"
COUNTER = "cobot_meter_overruns_total"


def overruns(rig: FaceRig, standing: str) -> float | None:
    """What the counter says."""
    return rig.parts.registry.get_sample_value(COUNTER, {"standing": standing})


async def test_an_overrun_is_booked_told_and_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole cost is in the books, the price is the ceiling, a line and a counter say so."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(cost=ABSURD))
        with caplog.at_level(logging.WARNING):
            assert (await rig.ask(ASK)).status == 402
        escrow = rig.last
        assert escrow.cost_pusd == pusd_from_text(ABSURD) > escrow.quote.ceiling_pusd
        assert escrow.price_msat == escrow.quote.ceiling_msat
        spent_pusd = rig.books.rows.ledger.of(UPSTREAM_CREDITS).net
        assert abs(spent_pusd) == pusd_from_text(ABSURD)
        assert overruns(rig, "confirmed") == 1
        assert "overrun" in caplog.text
        assert escrow.escrow_id in caplog.text


async def test_what_stays_below_its_ceiling_rings_no_bell(tmp_path: Path) -> None:
    """An ordinary sale."""
    async with open_face(tmp_path) as rig:
        await rig.buy()
        assert overruns(rig, "confirmed") is None
