"""What `Books` promise of API keys, whoever keeps the books."""

from __future__ import annotations

import dataclasses

import pytest

from cobot_meter.domain.api_key import events as of_key
from cobot_meter.domain.api_key.record import ApiKey, KeyLimits, KeyWish, secret_digest
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import AlreadyOpen, ExposureExceeded, MovedOn
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger.accounts import key_losses
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Cost, CostStanding
from cobot_meter.domain.transitions.api_keys import api_key_transition, make_api_key
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.ports.books import Applied, Books, KeyDay, KeySpending
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.contracts.books.books_guards import outcomes
from tests.contracts.books.books_samples import (
    CEILING_MSAT,
    DAY,
    PRICE_MSAT,
    START_MS,
    TERMS,
    Sale,
    give_credit,
    opened,
)
from tests.domain.samples import FAILURE

NO_LIMITS = KeyLimits()


def api_key(name: str, *, caller_id: str = "c_one", limits: KeyLimits = NO_LIMITS) -> ApiKey:
    """A key of this name and text."""
    wish = KeyWish(name=name, limits=limits)
    return ApiKey.made(
        f"key_{name}", f"sk-cobot-{name}", caller_id=caller_id, wish=wish, at_ms=START_MS
    )


def keyed(escrow_id: str, key: ApiKey) -> Escrow:
    """A first row that the key has asked for, and credit pays."""
    sale = opened(escrow_id, caller_id=key.caller_id, credit_msat=CEILING_MSAT)
    return dataclasses.replace(sale, key_id=key.key_id)


def asked_by(key: ApiKey, escrow_id: str) -> Transition:
    """A0 under the key's limits."""
    return open_escrow(
        keyed(escrow_id, key),
        standing=CallerStanding(caller_id=key.caller_id),
        terms=TERMS,
        bodies=StoredBodies(wrapped_key=b"key", request=b"sealed ask"),
        limits=key.limits,
    )


async def told(books: Books, key: ApiKey, event: of_key.ApiKeyEvent) -> ApiKey:
    """The key after the event, as the books have it."""
    applied = await books.apply(api_key_transition(key, event, at_ms=START_MS + 1))
    assert applied.api_key is not None
    return applied.api_key


