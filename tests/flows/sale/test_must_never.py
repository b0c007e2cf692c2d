"""What other gateways did to their users, and must never happen here: one named test each."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.errors import CompletionGone, OutcomeUnknown
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger.accounts import COST_FAILED, UNEARNED, available, upstream_credits
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.flows.sale.ask_completion import AnswerKind
from tests.fakes.upstream_outcomes import FAKE, Completes, Failed
from tests.flows.rigs.stories import (
    CALLER,
    COST,
    LAPSE_S,
    Stage,
    after,
    ask,
    ask_another,
    claim,
    hear,
    hear_late,
    pay,
    seals_break,
    tick,
    upstream,
)
from tests.flows.sale.test_crash_points import staged


def credit_of(stage: Stage) -> int:
    """The caller's credit in msat."""
    return -stage.books.rows.ledger.of(available(CALLER)).net


def state_of(stage: Stage) -> Progress:
    """Where the newest escrow stands now."""
    return stage.escrow.progress


async def test_refund_is_idempotent_per_claim(tmp_path: Path) -> None:
    """A paid completion that cannot be read is refunded once, however often it is claimed."""
    async with staged(tmp_path / "node") as stage:
        for step in (upstream(Completes(cost=COST)), ask, pay(), hear, seals_break, claim):
            await step(stage)
        assert stage.escrow.progress is Progress.REFUNDED
        refunded_msat = credit_of(stage)
        assert refunded_msat == stage.escrow.paid_msat
        for step in (claim, hear, claim, tick):
            await step(stage)
        assert isinstance(stage.fault, CompletionGone) or stage.answer is None
        assert credit_of(stage) == refunded_msat
        assert stage.books.rows.ledger.of(UNEARNED).net == 0


async def test_an_empty_answer_costs_what_the_upstream_charged(tmp_path: Path) -> None:
    """The policy: a bill above zero is charged and shown, a bill of zero is never invented."""
    async with staged(tmp_path / "node") as stage:
        empty = Completes(cost=COST, answer="", completion_tokens=0)
        for step in (upstream(empty), ask, pay(), hear, claim):
            await step(stage)
        assert stage.answer is not None
        assert stage.answer.kind is AnswerKind.COMPLETION
        assert stage.escrow.cost_pusd == pusd_from_text(COST)
        await upstream(Completes(cost="0", answer="", completion_tokens=0))(stage)
        await ask_another(stage)
        assert stage.escrow.progress is Progress.GENERATED
        assert stage.escrow.price_msat == 0


async def test_late_settle_credits(tmp_path: Path) -> None:
    """Paid on the node, expired in the shop: the money is credit and buys what is still kept."""
    async with staged(tmp_path / "node") as stage:
        for step in (upstream(Completes(cost=COST)), ask, after(LAPSE_S), tick):
            await step(stage)
        assert state_of(stage) is Progress.EXPIRED
        await hear_late(stage)
        assert state_of(stage) is Progress.SETTLED
        assert credit_of(stage) == stage.escrow.paid_msat - stage.escrow.price_msat
        await hear_late(stage)
        assert credit_of(stage) == stage.escrow.paid_msat - stage.escrow.price_msat


async def test_all_attempts_billed_once(tmp_path: Path) -> None:
    """Two failed attempts and a good one: each cost booked once, only the good one paid for."""
    async with staged(tmp_path / "node") as stage:
        for _ in range(2):
            await upstream(Failed(cost="0.00001", says_cost=True))(stage)
            await ask(stage)
            assert not isinstance(stage.fault, OutcomeUnknown)
            await after(61)(stage)
        for step in (upstream(Completes(cost=COST)), ask, pay(), hear, claim, tick):
            await step(stage)
        ledger = stage.books.rows.ledger
        assert ledger.of(COST_FAILED).net == 2 * pusd_from_text("0.00001")
        assert -ledger.of(upstream_credits(FAKE)).net == stage.lasting.upstream.spent_pusd
        assert stage.escrow.progress is Progress.RELEASED
        assert stage.escrow.priced_pusd == pusd_from_text(COST)
