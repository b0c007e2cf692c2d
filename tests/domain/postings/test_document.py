"""docs/postings.md says what is booked: written by the code, and added up here by hand."""

from __future__ import annotations

import re
import subprocess
import sys

from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.escrow.tables import PANEL_TRANSITIONS, TASK_TRANSITIONS
from tests.architecture.source_tree import ROOT, source
from tests.domain.escrow.stages import CREDIT_PRODUCT, PRODUCT
from tests.domain.escrow.walks import short
from tests.domain.postings.document import (
    document,
    every,
    every_on_credit,
    every_on_panel,
    every_on_task,
    worked,
)
from tests.domain.samples import CREDITS

DOCUMENT = "docs/postings.md"


def test_the_document_is_up_to_date() -> None:
    """It is what the domain books now."""
    again = "run: python -m tests.domain.postings.document > docs/postings.md"
    assert source(DOCUMENT) == document(), again


def test_the_module_writes_the_document() -> None:
    """The command that the document names."""
    command = [sys.executable, "-m", "tests.domain.postings.document"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == document()


def test_the_worked_example_adds_up() -> None:
    """Recomputed by hand: 7,000 earned, 600 of credit left, 5,600 at the node, 7,000 spent."""
    nets: dict[str, int] = {"available": -2_000}  # the credit that the caller came with
    for _, lines in worked():
        for line in lines:
            kind, debit, credit, amount = _read(line)
            if kind in {"posted", "post"}:
                nets[debit] = nets.get(debit, 0) + amount
                nets[credit] = nets.get(credit, 0) - amount
    assert {name: net for name, net in nets.items() if net} == {
        "available": -600,
        "revenue": -7_000,
        "node": 5_600,
        "settled": 5_000,
        "contra": -5_000,
        "cost/upstream": 7_000,
        "credits": -7_000,
    }


def test_every_event_that_books_is_there() -> None:
    """Each event type of the table of states that books anything in any state has a row."""
    told = {event for _, event, _ in every()}
    silent = {
        *("UpstreamRequested", "GenerationStarted", "CompletionReceived", "CostLookupMissed"),
        *("InvoiceLost", "BodiesShredded", "QuarantineBegun", "QuarantineLifted"),
    }
    assert told | silent == {event.__name__ for _, event in PRODUCT}
    assert told & silent == set()


def test_every_event_that_books_on_credit_is_there() -> None:
    """A mode that is added to the table is in the document too."""
    told = {event for _, event, _ in every_on_credit()}
    silent = {
        *("UpstreamRequested", "GenerationStarted", "CompletionReceived", "CostLookupMissed"),
        *("BodiesShredded", "QuarantineBegun", "QuarantineLifted"),
        # Credit bears it, so that nothing of it counts on a day.
        *("RunOutcomeUnknown", "FellBack", "CostAttributed", "CostGivenUp"),
    }
    assert told | silent == {event.__name__ for _, event in CREDIT_PRODUCT}
    assert {Mode.ESCROW, Mode.CREDIT, Mode.TASK, Mode.PANEL} == set(Mode)


def test_every_event_that_books_in_a_task_is_there() -> None:
    """Each event of its table that moves money in any state has a row."""
    told = {event for _, event, _ in every_on_task()}
    silent = {"TaskAnswered", "InvoiceLost", "BodiesShredded"}
    silent |= {"QuarantineBegun", "QuarantineLifted"}
    of_its_runs = {"RunFailed", "CostAttributed", "CostGivenUp"}
    assert told | silent == of_its_runs | {event.__name__ for _, event in TASK_TRANSITIONS}
    assert told & silent == set()


def test_every_event_that_books_on_a_panel_is_there() -> None:
    """Each event of its table that moves money in any state has a row."""
    told = {event for _, event, _ in every_on_panel()}
    silent = {"PanelAnswered", "InvoiceLost", "BodiesShredded"}
    silent |= {"QuarantineBegun", "QuarantineLifted"}
    of_its_runs = {"opened", "Abandoned", "RunFailed", "CostKnown", "CompletionCosted", "FellBack"}
    assert told | silent == (told & of_its_runs) | {kind.__name__ for _, kind in PANEL_TRANSITIONS}
    assert told & silent == set()
    assert {"opened", "RunFailed", "CostKnown"} <= told


def _read(line: str) -> tuple[str, str, str, int]:
    read = re.fullmatch(r"(\w+) (.+) / (.+) (\d+)", line)
    assert read is not None, line
    return read[1], read[2], read[3], int(read[4])


def test_accounts_have_short_names_here() -> None:
    """What the document calls an account is what the walks call it."""
    assert short(CREDITS.code) == "credits"
