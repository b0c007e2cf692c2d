"""What guards must do, whoever keeps the books: refuse whole, count what is held, never race."""

from __future__ import annotations

import asyncio
import dataclasses

import orjson
import pytest

from cobot_meter.background.wake_hub import WakeHub
from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import Conflict, ExposureExceeded
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Guard, Reservation
from cobot_meter.domain.money import sat_text, usd_text
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.editions import EditionSale, edition_sold
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange, Transition
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.operate.set_caller import SetCaller
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.http_api.http.error_table import error_response
from cobot_meter.ports.books import Applied, Books
from tests.contracts.books.books_samples import (
    CEILING_MSAT,
    CEILING_PUSD,
    PRICE_MSAT,
    RETENTION,
    START_MS,
    TERMS,
    Sale,
    ask_key,
    give_credit,
    opened,
    opening,
)
from tests.domain.samples import UPSTREAM
from tests.fakes.clock import FakeClock
from tests.http_api.samples import invoiced_escrow

WIDE = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**12, max_msat=10**12),
    address_day_pusd=10**15,
    newcomers_day_pusd=10**15,
    proven_day_pusd=10**15,
)


async def outcomes(books: Books, transitions: list[Transition]) -> list[Applied | Exception]:
    """What becomes of all of them, applied at the same time."""

    async def one(transition: Transition) -> Applied | Exception:
        try:
            return await books.apply(transition)
        except (ExposureExceeded, Conflict) as refused:
            return refused

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(transition)) for transition in transitions]
    return [task.result() for task in running]


