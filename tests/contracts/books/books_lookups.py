"""What the keyed reads of `Books` must find, whoever keeps the books."""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.timers import next_timer_ms
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.transitions.node import node_adopted
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.upstream import upstream_baseline, usage_compared
from cobot_meter.ports.books import Books, DueTimer, OpenInvoice
from tests.contracts.books.books_samples import (
    CEILING_PUSD,
    COST_PUSD,
    NODE,
    RETENTION,
    START_MS,
    Sale,
    ask_key,
    failure,
    opened,
    topup,
)
from tests.domain.samples import UPSTREAM, used


async def at(books: Books, escrow_id: str, state: str, *, caller_id: str = "c_one") -> Sale:
    """An escrow that has come as far as `state`."""
    sale = Sale(books, opened(escrow_id, caller_id=caller_id))
    await sale.open()
    if state == "opened":
        return sale
    if state == "failed":
        await sale.record(ran.UpstreamRequested())
        await sale.record(ran.RunOutcomeUnknown(failure=failure()))
        return sale
    steps = {
        "generated": sale.generate,
        "costed": sale.cost,
        "invoiced": sale.invoice,
        "settled": sale.settle,
    }
    for step in list(steps.values())[: list(steps).index(state) + 1]:
        await step()
    return sale


class BooksLookups:
    """The promises of the keyed reads, one a test."""

    async def test_the_newest_ask_is_found(self, books: Books) -> None:
        """Of several escrows of one ask, opened one after the other, the last is the one."""
        ask = ask_key("ask", caller_id="c_one")
        assert await books.latest_ask(ask.request_key) is None
        # The newer id comes first in the alphabet, and the clock went backwards.
        older = Sale(books, opened("esc_b", ask=ask))
        newer = Sale(books, opened("esc_a", ask=ask, at_ms=START_MS - 1))
        for sale in (older, newer):
            await sale.open()
            await sale.record(ran.Abandoned())
        assert await books.latest_ask(ask.request_key) == newer.escrow
        assert await books.asks_from_address(ask.address_key, limit=1) == (newer.escrow,)
        assert await books.latest_ask(ask.address_key) is None

    async def test_an_address_finds_anybodys_ask(self, books: Books) -> None:
        """Whoever asked the same from this address is found, named or not."""
        named = ask_key("ask", caller_id="c_one")
        first = Sale(books, opened("esc_1", ask=named))
        assert await books.asks_from_address(named.address_key, limit=9) == ()
        await first.open()
        assert await books.asks_from_address(named.address_key, limit=9) == (first.escrow,)
        nameless = ask_key("ask", caller_id="c_two", nameless=True)
        second = Sale(books, opened("esc_2", caller_id="c_two", ask=nameless))
        await second.open()
        both = (second.escrow, first.escrow)
        assert await books.asks_from_address(named.address_key, limit=9) == both
        assert await books.asks_from_address(named.address_key, limit=1) == both[:1]

    async def test_newer_asks_do_not_hide_the_open_nameless_one(self, books: Books) -> None:
        """However many there are at this address; once it is over it is one of many."""
        nameless = ask_key("ask", caller_id="c_zero", nameless=True)
        hidden = Sale(books, opened("esc_0", caller_id="c_zero", ask=nameless))
        await hidden.open()
        newer: list[Escrow] = []
        for number in range(3):
            named = ask_key("ask", caller_id=f"c_{number}")
            sale = Sale(books, opened(f"esc_1{number}", caller_id=f"c_{number}", ask=named))
            await sale.open()
            newer.insert(0, sale.escrow)
        key = nameless.address_key
        assert await books.asks_from_address(key, limit=2) == (*newer[:2], hidden.escrow)
        assert await books.asks_from_address(key, limit=4) == (*newer, hidden.escrow)
        assert await books.asks_from_address(key, limit=9) == (*newer, hidden.escrow)
        await hidden.record(ran.Abandoned())
        assert await books.asks_from_address(key, limit=2) == tuple(newer[:2])

    async def test_an_idempotency_key_finds_its_first_use(self, books: Books) -> None:
        """The escrow that the key was first used for keeps it."""
        ask = ask_key("ask", caller_id="c_one", idempotency_key="key")
        assert await books.ask_of_idempotency_key("key") is None
        first = Sale(books, opened("esc_1", ask=ask))
        await first.open()
        await first.record(ran.Abandoned())
        await Sale(books, opened("esc_2")).open()
        assert await books.ask_of_idempotency_key("key") == first.escrow

    async def test_a_payment_finds_whose_it_is(self, books: Books) -> None:
        """The hash of an escrow's or a top-up's invoice leads to its row, another to none."""
        sale = await at(books, "esc_1", "costed")
        assert await books.subject_of_payment(str(sale.escrow.payment_hash)) == sale.escrow
        first = topup("top_1")
        await books.apply(open_topup(first))
        assert await books.subject_of_payment(first.payment_hash) == first
        assert await books.subject_of_payment("00" * 32) is None
        lost = of_topup.TopupInvoiceLost(payment_hash="11" * 32)
        applied = await books.apply(topup_transition(first, lost, at_ms=START_MS))
        assert applied.topup is not None
        assert await books.subject_of_payment("11" * 32) == applied.topup

    async def test_a_generation_is_its_callers_own(self, books: Books) -> None:
        """Nobody finds another's generation."""
        sale = await at(books, "esc_1", "generated")
        assert await books.escrow_of_generation("c_one", "gen-esc_1") == sale.escrow
        assert await books.escrow_of_generation("c_two", "gen-esc_1") is None
        assert await books.escrow_of_generation("c_one", "gen-esc_2") is None

    async def test_a_caller_never_seen_stands_at_zero(self, books: Books) -> None:
        """All figures are 0, and the cap is a newcomer's."""
        standing = await books.standing("c_nobody")
        assert standing.caller_id == "c_nobody"
        assert (standing.available_msat, standing.open_msat, standing.settled_msat) == (0, 0, 0)
        assert (standing.blocked, standing.cap_override_msat) == (False, None)

    async def test_open_escrows_are_the_callers_unpaid_ones(self, books: Books) -> None:
        """Invoiced, his own, oldest first, and no more than asked for."""
        for escrow_id, state in (
            ("esc_9", "invoiced"),
            ("esc_5", "invoiced"),
            ("esc_1", "settled"),
        ):
            await at(books, escrow_id, state)
        await at(books, "esc_2", "invoiced", caller_id="c_two")
        found = await books.open_escrows("c_one", limit=9)
        assert [escrow.escrow_id for escrow in found] == ["esc_9", "esc_5"]
        assert len(await books.open_escrows("c_one", limit=1)) == 1

    async def test_whose_timer_has_passed_is_due(self, books: Books) -> None:
        """The longest overdue first, none before its time, none without a timer."""
        invoiced = await at(books, "esc_1", "invoiced")
        waiting = await at(books, "esc_2", "opened")
        await at(books, "esc_3", "failed")
        await at(books, "esc_0", "costed")
        when = next_timer_ms(invoiced.escrow, RETENTION) or 0
        assert when > START_MS
        earlier = next_timer_ms(waiting.escrow, RETENTION) or 0
        second = DueTimer(at_ms=earlier, escrow_id="esc_2")
        first = DueTimer(at_ms=when, escrow_id="esc_1")
        assert await books.due(when, limit=9) == (second, first)
        assert await books.due(when, limit=1) == (second,)
        assert await books.due(when, limit=9, after=second) == (first,)
        assert await books.due(when, limit=9, after=first) == ()
        assert await books.due(when - 1, limit=9) == (second,)
        assert await books.due(earlier - 1, limit=9) == ()

    async def test_unfinished_escrows_come_in_pages(self, books: Books) -> None:
        """Opened, requested, generated and costed ones, by id, each once."""
        states = ("costed", "generated", "invoiced", "opened", "failed", "settled")
        for number, state in enumerate(states):
            await at(books, f"esc_{9 - number}", state)
        assert await books.unfinished(after="", limit=2) == ("esc_6", "esc_8")
        assert await books.unfinished(after="esc_8", limit=2) == ("esc_9",)
        assert await books.unfinished(after="esc_9", limit=2) == ()

    async def test_open_invoices_are_of_escrows_and_topups(self, books: Books) -> None:
        """Whatever the node has not yet spoken on, by id, in pages."""
        sale = await at(books, "esc_2", "invoiced")
        await at(books, "esc_1", "settled")
        first = topup("top_1")
        await books.apply(open_topup(first))
        invoiced = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
        await books.apply(topup_transition(first, invoiced, at_ms=START_MS))
        escrow = OpenInvoice(subject_id="esc_2", payment_hash=str(sale.escrow.payment_hash))
        paid_later = OpenInvoice(subject_id="top_1", payment_hash=first.payment_hash)
        assert await books.open_invoices(after="", limit=9) == (escrow, paid_later)
        assert await books.open_invoices(after="", limit=1) == (escrow,)
        assert await books.open_invoices(after="esc_2", limit=9) == (paid_later,)
        await sale.cancel()
        assert await books.open_invoices(after="", limit=9) == (paid_later,)

    async def test_the_node_adopted_last_is_remembered(self, books: Books) -> None:
        """One word is one entry, a number is taken once, and the newest number stands."""
        assert await books.node() is None
        first = AdoptedNode(number=1, pubkey=NODE[1], network="regtest", alias=NODE[0])
        assert not (await books.apply(node_adopted(first, at_ms=START_MS))).repeated
        assert await books.node() == first
        other = replace(first, pubkey="03" + "ef" * 32, alias="other")
        assert (await books.apply(node_adopted(other, at_ms=START_MS))).repeated
        assert await books.node() == first
        second = replace(other, number=2)
        await books.apply(node_adopted(second, at_ms=START_MS))
        assert (await books.apply(node_adopted(first, at_ms=START_MS))).repeated
        assert await books.node() == second
        back = replace(first, number=3)
        await books.apply(node_adopted(back, at_ms=START_MS))
        assert await books.node() == back
        assert (await books.quiet(UPSTREAM)).mark == len({first.number, second.number, back.number})

    async def test_quiet_tells_when_costs_can_be_compared(self, books: Books) -> None:
        """Runs in flight and look-ups awaited are seen, and what is booked is added up."""
        empty = await books.quiet(UPSTREAM)
        assert (empty.in_flight, empty.awaited, empty.mark, empty.booked_pusd) == (0, 0, 0, 0)
        assert (empty.comparisons, empty.baseline_pusd) == (0, None)
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        assert (await books.quiet(UPSTREAM)).in_flight
        await sale.generate()
        generated = await books.quiet(UPSTREAM)
        assert (generated.in_flight, generated.awaited) == (True, True)
        await sale.cost()
        costed = await books.quiet(UPSTREAM)
        assert (costed.in_flight, costed.awaited) == (False, False)
        assert costed.booked_pusd == COST_PUSD
        assert costed.mark == len(sale.transitions)

    async def test_quiet_is_of_one_upstream(self, books: Books) -> None:
        """What runs, is awaited, booked or unconfirmed elsewhere is none of another's figures."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.generate()
        here = await books.quiet(UPSTREAM)
        assert (here.in_flight, here.awaited) == (True, True)
        elsewhere = await books.quiet("elsewhere")
        assert (elsewhere.in_flight, elsewhere.awaited) == (False, False)
        assert elsewhere.mark == len(sale.transitions)
        await sale.cost(standing=CostStanding.PROVISIONAL)
        here, elsewhere = await books.quiet(UPSTREAM), await books.quiet("elsewhere")
        assert (here.booked_pusd, here.unconfirmed_pusd) == (COST_PUSD, COST_PUSD)
        assert (elsewhere.booked_pusd, elsewhere.unconfirmed_pusd) == (0, 0)

    async def test_comparisons_and_the_baseline_are_remembered(self, books: Books) -> None:
        """The first word on the upstream's usage stays, and comparisons are counted."""
        await books.apply(upstream_baseline(used(77), at_ms=START_MS))
        assert (await books.apply(upstream_baseline(used(99), at_ms=START_MS))).repeated
        for number, cost_pusd in enumerate((500, -200)):
            compared = usage_compared(
                used(1_000), sequence=number, cost_pusd=cost_pusd, at_ms=START_MS
            )
            await books.apply(compared)
            assert (await books.apply(compared)).repeated
        quiet = await books.quiet(UPSTREAM)
        assert (quiet.baseline_pusd, quiet.comparisons, quiet.booked_pusd) == (77, 2, 300)

    async def test_the_unexplained_hold_budget_and_await_nothing(self, books: Books) -> None:
        """In opening order, until what they cost is known or given up."""
        for escrow_id in ("esc_9", "esc_5"):
            await at(books, escrow_id, "failed")
        awaited = Sale(books, opened("esc_7"))
        await awaited.open()
        await awaited.record(ran.UpstreamRequested())
        await awaited.record(ran.GenerationStarted(generation_id="gen"))
        await awaited.record(ran.RunOutcomeUnknown(failure=failure()))
        found = await books.unexplained(UPSTREAM, limit=9)
        assert [escrow.escrow_id for escrow in found] == ["esc_9", "esc_5"]
        assert [escrow.run.budget_held_pusd for escrow in found] == [CEILING_PUSD, CEILING_PUSD]
        assert len(await books.unexplained(UPSTREAM, limit=1)) == 1
        assert await books.unexplained("elsewhere", limit=9) == ()
        await Sale(books, found[0]).record(ran.CostAttributed(cost_pusd=5))
        cost = Cost(cost_pusd=9, text="0.000000000009", standing=CostStanding.CONFIRMED)
        await awaited.record(ran.CostConfirmed(cost=cost))
        assert [one.escrow_id for one in await books.unexplained(UPSTREAM, limit=9)] == ["esc_5"]
