"""What `Books.apply` must do, whoever is behind it: whole, once, in order, under its guards."""

from __future__ import annotations

import dataclasses

import pytest

from cobot_meter.domain.errors import AlreadyOpen, LedgerContradicted, MovedOn
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import MovedRun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Reservation, Transfer, TransferKind
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.machine import advance as advance_topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import Books
from tests.contracts.books.books_samples import (
    CEILING_MSAT,
    DAY,
    NODE,
    PRICE_MSAT,
    START_MS,
    Sale,
    ask_key,
    give_credit,
    opened,
    opening,
    topup,
)
from tests.domain.samples import UPSTREAM

CREDIT = Reservation(
    hold_id="hold", debit=chart.available("c_one"), credit=chart.UNEARNED, amount=100
)


def journal(key: str, *transfers: Transfer, caller_id: str = "c_one") -> Transition:
    """A transition of nothing but transfers."""
    return Transition(
        key=key,
        kind="test",
        subject_id="operator",
        caller_id=caller_id,
        at_ms=START_MS,
        accounts=chart.caller_accounts(caller_id),
        transfers=transfers,
    )


class BooksWrites:
    """The promises of `apply`, one a test."""

    async def test_every_event_of_a_sale_is_read_back_as_written(self, books: Books) -> None:
        """The row that the domain made is the row that comes back, after each event."""
        sale = Sale(books, opened("esc_1"))
        await sale.sell()
        assert (len(sale.transitions), sale.escrow.versions) == (8, (5, 6))
        other = Sale(books, opened("esc_2"))
        for step in (other.open, other.generate, other.cost, other.invoice, other.settle):
            await step()
            assert await books.escrow("esc_2") == other.transitions[-1].escrow
        assert await books.escrow("esc_3") is None

    async def test_a_sale_ends_in_figures_that_agree(self, books: Books) -> None:
        """What was paid is settled, the rounding is credit, and nothing stays reserved."""
        sale = Sale(books, opened("esc_1"))
        await sale.sell()
        standing = await books.standing("c_one")
        assert standing.settled_msat == PRICE_MSAT
        assert standing.available_msat == standing.credited_msat == 9_000 - PRICE_MSAT
        assert (standing.open_msat, standing.lapsed_msat, standing.spent_credit_msat) == (0, 0, 0)

    async def test_opening_reserves_the_ceiling(self, books: Books) -> None:
        """What an open escrow may cost counts at once, until its price is known."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        assert (await books.standing("c_one")).open_msat == CEILING_MSAT
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        assert (await books.standing("c_one")).open_msat == PRICE_MSAT
        await sale.cancel()
        standing = await books.standing("c_one")
        assert (standing.open_msat, standing.lapsed_msat) == (0, PRICE_MSAT)

    async def test_the_same_key_changes_nothing(self, books: Books) -> None:
        """A repeat answers with the rows as they stand, however far they went."""
        sale = Sale(books, opened("esc_1"))
        first = await sale.open()
        assert (first.repeated, first.escrow) == (False, sale.escrow)
        await sale.generate()
        mark = (await books.quiet(UPSTREAM)).mark
        again = await books.apply(sale.transitions[0])
        assert (again.repeated, again.escrow) == (True, sale.escrow)
        assert (await books.quiet(UPSTREAM)).mark == mark
        assert (await books.standing("c_one")).open_msat == CEILING_MSAT

    async def test_a_settlement_told_twice_is_booked_once(self, books: Books) -> None:
        """The second word on one payment is a repeat, though it was made from the older row."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        settlement = sale.transition(sale.settlement())
        assert not (await books.apply(settlement)).repeated
        assert (await books.apply(settlement)).repeated
        assert (await books.standing("c_one")).settled_msat == PRICE_MSAT

    @pytest.mark.parametrize("version", [1, 2, 4])
    async def test_a_row_that_moved_on_is_not_overwritten(self, books: Books, version: int) -> None:
        """Only the very next version is taken, and a refused one leaves no trace."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.record(ran.UpstreamRequested())
        escrow = opened("esc_1") if version == 1 else _at_version(sale, version)
        stale = Transition(
            key="esc_1/stale",
            kind="stale",
            subject_id="esc_1",
            caller_id="c_one",
            at_ms=START_MS,
            escrow=escrow,
            opens=version == 1,
            runs=() if version == 1 else (MovedRun(escrow.run, ("version",)),),
            transfers=CREDIT.pend() if version == 4 else (),
        )
        before = await books.quiet(UPSTREAM)
        with pytest.raises(AlreadyOpen if version == 1 else MovedOn):
            await books.apply(stale)
        assert await books.quiet(UPSTREAM) == before
        assert await books.escrow("esc_1") == sale.escrow

    async def test_nothing_follows_what_was_never_opened(self, books: Books) -> None:
        """A second version without a first is refused, of top-ups too."""
        with pytest.raises(MovedOn):
            await books.apply(Sale(books, opened("esc_1")).transition(ran.UpstreamRequested()))
        invoiced = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
        with pytest.raises(MovedOn):
            await books.apply(topup_transition(topup("top_1"), invoiced, at_ms=START_MS))

    @pytest.mark.parametrize("same", ["request", "address", "idempotency"])
    async def test_the_same_ask_opens_once(self, books: Books, same: str) -> None:
        """While one is open, another of the same request, address or key is refused."""
        shared = {
            "request": ask_key("ask", caller_id="c_one"),
            "address": ask_key("ask", caller_id="c_one", nameless=True),
            "idempotency": ask_key("ask", caller_id="c_one", idempotency_key="key"),
        }[same]
        again = {
            "request": ask_key("ask", caller_id="c_one", address="192.0.2.2"),
            "address": ask_key("ask", caller_id="c_two", nameless=True),
            "idempotency": ask_key("else", caller_id="c_one", idempotency_key="key"),
        }[same]
        sale = Sale(books, opened("esc_1", ask=shared))
        await sale.open()
        with pytest.raises(AlreadyOpen):
            await books.apply(opening(opened("esc_2", caller_id="c_two", ask=again)))
        assert await books.escrow("esc_2") is None
        await sale.record(ran.Abandoned())
        third = Sale(books, opened("esc_3", caller_id="c_two", ask=again))
        if same == "idempotency":  # a key is used once, however soon its escrow ended
            with pytest.raises(AlreadyOpen):
                await third.open()
        else:
            await third.open()
            assert await books.escrow("esc_3") is not None

    async def test_a_named_ask_does_not_stand_in_a_nameless_ones_way(self, books: Books) -> None:
        """From one address the same may be open once by name and once without."""
        await Sale(books, opened("esc_1", ask=ask_key("ask", caller_id="c_one"))).open()
        nameless = ask_key("ask", caller_id="c_two", nameless=True)
        await Sale(books, opened("esc_2", caller_id="c_two", ask=nameless)).open()
        assert await books.escrow("esc_2") is not None

    async def test_a_late_purchase_passes_the_same_ask_opened_anew(self, books: Books) -> None:
        """What was paid late is bought, whatever the caller asked for in the meantime."""
        ask = ask_key("ask", caller_id="c_one", nameless=True)
        late = Sale(books, opened("esc_1", ask=ask))
        await late.open()
        await late.generate()
        await late.cost()
        await late.invoice()
        await late.cancel()
        await Sale(books, opened("esc_2", ask=ask)).open()
        await late.settle()
        await late.record(on.LatePurchase())
        assert late.escrow.state == "settled"
        newest = await books.latest_ask(ask.request_key)
        assert newest is not None
        assert newest.escrow_id == "esc_2"

    @pytest.mark.parametrize("end", ["settled", "expired"])
    async def test_bodies_are_kept_until_they_are_shredded(self, books: Books, end: str) -> None:
        """The answer joins the ask under one key, the ask goes first, and then all goes."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        kept = StoredBodies(wrapped_key=b"key of esc_1", request=b"sealed ask")
        assert await books.bodies("esc_1") == kept
        await sale.generate()
        kept = StoredBodies(wrapped_key=b"key of esc_1", completion=b"sealed answer")
        assert await books.bodies("esc_1") == kept
        await sale.cost()
        await sale.invoice()
        await (sale.settle() if end == "settled" else sale.cancel())
        assert await books.bodies("esc_1") == kept
        await sale.record(on.CompletionLost() if end == "settled" else on.BodiesShredded())
        assert await books.bodies("esc_1") is None
        assert await books.bodies("esc_2") is None

    async def test_the_settle_cursor_never_goes_back(self, books: Books) -> None:
        """Settlements come out of order; the highest index of each node is kept."""
        await give_credit(books, caller_id="c_one", amount_msat=1_000, name="a", settle_index=7)
        await give_credit(books, caller_id="c_one", amount_msat=1_000, name="b", settle_index=3)
        assert await books.settle_cursor(NODE[1]) == 7
        assert await books.settle_cursor("02" + "cd" * 32) == 0

    async def test_one_topup_is_open_for_an_address(self, books: Books) -> None:
        """A second is refused until the first has lapsed, and a late payment is credit still."""
        first = topup("top_1")
        await books.apply(open_topup(first))
        second = open_topup(topup("top_2"))
        with pytest.raises(AlreadyOpen):
            await books.apply(second)
        issued = of_topup.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
        await books.apply(topup_transition(first, issued, at_ms=START_MS))
        invoiced = advance_topup(first, issued)
        assert await books.open_topup("a_one") == invoiced
        await books.apply(topup_transition(invoiced, of_topup.TopupLapsed(), at_ms=START_MS))
        lapsed = advance_topup(invoiced, of_topup.TopupLapsed())
        assert await books.open_topup("a_one") is None
        assert not (await books.apply(second)).repeated
        alias, pubkey = NODE
        settled = of_topup.TopupCredited(
            payment_hash=first.payment_hash,
            paid_msat=1_500,
            settle_index=1,
            node_alias=alias,
            node_pubkey=pubkey,
        )
        credited = advance_topup(lapsed, settled)
        paid = topup_transition(lapsed, settled, at_ms=START_MS)
        assert (await books.apply(paid)).topup == credited
        assert (await books.apply(paid)).topup == await books.topup("top_1")
        assert credited.state is TopupState.CREDITED
        assert (await books.standing("c_one")).available_msat == 1_500

    @pytest.mark.parametrize(
        "wrong", ["taken twice", "resolved twice", "amount", "account", "none"]
    )
    async def test_a_hold_has_one_beginning_and_one_end(self, books: Books, wrong: str) -> None:
        """Taken once, resolved once, at the accounts and for the amount it was taken with."""
        await give_credit(books, caller_id="c_one", amount_msat=1_000)
        await books.apply(journal("taken", *CREDIT.pend()))
        transfers = {
            "taken twice": CREDIT.pend(),
            "resolved twice": (*CREDIT.post(40), *CREDIT.void()),
            "amount": _voided("hold", held=99),
            "account": _voided("hold", debit=chart.receivable("c_one")),
            "none": _voided("no such hold"),
        }[wrong]
        before = await books.quiet(UPSTREAM), await books.standing("c_one")
        with pytest.raises(LedgerContradicted):
            await books.apply(journal("wrong", *transfers))
        assert (await books.quiet(UPSTREAM), await books.standing("c_one")) == before
        await books.apply(journal("right", *CREDIT.post(40)))
        with pytest.raises(LedgerContradicted):
            await books.apply(journal("again", *CREDIT.void()))
        standing = await books.standing("c_one")
        assert (standing.available_msat, standing.spent_credit_msat) == (960, 40)

    async def test_an_exact_account_must_have_been_opened(self, books: Books) -> None:
        """A guard could not stand on a row that is not there."""
        account = chart.address_budget("192.0.2.1", DAY)
        hold = Reservation(hold_id="h", debit=account, credit=chart.EXPOSURE_PUSD, amount=1)
        with pytest.raises(LedgerContradicted):
            await books.apply(journal("unopened", *hold.pend()))

    async def test_the_books_answer_a_ping(self, books: Books) -> None:
        """A ping writes nothing and says that writing would work."""
        before = await books.quiet(UPSTREAM)
        await books.ping()
        assert await books.quiet(UPSTREAM) == before


def _at_version(sale: Sale, version: int) -> Escrow:
    run = dataclasses.replace(sale.escrow.run, version=version)
    return dataclasses.replace(sale.escrow, run=run)


def _voided(
    hold_id: str, *, held: int = CREDIT.amount, debit: chart.Account = CREDIT.debit
) -> tuple[Transfer, ...]:
    return (
        Transfer(
            kind=TransferKind.VOID,
            debit=debit,
            credit=CREDIT.credit,
            amount=0,
            hold_id=hold_id,
            held=held,
        ),
    )