class BooksGuards:
    """The promises of guards, one a test."""

    async def test_what_is_sold_without_a_run_is_bought_once(self, books: Books) -> None:
        """Of ten that buy an edition with one price of credit one pays; another day is refused."""
        await give_credit(books, caller_id="c_alpha", amount_msat=1_500)
        sale = EditionSale(
            caller_id="c_alpha",
            key_id="key_a",
            edition="2023-11-14",
            day="2023-11-14",
            price_msat=1_000,
            budgets="",
            usd_micro_per_btc=None,
            document_sha256="0" * 64,
        )
        told = await outcomes(books, [edition_sold(sale, at_ms=START_MS)] * 10)
        assert sum(isinstance(one, Applied) and not one.repeated for one in told) == 1
        assert all(isinstance(one, Applied) for one in told)
        assert (await books.standing("c_alpha")).available_msat == 500
        assert (await books.key_spending("key_a")).spent_msat == 1_000
        tomorrow = dataclasses.replace(sale, edition="2023-11-15")
        (refused,) = await outcomes(books, [edition_sold(tomorrow, at_ms=START_MS)])
        assert isinstance(refused, ExposureExceeded)
        assert (refused.guard, refused.asked) == ("available", 1_000)
        assert (await books.standing("c_alpha")).available_msat == 500

    @pytest.mark.parametrize(
        ("guard", "terms", "limit", "open_amount", "asked"),
        [
            (
                "caller",
                dataclasses.replace(WIDE, cap=CapTerms(newcomer_msat=3 * CEILING_MSAT - 1)),
                3 * CEILING_MSAT - 1,
                2 * CEILING_MSAT,
                CEILING_MSAT,
            ),
            (
                "address",
                dataclasses.replace(WIDE, address_day_pusd=2 * CEILING_PUSD + 1),
                2 * CEILING_PUSD + 1,
                2 * CEILING_PUSD,
                CEILING_PUSD,
            ),
            (
                "budget",
                dataclasses.replace(WIDE, newcomers_day_pusd=2 * CEILING_PUSD),
                2 * CEILING_PUSD,
                2 * CEILING_PUSD,
                CEILING_PUSD,
            ),
        ],
    )
    async def test_each_guard_refuses_what_passes_it(
        self,
        books: Books,
        guard: str,
        terms: ExposureTerms,
        limit: int,
        open_amount: int,
        asked: int,
    ) -> None:
        """The third is refused by name and figures, and nothing of it is written."""
        for name in ("esc_1", "esc_2"):
            await Sale(books, opened(name)).open(terms=terms)
        before = await books.quiet(UPSTREAM), await books.standing("c_one")
        with pytest.raises(ExposureExceeded) as refused:
            await Sale(books, opened("esc_3")).open(terms=terms)
        error = refused.value
        figures = (error.guard, error.limit, error.open_amount, error.asked)
        assert figures == (guard, limit, open_amount, asked)
        _told(error)
        assert (await books.quiet(UPSTREAM), await books.standing("c_one")) == before
        assert await books.escrow("esc_3") is None
        assert await books.bodies("esc_3") is None

    async def test_a_guard_takes_what_just_fits(self, books: Books) -> None:
        """The limit itself is allowed."""
        terms = dataclasses.replace(WIDE, cap=CapTerms(newcomer_msat=2 * CEILING_MSAT))
        for name in ("esc_1", "esc_2"):
            await Sale(books, opened(name)).open(terms=terms)
        assert (await books.standing("c_one")).open_msat == 2 * CEILING_MSAT

    async def test_credit_is_spent_once(self, books: Books) -> None:
        """Reserved credit counts as spent for whoever comes next."""
        await give_credit(books, caller_id="c_one", amount_msat=30_000)
        standing = await books.standing("c_one")
        await Sale(books, opened("esc_1", credit_msat=CEILING_MSAT)).open(standing=standing)
        assert (await books.standing("c_one")).available_msat == 30_000 - CEILING_MSAT
        with pytest.raises(ExposureExceeded) as refused:
            await Sale(books, opened("esc_2", credit_msat=CEILING_MSAT)).open(standing=standing)
        assert refused.value.guard == "available"
        assert refused.value.open_amount == CEILING_MSAT - 30_000
        assert (refused.value.limit, refused.value.asked) == (0, CEILING_MSAT)

    async def test_the_cap_follows_what_was_settled_and_lapsed(self, books: Books) -> None:
        """A tenth of what was paid raises it, twice what lapsed lowers it, at the same instant."""
        terms = dataclasses.replace(WIDE, cap=CapTerms(newcomer_msat=CEILING_MSAT))
        await Sale(books, opened("esc_1")).sell()
        paid = CEILING_MSAT + PRICE_MSAT // 10
        fits = opened("esc_2", ceiling_msat=paid)
        with pytest.raises(ExposureExceeded):
            await Sale(books, opened("esc_0", ceiling_msat=paid + 1)).open(terms=terms)
        sale = Sale(books, fits)
        await sale.open(terms=terms)
        await sale.generate()
        await sale.cost()
        await sale.invoice()
        await sale.cancel()
        with pytest.raises(ExposureExceeded) as refused:
            await Sale(books, opened("esc_3")).open(terms=terms)
        assert refused.value.limit == paid - 2 * PRICE_MSAT
        assert refused.value.open_amount == 0

    async def test_a_cap_below_zero_is_zero(self, books: Books) -> None:
        """Whoever let much lapse may open nothing, and that is all."""
        terms = dataclasses.replace(WIDE, cap=CapTerms(newcomer_msat=CEILING_MSAT))
        for name in ("esc_1", "esc_2"):
            sale = Sale(books, opened(name))
            await sale.open()
            await sale.generate()
            await sale.cost()
            await sale.invoice()
            await sale.cancel()
        with pytest.raises(ExposureExceeded) as refused:
            await Sale(books, opened("esc_3")).open(terms=terms)
        assert refused.value.limit == 0

    async def test_the_operators_word_takes_the_place_of_the_formula(self, books: Books) -> None:
        """A cap of his own holds until he takes it back; his words are counted."""
        for number, cap_msat in enumerate((CEILING_MSAT - 1, None)):
            change = CallerChange(blocked=number == 0, cap_msat=cap_msat)
            word = caller_transition("c_one", change, sequence=number, at_ms=START_MS)
            await books.apply(word)
            assert (await books.apply(word)).repeated
            assert await books.caller_changes("c_one") == number + 1
            standing = await books.standing("c_one")
            assert (standing.blocked, standing.cap_override_msat) == (number == 0, cap_msat)
            if cap_msat is not None:
                with pytest.raises(ExposureExceeded):
                    await Sale(books, opened("esc_1")).open(standing=standing)
        await Sale(books, opened("esc_1")).open(standing=await books.standing("c_one"))
        assert await books.caller_changes("c_two") == 0

    async def test_words_said_at_the_same_moment_are_all_kept(self, books: Books) -> None:
        """Of a block and caps at once none is lost, in whatever order they are written (K4.16)."""
        clock = FakeClock()
        recorder = RecordEvent(
            books=books,
            wakes=WakeHub(),
            clock=clock,
            retention=RETENTION,
            release_gate=ReleaseGate(),
            observe=lambda _: None,
        )
        callers = SetCaller(
            ledger=Ledger(
                books=books,
                record_event=recorder,
                clock=clock,
                steady_clock=SteadyClock(clock=clock),
                retention=RETENTION,
            )
        )
        for number in range(10):
            caller_id = f"c_{number}"
            await asyncio.gather(
                callers.block(caller_id, blocked=True),
                *(callers.cap(caller_id, 100 * number + each) for each in range(1, 5)),
            )
            standing = await books.standing(caller_id)
            assert standing.blocked
            assert standing.cap_override_msat in range(100 * number + 1, 100 * number + 5)
            assert await books.caller_changes(caller_id) == 5

    async def test_a_fact_is_never_refused(self, books: Books) -> None:
        """However little a caller may open by now, what it owes is still booked."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        await sale.generate()
        change = CallerChange(blocked=True, cap_msat=0)
        await books.apply(caller_transition("c_one", change, sequence=0, at_ms=START_MS))
        await sale.cost()
        await sale.invoice()
        await sale.cancel()
        await sale.settle()
        assert (await books.standing("c_one")).available_msat == 9_000

    async def test_parallel_asks_never_pass_the_cap(self, books: Books) -> None:
        """Of 200 asks of one caller at once, exactly those that fit are opened."""
        asks = [opening(opened(f"esc_{number:03}")) for number in range(200)]
        results = await outcomes(books, asks)
        fits = TERMS.cap.newcomer_msat // CEILING_MSAT
        assert sum(isinstance(result, Applied) for result in results) == fits
        refused = [one for one in results if isinstance(one, ExposureExceeded)]
        assert len(refused) == 200 - fits
        assert {one.guard for one in refused} == {"caller"}
        standing = await books.standing("c_one")
        assert standing.open_msat == fits * CEILING_MSAT == TERMS.cap.newcomer_msat

    async def test_the_refused_do_not_disturb_their_neighbours(self, books: Books) -> None:
        """Among many written together, each stands or falls by itself."""
        asks = [
            opening(
                opened(f"esc_{number:03}", caller_id=f"c_{number % 7}", newcomer=False),
                terms=dataclasses.replace(TERMS, proven_day_pusd=10**15),
            )
            for number in range(140)
        ]
        results = await outcomes(books, asks + asks[:20])
        opened_now = {
            ask.subject_id
            for ask, result in zip(asks, results, strict=False)
            if isinstance(result, Applied) and not result.repeated
        }
        assert len(opened_now) == 7 * (TERMS.cap.newcomer_msat // CEILING_MSAT)
        for ask in asks:
            assert (await books.escrow(ask.subject_id) is not None) == (
                ask.subject_id in opened_now
            )
        assert (await books.quiet(UPSTREAM)).mark == len(opened_now)

    async def test_one_of_many_identical_asks_opens(self, books: Books) -> None:
        """Fifty callers' libraries that repeat one request at once open one escrow."""
        ask = ask_key("ask", caller_id="c_one", nameless=True)
        asks = [opening(opened(f"esc_{number}", ask=ask)) for number in range(50)]
        results = await outcomes(books, asks)
        assert sum(isinstance(result, Applied) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 49

    async def test_budget_race_n_parallel(self, books: Books) -> None:
        """Of 1,000 at once on one balance, exactly the number that it can pay for succeed."""
        await give_credit(books, caller_id="c_one", amount_msat=123_456)
        holds = [
            Reservation(
                hold_id=f"h{number}",
                debit=chart.available("c_one"),
                credit=chart.UNEARNED,
                amount=1_000,
            )
            for number in range(1_000)
        ]
        spends = [
            Transition(
                key=f"spend/{number}",
                kind="test",
                subject_id="operator",
                caller_id="c_one",
                at_ms=START_MS,
                transfers=hold.pend(Guard(name="available")),
            )
            for number, hold in enumerate(holds)
        ]
        results = await outcomes(books, spends)
        assert sum(isinstance(result, Applied) for result in results) == 123
        assert (await books.standing("c_one")).available_msat == 456

    async def test_who_asks_the_upstream_first_is_the_one(self, books: Books) -> None:
        """A second process that records the same is shown whose request it is."""
        sale = Sale(books, opened("esc_1"))
        await sale.open()
        first, second = (
            sale.transition(ran.UpstreamRequested(requested_by=name)) for name in ("r_one", "r_two")
        )
        assert not (await books.apply(first)).repeated
        applied = await books.apply(second)
        assert applied.repeated
        assert applied.escrow == first.escrow == await books.escrow("esc_1")


def _told(error: ExposureExceeded) -> None:
    """A caller hears the guard's own figures, once and in one unit, and what it can do (K4.5)."""
    day = error.guard in {"address", "budget"}
    unit, shown = ("USD", usd_text) if day else ("sat", sat_text)
    for to_pay in ([], [invoiced_escrow()]):
        error.at_ms = START_MS
        answer = error_response(error, to_pay=to_pay)
        message = orjson.loads(answer.body)["error"]["message"]
        for amount in (error.open_amount, error.limit, error.asked):
            assert f"{shown(amount)} {unit}" in message
        assert ("sat" in message, "USD" in message) == (not day, day)
        assert ("to_pay" in message) is bool(to_pay)
        assert ("midnight" in message) is day
        assert "msat" not in message
        assert "top up" not in message
        assert ". " not in message
        assert message.endswith(".")
        headers = dict(answer.headers)
        # Midnight is hours away: no agent should sleep by it.
        assert headers.get(b"retry-after") == (None if day or to_pay else b"5")
