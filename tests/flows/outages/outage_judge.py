"""What has to be true of a service when an outage is over, whichever it was."""

from __future__ import annotations

from cobot_meter.adapters.lightning.dev_node.signing import NO_FAULTS
from cobot_meter.domain.escrow.record import Escrow, next_timer_ms
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.fakes.upstream_outcomes import FAKE
from tests.flows.outages.outage_parts import Trouble
from tests.flows.outages.outage_world import World, prices
from tests.flows.rigs.process import RETENTION
from tests.flows.rigs.stories import BODY, ask_of, end

S = Progress
NO_LONGER = 60  # seconds that a failure is repeated to whoever asks the same
TRIES = 6
# What was held back comes back later and later: all of it within these turns.
TURNS_S = (1, 2, 5, 10, 20, 40, 80)
ENDED = frozenset({S.RELEASED, S.REFUNDED, S.EXPIRED, S.FAILED})


async def prepared(world: World) -> None:
    """Somebody else has an open invoice before anything is wrong."""
    for body in (BODY, BODY.replace(b"?", b"!")):
        known = ask_of(body=body)
        world.asks[known.request_sha256] = known
    await somebody_waits(world)


async def somebody_waits(world: World) -> None:
    """Somebody else has an open invoice; a new one, where the story paid it or time passed."""
    faults = world.node.faults
    world.node.set_faults(NO_FAULTS)
    await world.living[0].node.look()
    await world.claims(of=world.before)
    world.read.clear()
    await world.attempt(lambda: prices(world.stage.process))
    answer = await world.ask(world.before)
    assert answer is not None
    assert answer.kind is AnswerKind.CHALLENGE
    world.node.set_faults(faults)


async def restored(world: World) -> None:
    """Nothing outside is wrong any more."""
    trouble, well = world.trouble, Trouble()
    for name in Trouble.__slots__:
        setattr(trouble, name, getattr(well, name))


async def judged(world: World) -> None:
    """After a few quiet minutes, and after some weeks."""
    world.node.set_faults(NO_FAULTS)
    assert await world.alive(), "the service does not start again"
    await quiet(world)
    await _operator_looks(world)
    await quiet(world)
    await _nothing_is_stranded(world)
    await _others_are_served(world)
    for living in world.living:
        assert living.process.release_gate.closed_by is None
        await living.process.watch_account.look()
        assert living.process.watch_account.by_upstream[FAKE].in_flight_pusd == 0, (
            "counted against our credit for ever"
        )
    await end(world.stage)
    await _right_for_ever(world)


async def quiet(world: World) -> None:
    """A few minutes in which nothing is wrong; whoever has paid comes for it."""
    for seconds in TURNS_S:
        world.clock.advance(seconds)
        await world.turns()
    await world.claims()


async def _operator_looks(world: World) -> None:
    """Whatever was parked goes on: it could be booked all the time."""
    process = world.stage.process
    desk = process.quarantine
    for waiting in await process.books.quarantined(after="", limit=100):
        name = waiting.escrow_id if isinstance(waiting, Escrow) else waiting.topup_id
        again = (await desk.retry(name)).again
        assert again is None, again
        await world.finish(process)


async def _nothing_is_stranded(world: World) -> None:
    """Delivered, credited, or on the way with a timer; and the books know of every payment."""
    now_ms = world.clock.now_ms()
    for escrow in world.rows.rows.escrows.values():
        on_the_way = next_timer_ms(escrow, RETENTION) is not None or escrow.progress is S.INVOICED
        assert escrow.progress in ENDED or on_the_way, f"stranded: {escrow}"
        assert escrow.progress not in {Progress.OPENED, Progress.REQUESTED, Progress.COSTED}, (
            f"nobody drives {escrow}"
        )
        if await world.is_paid(escrow):
            assert escrow.paid_msat > 0, f"paid, and the books do not know: {escrow}"
            assert escrow.progress in {S.RELEASED, S.REFUNDED, S.EXPIRED}, (
                f"paid, not had: {escrow}"
            )
    for topup in world.rows.rows.topups.values():
        if await world.is_paid(topup):
            assert topup.state is TopupState.CREDITED, f"paid at {now_ms}, no credit: {topup}"


async def _others_are_served(world: World) -> None:
    """Who asked before, who asked during, and who asks now."""
    assert world.has_read(world.before), "asked before, paid, not had"
    for ask in (world.during, world.afterwards):
        assert await _bought(world, ask), f"{ask.caller_id} cannot buy: {world.refusal!r}"


async def _bought(world: World, ask: Ask) -> bool:
    """Asked, paid and read; who had a failure before asks once more when that is over."""
    world.refusal = None
    for _ in range(TRIES):
        if world.has_read(ask):
            return True
        await world.ask(ask)
        await world.pay()
        await world.turns()
        await world.claims()
        world.clock.advance(NO_LONGER + 1)
    return False


async def _right_for_ever(world: World) -> None:
    """Days later: all has ended, the ledger balances, and an audit lives it all again."""
    world.watch.check_end()
    rows = world.rows.rows
    subjects: tuple[Escrow | Topup, ...] = (*rows.escrows.values(), *rows.topups.values())
    booked = {one.payment_hash: one.paid_msat for one in subjects if one.paid_msat}
    unlikely = {rows.escrows[name].payment_hash for name in world.stage.unlikely}
    received = await _received(world)
    assert {name: msat for name, msat in booked.items() if name not in unlikely} == {
        name: msat for name, msat in received.items() if name not in unlikely
    }
    for reports in (world.rows, world.reports):
        if reports is not None:
            await _audited(world, reports)


async def _received(world: World) -> dict[str, int]:
    listed = [one.invoice async for one in world.node.listed_invoices(0)]
    return {
        one.payment_hash: one.amount_paid_msat
        for one in listed
        if one.state is InvoiceState.SETTLED
    }


async def _audited(world: World, reports: LedgerReports) -> None:
    audit = AuditLedger(
        reports=reports, node=lambda: world.node, upstream=None, retention=RETENTION
    )
    findings = (await audit.audit()).findings
    assert [one for one in findings if one.subject not in world.stage.unlikely] == []
