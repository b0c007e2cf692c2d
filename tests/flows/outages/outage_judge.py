"""What has to be true of a service when an outage is over, whichever it was."""

from __future__ import annotations

from cobot_meter.adapters.lightning.dev_node.signing import NO_FAULTS
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.escrow.timers import next_timer_ms
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.upstream_outcomes import FAKE
from tests.flows.outages.outage_parts import Trouble
from tests.flows.outages.outage_rig import OutageRig, prices
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.stories import BODY, ask_of, end

S = Progress
NO_LONGER = 60  # seconds that a failure is repeated to whoever asks the same
TRIES = 6
# What was held back comes back later and later: all of it within these turns.
TURNS_S = (1, 2, 5, 10, 20, 40, 80)
ENDED = frozenset({S.RELEASED, S.REFUNDED, S.EXPIRED, S.FAILED})


async def prepared(rig: OutageRig) -> None:
    """Somebody else has an open invoice before anything is wrong."""
    for body in (BODY, BODY.replace(b"?", b"!")):
        known = ask_of(body=body)
        rig.asks[known.request_sha256] = known
    await somebody_waits(rig)


async def somebody_waits(rig: OutageRig) -> None:
    """Somebody else has an open invoice; a new one, where the story paid it or time passed."""
    faults = rig.node.faults
    rig.node.set_faults(NO_FAULTS)
    await rig.living[0].node.look()
    await rig.claims(of=rig.before)
    rig.read.clear()
    await rig.attempt(lambda: prices(rig.stage.process))
    answer = await rig.ask(rig.before)
    assert answer is not None
    assert answer.kind is AnswerKind.CHALLENGE
    rig.node.set_faults(faults)


async def restored(rig: OutageRig) -> None:
    """Nothing outside is wrong any more."""
    trouble, well = rig.trouble, Trouble()
    for name in Trouble.__slots__:
        setattr(trouble, name, getattr(well, name))


async def judged(rig: OutageRig) -> None:
    """After a few quiet minutes, and after some weeks."""
    rig.node.set_faults(NO_FAULTS)
    assert await rig.alive(), "the service does not start again"
    await quiet(rig)
    await _operator_looks(rig)
    await quiet(rig)
    await _nothing_is_stranded(rig)
    await _others_are_served(rig)
    for living in rig.living:
        assert living.process.release_gate.closed_by is None
        await living.process.watch_account.look()
        assert living.process.watch_account.by_upstream[FAKE].in_flight_pusd == 0, (
            "counted against our credit for ever"
        )
    await end(rig.stage)
    await _right_for_ever(rig)


async def quiet(rig: OutageRig) -> None:
    """A few minutes in which nothing is wrong; whoever has paid comes for it."""
    for seconds in TURNS_S:
        rig.clock.advance(seconds)
        await rig.turns()
    await rig.claims()


async def _operator_looks(rig: OutageRig) -> None:
    """Whatever was parked goes on: it could be booked all the time."""
    process = rig.stage.process
    desk = process.quarantine
    for waiting in await process.books.quarantined(after="", limit=100):
        name = waiting.escrow_id if isinstance(waiting, Escrow) else waiting.topup_id
        again = (await desk.retry(name)).again
        assert again is None, again
        await rig.finish(process)


async def _nothing_is_stranded(rig: OutageRig) -> None:
    """Delivered, credited, or on the way with a timer; and the books know of every payment."""
    now_ms = rig.clock.now_ms()
    for escrow in rig.rows.rows.escrows.values():
        on_the_way = next_timer_ms(escrow, RETENTION) is not None or escrow.progress is S.INVOICED
        assert escrow.progress in ENDED or on_the_way, f"stranded: {escrow}"
        assert escrow.progress not in {Progress.OPENED, Progress.REQUESTED, Progress.COSTED}, (
            f"nobody drives {escrow}"
        )
        if await rig.is_paid(escrow):
            assert escrow.paid_msat > 0, f"paid, and the books do not know: {escrow}"
            assert escrow.progress in {S.RELEASED, S.REFUNDED, S.EXPIRED}, (
                f"paid, not had: {escrow}"
            )
    for topup in rig.rows.rows.topups.values():
        if await rig.is_paid(topup):
            assert topup.state is TopupState.CREDITED, f"paid at {now_ms}, no credit: {topup}"


async def _others_are_served(rig: OutageRig) -> None:
    """Who asked before, who asked during, and who asks now."""
    assert rig.has_read(rig.before), "asked before, paid, not had"
    for ask in (rig.during, rig.afterwards):
        assert await _bought(rig, ask), f"{ask.caller_id} cannot buy: {rig.refusal!r}"


async def _bought(rig: OutageRig, ask: Ask) -> bool:
    """Asked, paid and read; who had a failure before asks once more when that is over."""
    rig.refusal = None
    for _ in range(TRIES):
        if rig.has_read(ask):
            return True
        await rig.ask(ask)
        await rig.pay()
        await rig.turns()
        await rig.claims()
        rig.clock.advance(NO_LONGER + 1)
    return False


async def _right_for_ever(rig: OutageRig) -> None:
    """Days later: all has ended, the ledger balances, and an audit lives it all again."""
    rig.watch.check_end()
    rows = rig.rows.rows
    subjects: tuple[Escrow | Topup, ...] = (*rows.escrows.values(), *rows.topups.values())
    booked = {one.payment_hash: one.paid_msat for one in subjects if one.paid_msat}
    unlikely = {rows.escrows[name].payment_hash for name in rig.stage.unlikely}
    received = await _received(rig)
    assert {name: msat for name, msat in booked.items() if name not in unlikely} == {
        name: msat for name, msat in received.items() if name not in unlikely
    }
    for reports in (rig.rows, rig.reports):
        if reports is not None:
            await _audited(rig, reports)


async def _received(rig: OutageRig) -> dict[str, int]:
    listed = [one.invoice async for one in rig.node.listed_invoices(0)]
    return {
        one.payment_hash: one.amount_paid_msat
        for one in listed
        if one.state is InvoiceState.SETTLED
    }


async def _audited(rig: OutageRig, reports: LedgerReports) -> None:
    audit = AuditLedger(reports=reports, node=lambda: rig.node, upstream=None, retention=RETENTION)
    findings = (await audit.audit()).findings
    assert [one for one in findings if one.subject not in rig.stage.unlikely] == []
