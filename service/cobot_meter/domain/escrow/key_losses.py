"""What the runs of an API key cost us on a UTC day although nobody pays for them; in pico-USD.

An answer that breaks off upstream is ours, and agents send the same request again at once, some of
them for ever: so the key that asked has an account of it for each day, which is looked at before it
asks for more. What may have cost something counts as the ceiling until the upstream says what it
was. Must not know: the bound, or how anything is written.
"""

from __future__ import annotations

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Transfer, posted
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.states import RunState


def losses_account(escrow: Escrow) -> Account | None:
    """Where the losses of this sale count; None without a key."""
    if escrow.key_id is None:
        return None
    return chart.key_losses(escrow.key_id, escrow.quote.day)


def losses_booked(before: Escrow, event: on.EscrowEvent) -> tuple[Transfer, ...]:
    """What the event adds to that account, or takes off it again."""
    account = losses_account(before)
    if account is None:
        return ()
    return posted(account, chart.EXPOSURE_PUSD, _lost_pusd(before, event))


def _lost_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    ceiling_pusd = before.run_ceiling_pusd
    match event:
        case ran.FellBack():
            return _lost_pusd(before, event.ended)
        case ran.RunFailed(charged=True, cost=cost):
            return ceiling_pusd if cost is None else cost.cost_pusd
        case ran.RunOutcomeUnknown():
            return ceiling_pusd
        case ran.CostConfirmed() if before.run.state is RunState.FAILED:
            known = before.run.cost is not None
            return event.cost.cost_pusd - (before.cost_pusd if known else ceiling_pusd)
        case _:
            return 0
