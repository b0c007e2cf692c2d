"""Handing over what is paid for: to readers that come together, and from books that lack it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cobot_meter.domain.errors import CompletionGone, Conflict
from cobot_meter.domain.escrow.events import EscrowEvent
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.pricing.prices import kept_when_lapsed_msat
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.answer.deliveries import Deliveries
from cobot_meter.flows.record_event import RecordEvent
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.ports.books import Books
from cobot_meter.ports.identifiers import Sealer
from tests.fakes.identifiers import KEY
from tests.flows.rigs.stories import CALLER, Stage, ask, completes, hear, pay
from tests.flows.sale.test_crash_points import staged

S = Progress


class Bereft:
    """Books in which somebody else has done something to an escrow, or its bodies are not whole."""

    def __init__(self, inner: Books, *, bodies: StoredBodies | None = None) -> None:
        self.inner = inner
        self.kept = bodies

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        """What is left."""
        del escrow_id
        return self.kept

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every other part of the port
        return getattr(self.inner, name)


class Unknowing(Bereft):
    """Books that never heard of the escrow."""

    async def bodies(self, escrow_id: str) -> StoredBodies | None:
        """They are there."""
        return await self.inner.bodies(escrow_id)

    async def escrow(self, escrow_id: str) -> Escrow | None:
        """And the row is not."""
        del escrow_id
        return None


class Strict:
    """A sealer that opens nothing which is not whole."""

    def __init__(self, inner: Sealer) -> None:
        self.inner = inner

    async def open(self, wrapped_key: bytes, sealed: bytes, *, label: str) -> bytes:
        """As any real one: without bytes there is nothing to open."""
        assert isinstance(wrapped_key, bytes)
        assert isinstance(sealed, bytes)
        return await self.inner.open(wrapped_key, sealed, label=label)


class Raced(RecordEvent):
    """Somebody else is a moment before: with the same delivery, or with something else."""

    def __init__(self, record_event: RecordEvent, *, delivered: bool) -> None:
        self.record_event = record_event
        self.delivered = delivered

    async def record(
        self,
        escrow: Escrow,
        event: EscrowEvent,
        *,
        bodies: StoredBodies | None = None,
        lasting: bool = False,
    ) -> Escrow:
        """Always too late."""
        if self.delivered:
            await self.record_event.record(escrow, event, bodies=bodies, lasting=lasting)
        raise Conflict("somebody was first")


def deliveries(
    stage: Stage, *, books: Bereft | None = None, recorder: RecordEvent | None = None
) -> DeliverCompletion:
    """The flow, over other books or with another recorder."""
    process = stage.process
    others = cast("Books | None", books)
    return DeliverCompletion(
        ledger=process.ledger_on(books=others, record_event=recorder),
        vault=process.vault_on(books=others, sealer=cast("Sealer", Strict(stage.lasting.sealer))),
        release_gate=process.release_gate,
        deliveries=Deliveries(),
    )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A completion that is paid for and not read yet."""
    async with staged(tmp_path / "node") as begun:
        for step in (completes(), ask, pay(), hear):
            await step(begun)
        assert begun.escrow.progress is S.SETTLED
        yield begun


async def test_two_readers_at_once_both_get_it_and_it_is_sold_once(stage: Stage) -> None:
    """Whose commit comes second finds the delivery booked, and hands over the same bytes."""
    settled = stage.escrow
    first, body = await deliveries(stage).deliver(settled)
    again, same = await deliveries(stage).deliver(settled)
    assert (first, body) == (again, same)
    assert first.progress is S.RELEASED
    assert stage.books.rows.ledger.of(chart.REVENUE).net == -settled.price_msat


async def test_a_reader_who_is_a_moment_late_reads_what_the_other_released(stage: Stage) -> None:
    """The row moved on between its read and its commit, to exactly what it wanted."""
    settled = stage.escrow
    raced = Raced(stage.process.record_event, delivered=True)
    released, body = await deliveries(stage, recorder=raced).deliver(settled)
    assert body
    assert (released.progress, released) == (S.RELEASED, stage.escrow)
    assert stage.books.rows.ledger.of(chart.REVENUE).net == -settled.price_msat


async def test_a_reader_whose_escrow_moved_elsewhere_is_told_so(stage: Stage) -> None:
    """Nothing was released, so nothing is handed over: it asks again."""
    raced = Raced(stage.process.record_event, delivered=False)
    with pytest.raises(Conflict):
        await deliveries(stage, recorder=raced).deliver(stage.escrow)
    assert stage.escrow.progress is S.SETTLED
    unknowing = Unknowing(stage.process.books)
    with pytest.raises(Conflict):
        await deliveries(stage, books=unknowing, recorder=raced).deliver(stage.escrow)


@pytest.mark.parametrize(
    "state", [one for one in EscrowState if one not in {EscrowState.SETTLED, EscrowState.RELEASED}]
)
async def test_what_is_not_paid_is_never_opened(stage: Stage, state: EscrowState) -> None:
    """Whatever else its state is."""
    with pytest.raises(CompletionGone, match="no longer kept"):
        await deliveries(stage).deliver(replace(stage.escrow, state=state))
    assert stage.escrow.progress is S.SETTLED


@pytest.mark.parametrize(
    "kept",
    [
        None,
        StoredBodies(),
        StoredBodies(wrapped_key=KEY),
        StoredBodies(completion=b"sealed"),
        StoredBodies(wrapped_key=KEY, completion=b"another cover"),
    ],
)
async def test_what_cannot_be_read_is_credit_once(stage: Stage, kept: StoredBodies | None) -> None:
    """Nobody tries to open what is not whole; the price comes back, and only once."""
    bereft = Bereft(stage.process.books, bodies=kept)
    for _ in range(2):
        with pytest.raises(CompletionGone, match="credit of the caller"):
            await deliveries(stage, books=bereft).deliver(stage.escrow)
        assert stage.escrow.progress is S.REFUNDED
        assert -stage.books.rows.ledger.of(chart.available(CALLER)).net == stage.escrow.paid_msat


async def test_what_was_read_and_is_no_longer_kept_was_delivered(stage: Stage) -> None:
    """It was sold: no credit comes of asking for it a second time."""
    released, _ = await deliveries(stage).deliver(stage.escrow)
    bereft = Bereft(stage.process.books)
    with pytest.raises(CompletionGone, match="was delivered and is no longer kept"):
        await deliveries(stage, books=bereft).deliver(released)
    assert stage.escrow.progress is S.RELEASED


async def test_a_claim_that_nobody_makes_keeps_what_it_cost_us(stage: Stage) -> None:
    """Cost and fee stay ours, the rest of the price is credit."""
    settled = stage.escrow
    kept_msat = kept_when_lapsed_msat(
        settled.cost_pusd,
        price_msat=settled.price_msat,
        rate=settled.quote.rate,
        terms=settled.quote.terms,
    )
    assert 0 < kept_msat < settled.price_msat
    lapsed = await deliveries(stage).claim_lapsed(settled)
    assert (lapsed.progress, lapsed) == (S.REFUNDED, stage.escrow)
    ledger = stage.books.rows.ledger
    assert ledger.of(chart.REVENUE).net == -kept_msat
    assert -ledger.of(chart.available(CALLER)).net == settled.paid_msat - kept_msat
