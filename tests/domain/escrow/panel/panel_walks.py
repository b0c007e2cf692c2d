"""A panel in each of its states. Of three members two have answered, and one failed unaccounted.

Each may cost 4,000, 2,000 and 4,000, which is the ceiling of 10,000. The first has cost 3,000, the
third 2,500, and of the second nobody knows.
"""

from __future__ import annotations

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.stages import PARKED, Stages
from tests.domain.escrow.walks import Walk
from tests.domain.samples import (
    FAILURE,
    Shape,
    canceled,
    cost_known,
    invoice_issued,
    panel_priced,
    received,
    settled,
)

S = Progress
MOST = (4_000, 2_000, 4_000)
REPORTED = on.PanelAnswered(answer_sha256="a5" * 32)


def opened_panel(credit: int = 0, key_id: str | None = None) -> Walk:
    """All three are asked."""
    return Walk(Shape(newcomer=False, panel=MOST, credit=credit, key_id=key_id))


def of_member(walk: Walk, number: int, *events: on.EscrowEvent) -> Walk:
    """Told of one member's run; the sale is looked at from the one that it lives by afterwards."""
    name = walk.escrow.runs[number - 1].run_id
    walk.escrow = walk.escrow.seen_from(name)
    walk.tell(*events)
    walk.escrow = walk.escrow.seen_from(walk.escrow.run_id)
    return walk


def answered(walk: Walk, number: int, cost: int) -> Walk:
    """This member has answered, and its cost is known."""
    return of_member(walk, number, received(), cost_known(walk.escrow, cost))


def asked_panel(credit: int = 0, key_id: str | None = None) -> Walk:
    """Nobody is awaited any more, and the report is stored."""
    walk = answered(opened_panel(credit, key_id), 1, 3_000)
    of_member(walk, 2, ran.RunOutcomeUnknown(failure=FAILURE))
    return answered(walk, 3, 2_500).tell(REPORTED)


def priced_panel(credit: int = 0, key_id: str | None = None) -> Walk:
    """Priced at 5,500."""
    walk = asked_panel(credit, key_id)
    return walk.tell(panel_priced(walk.escrow))


def invoiced_panel() -> Walk:
    """With an invoice."""
    walk = priced_panel()
    return walk.tell(invoice_issued(walk.escrow))


def settled_panel() -> Walk:
    """Paid for."""
    walk = invoiced_panel()
    return walk.tell(settled(walk.escrow))


def expired_panel() -> Walk:
    """Nobody paid."""
    walk = invoiced_panel()
    return walk.tell(canceled(walk.escrow))


PANEL_STAGES: Stages = {
    S.REQUESTED: opened_panel,
    S.GENERATED: asked_panel,
    S.COSTED: priced_panel,
    S.INVOICED: invoiced_panel,
    S.SETTLED: settled_panel,
    S.RELEASED: lambda: settled_panel().tell(on.CompletionDelivered()),
    S.FAILED: lambda: asked_panel().tell(on.PanelEnded(failure=FAILURE)),
    S.EXPIRED: expired_panel,
    S.REFUNDED: lambda: settled_panel().tell(on.CompletionLost()),
}


def covered_panel() -> Walk:
    """Priced, and what is reserved of credit covers it."""
    return priced_panel(10_000, "key_1")


def parked_panel(state: Progress) -> Walk:
    """In this state and in quarantine."""
    return PANEL_STAGES[state]().tell(PARKED)


def paid_late_panel() -> Walk:
    """Paid after its invoice had lapsed."""
    walk = expired_panel()
    return walk.tell(settled(walk.escrow))
