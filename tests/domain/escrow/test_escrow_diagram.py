"""The diagram in the documentation is what the table draws."""

from __future__ import annotations

import subprocess
import sys

from cobot_meter.domain.escrow.diagram import draw, ends
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tables import TABLES
from cobot_meter.domain.run.machine import RUN_TRANSITIONS
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.machine import TOPUP_TRANSITIONS
from cobot_meter.domain.topup.states import TopupState
from tests.architecture.source_tree import ROOT, source

S = EscrowState
DRAWN = "docs/escrow-states.md"


def test_the_document_is_up_to_date() -> None:
    """docs/escrow-states.md equals what the table draws, to the byte."""
    assert source(DRAWN) == draw(), "run: python -m cobot_meter.domain.escrow.diagram > " + DRAWN


def test_everything_in_the_table_is_drawn() -> None:
    """Every move is an arrow, every event a row, and the ends are those without a way out."""
    drawn = draw()
    sales = [row for table in TABLES.values() for row in table.items()]
    told = [*RUN_TRANSITIONS.items(), *sales, *TOPUP_TRANSITIONS.items()]
    for (state, event), after in told:
        if state is not after:
            assert f"    {state} --> {after}: {event.__name__}\n" in drawn
        assert f"| `{event.__name__}` | " in drawn
    for table in TABLES.values():
        assert set(ends(table)) == {S.RELEASED, S.FAILED, S.REFUNDED}
    assert set(ends(RUN_TRANSITIONS)) == {RunState.COSTED, RunState.FAILED}
    assert ends(TOPUP_TRANSITIONS) == (TopupState.CREDITED,)


def test_the_module_writes_the_document() -> None:
    """The command that the document names prints it."""
    command = [sys.executable, "-m", "cobot_meter.domain.escrow.diagram"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == draw()