class BooksKeys:
    """The promises, one a test."""

    async def test_a_key_is_found_by_id_and_by_the_digest_of_its_text(self, books: Books) -> None:
        """By nothing else, and not before it was made."""
        key = api_key("one")
        assert await books.api_key_of_secret(key.secret_sha256) is None
        assert await books.apply(make_api_key(key)) == Applied(repeated=False, api_key=key)
        assert await books.api_key(key.key_id) == key
        assert await books.api_key_of_secret(secret_digest("sk-cobot-one")) == key
        assert await books.api_key_of_secret("sk-cobot-one") is None
        assert await books.api_key("key_two") is None

    async def test_a_key_made_twice_is_one(self, books: Books) -> None:
        """The second time it is told as it stands by then."""
        key = api_key("one")
        await books.apply(make_api_key(key))
        revoked = await told(books, key, of_key.ApiKeyRevoked())
        again = await books.apply(make_api_key(key))
        assert again == Applied(repeated=True, api_key=revoked)

    async def test_no_two_keys_have_one_text(self, books: Books) -> None:
        """It would name two callers."""
        await books.apply(make_api_key(api_key("one")))
        other = dataclasses.replace(api_key("two"), secret_sha256=api_key("one").secret_sha256)
        with pytest.raises(AlreadyOpen):
            await books.apply(make_api_key(other))
        assert await books.api_key(other.key_id) is None

    async def test_a_key_is_changed_rotated_and_revoked(self, books: Books) -> None:
        """Each word is on the row, and the digest of an earlier text finds nobody."""
        key = api_key("one")
        await books.apply(make_api_key(key))
        limits = KeyLimits(limit_msat=5_000, day_limit_msat=700, models="a/b c/d")
        changed = await told(books, key, of_key.ApiKeyChanged(name="two", limits=limits))
        rotated = await told(
            books, changed, of_key.ApiKeyRotated(secret_sha256="ab" * 32, hint="sk-cobot-ab")
        )
        ended = await told(books, rotated, of_key.ApiKeyRevoked())
        assert await books.api_key(key.key_id) == ended
        assert (ended.name, ended.limits, ended.rotations) == ("two", limits, 1)
        assert (ended.version, ended.is_live) == (4, False)
        assert await books.api_key_of_secret(key.secret_sha256) is None
        assert await books.api_key_of_secret("ab" * 32) == ended

    async def test_of_two_different_words_at_once_the_second_reads_again(
        self, books: Books
    ) -> None:
        """The same word is said once, another one never lost."""
        key = api_key("one")
        await books.apply(make_api_key(key))
        first = of_key.ApiKeyChanged(name="first", limits=key.limits)
        await told(books, key, first)
        assert (await told(books, key, first)).name == "first"
        with pytest.raises(MovedOn):
            await told(books, key, of_key.ApiKeyChanged(name="second", limits=key.limits))

    async def test_a_callers_keys_come_newest_first(self, books: Books) -> None:
        """Nobody else's, and no more than asked for."""
        keys = [api_key(name) for name in ("b", "a", "c")]
        for key in (*keys, api_key("other", caller_id="c_two")):
            await books.apply(make_api_key(key))
        assert await books.api_keys_of("c_one", limit=9) == tuple(keys[::-1])
        assert await books.api_keys_of("c_one", limit=2) == tuple(keys[:0:-1])
        assert await books.api_keys_of("c_three", limit=9) == ()

    async def test_what_a_key_has_spent_is_counted_in_all_and_by_day(self, books: Books) -> None:
        """Reserved at the ceiling, spent at the price, and given back with a refund."""
        key = api_key("one")
        assert await books.key_spending(key.key_id) == KeySpending()
        await books.apply(make_api_key(key))
        await give_credit(books, caller_id="c_one", amount_msat=100_000)
        sale = Sale(books, keyed("esc_1", key))
        await sale.apply(asked_by(key, "esc_1"))
        asked = await books.key_spending(key.key_id)
        assert (asked.spent_msat, asked.reserved_msat) == (0, CEILING_MSAT)
        await sale.generate()
        await sale.cost(credit_used_msat=PRICE_MSAT)
        await sale.record(on.CoveredByCredit())
        day = KeyDay(utc_day=DAY, spent_msat=PRICE_MSAT, reserved_msat=0)
        spent = KeySpending(spent_msat=PRICE_MSAT, days=(day,))
        assert await books.key_spending(key.key_id) == spent
        await sale.record(on.CompletionLost())
        back = await books.key_spending(key.key_id)
        assert (back.spent_msat, back.days[0].spent_msat) == (0, 0)
        assert (await books.standing("c_one")).available_msat == 100_000

    async def test_a_failed_ask_gives_the_limit_back(self, books: Books) -> None:
        """Whatever was reserved is free again."""
        key = api_key("one", limits=KeyLimits(limit_msat=CEILING_MSAT))
        await give_credit(books, caller_id="c_one", amount_msat=100_000)
        for number in range(3):
            sale = Sale(books, keyed(f"esc_{number}", key))
            await sale.apply(asked_by(key, f"esc_{number}"))
            await sale.record(ran.Abandoned())
        assert (await books.key_spending(key.key_id)).reserved_msat == 0

    async def test_what_a_keys_failed_asks_cost_us_is_read_with_its_callers_standing(
        self, books: Books, reports: LedgerReports
    ) -> None:
        """Of that key and day alone: the ceiling while unknown, then what it was; added up."""
        key, other = api_key("one"), api_key("two")
        await give_credit(books, caller_id="c_one", amount_msat=100_000)
        for number, cost_pusd in enumerate((7_000_000, 5_000_000)):
            sale = Sale(books, keyed(f"esc_{number}", key))
            await sale.apply(asked_by(key, f"esc_{number}"))
            await sale.record(ran.UpstreamRequested(requested_by="r_one"))
            await sale.record(ran.GenerationStarted(generation_id=f"gen-{number}"))
            await sale.record(ran.RunOutcomeUnknown(failure=FAILURE))
            before = await books.standing("c_one", losses=key_losses(key.key_id, DAY))
            earlier_pusd = 7_000_000 if number else 0
            assert before.key_losses_pusd == earlier_pusd + sale.escrow.quote.ceiling_pusd
            cost = Cost(cost_pusd=cost_pusd, text="0.1", standing=CostStanding.CONFIRMED)
            await sale.record(ran.CostConfirmed(cost=cost))
        plain = await books.standing("c_one")
        assert plain.key_losses_pusd == 0
        read = await books.standing("c_one", losses=key_losses(key.key_id, DAY))
        assert read == dataclasses.replace(plain, key_losses_pusd=12_000_000)
        for account in (key_losses(other.key_id, DAY), key_losses(key.key_id, "2026-11-23")):
            assert await books.standing("c_one", losses=account) == plain
        assert len((await books.key_spending(key.key_id)).days) == 1
        summed = {one.account: one for one in await reports.trial_balance()}["exposure/key/*"]
        assert summed.debits_posted - summed.credits_posted == 12_000_000

    @pytest.mark.parametrize(
        ("limits", "guard"),
        [
            (KeyLimits(limit_msat=5 * CEILING_MSAT + 1), "key"),
            (KeyLimits(day_limit_msat=5 * CEILING_MSAT + 1), "key_day"),
            (NO_LIMITS, "available"),
        ],
    )
    async def test_parallel_asks_pass_neither_limit_nor_credit(
        self, books: Books, limits: KeyLimits, guard: str
    ) -> None:
        """Of a hundred at once exactly those that fit are opened, and nine tenths are used."""
        key = api_key("one", limits=limits)
        fits = 20 if guard == "available" else 5
        credit_msat = 20 * CEILING_MSAT + 7
        await give_credit(books, caller_id="c_one", amount_msat=credit_msat)
        asks = [asked_by(key, f"esc_{number:03}") for number in range(100)]
        results = await outcomes(books, asks)
        assert sum(isinstance(one, Applied) for one in results) == fits
        refused = [one for one in results if isinstance(one, ExposureExceeded)]
        assert {one.guard for one in refused} == {guard}
        assert len(refused) == 100 - fits
        spending = await books.key_spending(key.key_id)
        assert spending.reserved_msat == fits * CEILING_MSAT
        available_msat = (await books.standing("c_one")).available_msat
        assert available_msat == credit_msat - fits * CEILING_MSAT >= 0

    async def test_keys_are_in_the_reports(self, books: Books, reports: LedgerReports) -> None:
        """Newest first, each with the entry that made it; their accounts are summed by kind."""
        keys = [api_key(name) for name in ("b", "a")]
        for key in keys:
            await books.apply(make_api_key(key))
        await give_credit(books, caller_id="c_one", amount_msat=100_000)
        for number, key in enumerate(keys):
            await books.apply(asked_by(key, f"esc_{number}"))
        assert [one async for one in reports.api_keys()] == keys[::-1]
        marks = {one.subject_id: one.opened_sequence async for one in reports.api_key_marks()}
        entries = {one.subject_id: one.sequence async for one in reports.journal()}
        assert marks == {key.key_id: entries[key.key_id] for key in keys}
        summed = {one.account: one.debits_pending for one in await reports.trial_balance()}
        assert summed["key/*/spent"] == summed["key/*/day/*"] == 2 * CEILING_MSAT
