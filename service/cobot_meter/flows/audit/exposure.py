"""Audit: what counts on each day and against each caller, from the events alone: a second opinion.

The bookings are not consulted. Must not know: rows, the journal or the node.
"""

from __future__ import annotations

from collections import Counter

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Mode
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.pricing.prices import charged_pusd
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.states import RunState

S = EscrowState


class ExposureReplay:
    """`counted` is what stands so far, by account: days in pico-USD, what lapsed in msat."""

    def __init__(self) -> None:
        """Nothing was spent, and nothing lapsed."""
        self.counted: Counter[str] = Counter()

    def told(self, before: Escrow, event: on.EscrowEvent) -> None:
        """Take one event in. What a next run reserves is counted at its own end."""
        event = event.ended if isinstance(event, ran.FellBack) else event
        quote, address = before.quote, before.ask.address
        pusd, due_msat = counted_pusd(before, event), lapsed_msat(before, event)
        self.counted[chart.day_budget(quote.day, newcomer=quote.newcomer).code] += pusd
        self.counted[chart.lapsed(before.at_risk_id).code] += due_msat
        self._count_budgets(before, event)
        if before.key_id is not None:
            lost_pusd = key_lost_pusd(before, event)
            self.counted[chart.key_losses(before.key_id, quote.day).code] += lost_pusd
            spent_msat = key_spent_msat(before, event)
            self.counted[chart.key_spent(before.key_id).code] += spent_msat
            self.counted[chart.key_day(before.key_id, quote.day).code] += spent_msat
            self.counted[chart.overrun(quote.day).code] += overrun_pusd(before, event)
        if not quote.newcomer:
            return
        if quote.least_pusd is not None:
            self.counted[chart.address_budget(address, quote.day).code] += pusd
        elif quote.ceiling_msat > quote.credit_reserved_msat:
            self.counted[chart.old_address_exposure(address, quote.day).code] += due_msat

    def _count_budgets(self, before: Escrow, event: on.EscrowEvent) -> None:
        """The price in msat, or at the sale's own rate: in each window, or in that of its model."""
        for code in before.budgets.split():
            model, pusd = chart.budget_model(code), code.startswith("budget/pusd/")
            on_panel = before.mode is Mode.PANEL
            if model is not None and model != before.model and not on_panel:
                continue
            for msat in priced_msat(before, event):
                amount = abs(msat)
                amount = charged_pusd(amount, before.quote.rate) if pusd else amount
                self.counted[code] += min(amount, AMOUNT_MAX) * (1 if msat > 0 else -1)


def counted_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    """What this event leaves on the day, beyond what is only reserved."""
    held_pusd = before.run.budget_held_pusd
    match event:
        case on.WrittenOff():
            return _written_off_pusd(before)
        case on.InvoiceMakingRefused() | on.InvoiceCanceled() | on.TaskEnded() | on.PanelEnded():
            return sum(run.budget_held_pusd for run in before.sold_runs)
        case on.CoveredByCredit() if not before.price_msat:
            return sum(_at_least(before, 0) for run in before.sold_runs if run.budget_held_pusd)
        case on.LatePurchase():
            return -sum(_at_least(before, run.cost_pusd) for run in before.sold_runs)
        case ran.CostConfirmed() if before.run.ended_unpaid and not held_pusd:
            more_pusd = _at_least(before, event.cost.cost_pusd)
            return more_pusd - _at_least(before, before.cost_pusd) if is_exposed(before) else 0
        case _:
            return _resolved_pusd(before, event) if held_pusd else 0


def lapsed_msat(before: Escrow, event: on.EscrowEvent) -> int:
    """What the caller has now let lapse, less what it bought after all."""
    match event:
        case on.InvoiceCanceled():
            return before.due_msat
        case on.WrittenOff() if before.state is S.INVOICED:
            return before.due_msat
        case on.LatePurchase():
            return -before.due_msat
        case _:
            return 0


def key_spent_msat(before: Escrow, event: on.EscrowEvent) -> int:
    """What the API key that asked has now spent, less what it was given back."""
    match event:
        case ran.CompletionCosted():
            return event.price_msat
        case on.CoveredByCredit():
            return before.price_msat
        case on.CompletionLost():
            return -before.price_msat
        case on.ClaimLapsed():
            return event.kept_msat - before.price_msat
        case on.WrittenOff() if before.state is S.SETTLED:
            return -before.price_msat
        case _:
            return 0


def priced_msat(before: Escrow, event: on.EscrowEvent) -> tuple[int, ...]:
    """What this event says is to be paid of the price, and below zero what is not after all."""
    match event:
        case ran.CompletionCosted() if not before.sells_several:
            return (event.price_msat,)
        case on.CoveredByCredit() | on.InvoiceIssued() | on.LatePurchase():
            return (before.price_msat,)
        case on.InvoiceCanceled() | on.CompletionLost():
            return (-before.price_msat,)
        case on.ClaimLapsed():
            return (event.kept_msat, -before.price_msat)
        case on.WrittenOff() if before.state in {S.SETTLED, S.INVOICED}:
            return (-before.price_msat,)
        case _:
            return ()


def key_lost_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    """What a run of a key has now cost us, or may have at most, and what it had not after all."""
    at_most_pusd = before.run_ceiling_pusd
    if isinstance(event, ran.RunOutcomeUnknown):
        return at_most_pusd
    if isinstance(event, ran.RunFailed) and event.charged:
        return event.cost.cost_pusd if event.cost else at_most_pusd
    if isinstance(event, ran.CostConfirmed) and before.run.state is RunState.FAILED:
        thought_pusd = before.cost_pusd if before.run.cost else at_most_pusd
        return event.cost.cost_pusd - thought_pusd
    return 0


def overrun_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    """What this event says was charged to us beyond a reservation that grows."""
    if isinstance(event, ran.CostKnown | ran.CompletionCosted):
        return before.overrun_of(event.cost.cost_pusd)
    return 0


def is_exposed(escrow: Escrow) -> bool:
    """Whether something could stay unpaid: credit did not cover all of it, or it was free."""
    quote = escrow.quote
    free = quote.ceiling_msat == 0 and quote.least_pusd is not None
    return free or not quote.covered


def _resolved_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    """What a reservation on the day comes to, where this event says it."""
    match event:
        case ran.Abandoned() | ran.RunFailed(charged=False):
            return _at_least(before, 0)
        case ran.RunFailed(cost=cost) if cost is not None:
            return _at_least(before, cost.cost_pusd)
        case ran.CostGivenUp():
            return before.run.budget_held_pusd
        case ran.CostAttributed():
            return min(_at_least(before, event.cost_pusd), before.run.budget_held_pusd)
        case ran.CostConfirmed() if before.run.state is RunState.FAILED:
            return _at_least(before, event.cost.cost_pusd)
        case _:
            return 0


def _written_off_pusd(before: Escrow) -> int:
    if before.sells_several:
        return sum(run.budget_held_pusd for run in before.runs)
    return _of_its_run_pusd(before) + sum(run.budget_held_pusd for run in before.others)


def _of_its_run_pusd(before: Escrow) -> int:
    held_pusd = before.run.budget_held_pusd
    if before.state is S.RUNNING and before.run.state is RunState.OPENED:
        return _at_least(before, 0) if held_pusd else 0
    return held_pusd if STATES[before.state].reserved else 0


def _at_least(escrow: Escrow, cost_pusd: int) -> int:
    """Asks that cost nothing count too."""
    return max(cost_pusd, escrow.quote.least_pusd or 0)
