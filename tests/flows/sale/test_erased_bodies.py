"""A prompt and its answer are erased where they lie in copies that nobody can reach."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.secrets.day_keys import DayKeys
from cobot_meter.adapters.secrets.key_file import derived_keys
from cobot_meter.adapters.secrets.sealer import AesSealer
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.domain.body_keys import split_key
from cobot_meter.domain.errors import (
    BodyKeysUnusable,
    BooksBusy,
    CobotMeterError,
    CompletionGone,
    SealBroken,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.answer.deliveries import Deliveries
from cobot_meter.flows.offer.keep_body_keys import KeepBodyKeys
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.flows.vault import completion_label
from cobot_meter.ports.books import Books
from tests.fakes.books import Crash, FakeBooks, Killed, Moment
from tests.fakes.clock import FakeClock
from tests.fakes.identifiers import FakeSealer
from tests.fakes.twin_books import twin_books
from tests.flows.rigs.process import RETENTION, Lasting, Process
from tests.flows.rigs.stories import BODY, DAY_S, HOUR_S, ask_of
from tests.postgres.cluster import Cluster

KEYS = derived_keys(b"\x07" * 32)  # what `secret.key` gives


@dataclass
class Shop:
    """Flows whose bodies are really sealed."""

    process: Process
    node: DevNode
    clock: FakeClock
    folder: Path
    keep_body_keys: KeepBodyKeys

    def thief(self) -> AesSealer:
        """Whoever has `secret.key` and the directory as it is now."""
        return sealer_on(self.folder)

    async def sold(self, body: bytes = BODY, *, claimed: bool = True) -> Escrow:
        """Asked for and paid, and handed over too if it is claimed."""
        asked = ask_of(body=body)
        escrow = (await self.process.ask_completion.answer(asked)).escrow
        assert escrow.invoice is not None
        await self.node.pay(escrow.invoice.payment_request)
        paid = await self.node.look_up(str(escrow.payment_hash))
        assert paid is not None
        await self.process.hear(paid)
        return await self.claimed(escrow, body) if claimed else await self.row(escrow)

    async def claimed(self, escrow: Escrow, body: bytes = BODY) -> Escrow:
        """Asked for with the proof."""
        proven = replace(ask_of(body=body), proven_escrow_id=escrow.escrow_id)
        answer = await self.process.ask_completion.answer(proven)
        assert answer.kind is AnswerKind.COMPLETION
        assert answer.body
        return answer.escrow

    async def row(self, escrow: Escrow) -> Escrow:
        """As it stands."""
        found = await self.process.books.escrow(escrow.escrow_id)
        assert found is not None
        return found

    async def later(self, seconds: float) -> None:
        """Time passes; timers, then a look at the keys."""
        self.clock.advance(seconds)
        await self.process.tick()
        await self.process.catalogue.refresh()
        await self.keep_body_keys.look()

    def restarted(self) -> DeliverCompletion:
        """What hands over in a process that has no key in its memory yet."""
        process = self.process
        return DeliverCompletion(
            ledger=process.ledger,
            vault=process.vault_on(sealer=sealer_on(self.folder)),
            release_gate=process.release_gate,
            deliveries=Deliveries(),
        )

    async def copied(self, escrow: Escrow) -> StoredBodies:
        """Its row as a backup has it."""
        bodies = await self.process.books.bodies(escrow.escrow_id)
        assert bodies is not None
        return bodies

    async def stolen(self, escrow: Escrow, copy: StoredBodies) -> bytes:
        """What the copy tells."""
        assert copy.wrapped_key is not None
        assert copy.completion is not None
        label = completion_label(escrow.escrow_id)
        return await self.thief().open(copy.wrapped_key, copy.completion, label=label)


def sealer_on(folder: Path) -> AesSealer:
    """With nothing in memory yet."""
    return AesSealer(wrapping_key=KEYS.wrapping, days=DayKeys(folder=folder))


@contextlib.asynccontextmanager
async def shop_on(books: Books, tmp_path: Path) -> AsyncIterator[Shop]:
    """On these books."""
    clock, folder = FakeClock(leaping=True), tmp_path / "body-keys"
    node = DevNode(path=tmp_path / "node.log", network="regtest", alias="dev", clock=clock)
    with contextlib.closing(node):
        days = DayKeys(folder=folder)
        sealer = AesSealer(wrapping_key=KEYS.wrapping, days=days)
        process = Process(
            Lasting(
                books=books,
                node=node,
                identity=await node.identity(),
                clock=clock,
                sealer=cast("FakeSealer", sealer),
            )
        )
        await process.start()
        keeping = KeepBodyKeys(books=books, keys=days, steady_clock=process.steady_clock)
        await keeping.look()
        yield Shop(process, node, clock, folder, keeping)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """On books in memory and in a file, side by side."""
    twins = twin_books(FakeBooks(retention=RETENTION), tmp_path, retention=RETENTION)
    async with twins as (books, _), shop_on(books, tmp_path) as shop:
        yield shop


def unmount(folder: Path) -> None:
    """The keys are somewhere else."""
    folder.rename(folder.with_name("away"))


def mount(folder: Path) -> None:
    """They are here again."""
    folder.with_name("away").rename(folder)


def open_to_others(folder: Path) -> None:
    """Somebody meant well."""
    folder.chmod(0o755)


def closed_again(folder: Path) -> None:
    """As the sentence says."""
    folder.chmod(0o700)


def keys_in(folder: Path) -> list[str]:
    """The days."""
    return sorted(path.name for path in folder.glob("*.key"))


def lies_in(cluster: Cluster, needle: bytes) -> list[str]:
    """The server's own files that have these bytes: tables and write-ahead log."""
    cluster.sql("CHECKPOINT")
    data = Path(cluster.sql("SHOW data_directory"))
    found = []
    for path in sorted(data.rglob("*")):
        with contextlib.suppress(OSError):  # a file that the server has just removed
            if path.is_file() and needle in path.read_bytes():
                found.append(str(path.relative_to(data)))
    return found


async def test_on_postgresql_no_copy_of_an_erased_row_opens_once_its_day_is_over(
    cluster: Cluster, database: str, tmp_path: Path
) -> None:
    """The wrapped key is still in the server's files, and with `secret.key` it opens nothing."""
    async with (
        open_postgres_books(database, retention=RETENTION) as books,
        shop_on(books, tmp_path) as shop,
    ):
        escrow = await shop.sold()
        copy = await shop.copied(escrow)
        assert copy.wrapped_key is not None
        await shop.later(DAY_S + HOUR_S)
        assert await shop.process.books.bodies(escrow.escrow_id) is None, "the row is erased"
        assert await asyncio.to_thread(lies_in, cluster, copy.wrapped_key), "its bytes are not"
        assert b"chat.completion" in await shop.stolen(escrow, copy), "as it was before"
        await shop.later(DAY_S)
        assert await asyncio.to_thread(lies_in, cluster, copy.wrapped_key), "and still are not"
        with pytest.raises(SealBroken, match="is gone, and with it what it sealed"):
            await shop.stolen(escrow, copy)


async def test_a_day_whose_bodies_are_all_erased_is_over_for_good(shop: Shop) -> None:
    """On a file too, and for the process that held the key in its memory."""
    escrow = await shop.sold()
    copy = await shop.copied(escrow)
    assert copy.wrapped_key is not None
    name = str(split_key(copy.wrapped_key)[0])
    await shop.later(DAY_S + HOUR_S)
    assert (shop.folder / f"{name[:10]}.key").exists(), "yesterday's may still be sealed with"
    await shop.later(DAY_S)
    assert not (shop.folder / f"{name[:10]}.key").exists()
    own = shop.process.lasting.sealer
    with pytest.raises(SealBroken):
        await own.open(copy.wrapped_key, copy.completion or b"", label=escrow.escrow_id)


async def test_a_body_that_is_kept_keeps_its_day(shop: Shop) -> None:
    """Unclaimed for 29 days it is handed over; what was erased of that day opens so long."""
    kept = await shop.sold(claimed=False)
    erased = await shop.sold(BODY.replace(b"?", b"!"))
    copy = await shop.copied(erased)
    await shop.later(29 * DAY_S)
    assert await shop.process.books.bodies(erased.escrow_id) is None
    assert b"chat.completion" in await shop.stolen(erased, copy)
    assert (await shop.claimed(kept)).progress is Progress.RELEASED
    await shop.later(2 * DAY_S)
    with pytest.raises(SealBroken):
        await shop.stolen(erased, copy)


async def test_what_is_paid_waits_while_its_key_may_come_back(shop: Shop) -> None:
    """A directory that is not mounted makes nobody's answer credit; with it the answer is there."""
    paid = await shop.sold(claimed=False)
    unmount(shop.folder)
    deliveries = shop.restarted()
    with pytest.raises(BodyKeysUnusable):
        await deliveries.deliver(paid)
    assert (await shop.row(paid)).progress is Progress.SETTLED
    mount(shop.folder)
    released, body = await deliveries.deliver(paid)
    assert released.progress is Progress.RELEASED
    assert b"chat.completion" in body


async def test_a_lost_key_of_a_day_loses_the_bodies_of_that_day_only(shop: Shop) -> None:
    """Once the operator says so: what was paid and cannot be opened is credit, and no more."""
    lost = await shop.sold(claimed=False)
    await shop.later(DAY_S)
    other = await shop.sold(BODY.replace(b"?", b"!"), claimed=False)
    name = str(split_key((await shop.copied(lost)).wrapped_key or b"")[0])
    (shop.folder / f"{name[:10]}.key").unlink()
    (shop.folder / f"{name}.gone").touch()
    deliveries = shop.restarted()
    with pytest.raises(CompletionGone):
        await deliveries.deliver(lost)
    assert (await shop.row(lost)).progress is Progress.REFUNDED
    standing = await shop.process.books.standing(lost.caller_id)
    assert standing.available_msat >= lost.price_msat
    assert (await deliveries.deliver(other))[0].progress is Progress.RELEASED
    assert shop.process.release_gate.closed_by is None


async def test_an_ask_that_cannot_be_sealed_costs_nobody_anything(shop: Shop) -> None:
    """Refused before its run, and nothing is booked of it."""
    await shop.sold()
    posts = len(shop.process.lasting.upstream.runs)
    shop.clock.advance(DAY_S)
    await shop.process.catalogue.refresh()
    open_to_others(shop.folder)
    fault: CobotMeterError | None = None
    try:
        await shop.process.ask_completion.answer(ask_of(body=BODY.replace(b"?", b"!")))
    except CobotMeterError as refused:
        fault = refused
    assert isinstance(fault, BodyKeysUnusable)
    assert len(shop.process.lasting.upstream.runs) == posts
    closed_again(shop.folder)
    assert (await shop.sold(BODY.replace(b"?", b"!"))).progress is Progress.RELEASED


async def test_an_outage_of_the_books_drops_no_key(shop: Shop) -> None:
    """Names that cannot be read are not names that nobody has."""
    await shop.sold(claimed=False)
    shop.clock.advance(5 * DAY_S)
    before = keys_in(shop.folder)
    busy = Busy()
    keeping = KeepBodyKeys(
        books=busy, keys=DayKeys(folder=shop.folder), steady_clock=shop.process.steady_clock
    )
    with pytest.raises(BooksBusy):
        await keeping.look()
    assert keys_in(shop.folder) == before


class Busy:
    """Books that do not answer."""

    async def body_keys(self, *, limit: int) -> tuple[str, ...]:
        raise BooksBusy(f"nothing is read, not even {limit} rows")


@pytest.mark.parametrize(("late_s", "ends"), [(1, Progress.INVOICED), (61, Progress.FAILED)])
async def test_an_ask_that_was_opened_waits_a_minute_for_its_key(
    shop: Shop, late_s: int, ends: Progress
) -> None:
    """Nothing was sent yet: with its key it is run, and without it costs nobody anything."""
    lasting = shop.process.lasting
    lasting.turns_free = False
    shop.process.mortal.crash = Crash(moment=Moment.AFTER, commits=0)
    with pytest.raises(Killed):
        await shop.process.ask_completion.answer(ask_of())
    await shop.process.kill()
    unmount(shop.folder)
    (escrow_id,) = await lasting.books.unfinished(after="", limit=9)
    away = Process(replace(lasting, sealer=cast("FakeSealer", sealer_on(shop.folder))))
    with pytest.raises(BodyKeysUnusable):
        await away.start()
    row = await lasting.books.escrow(escrow_id)
    assert row is not None
    assert row.progress is Progress.OPENED
    shop.clock.advance(late_s)
    if late_s < 60:
        mount(shop.folder)
    after = Process(replace(lasting, sealer=cast("FakeSealer", sealer_on(shop.folder))))
    await after.start()
    row = await lasting.books.escrow(escrow_id)
    assert row is not None
    assert row.progress is ends
    assert len(lasting.upstream.runs) == (1 if ends is Progress.INVOICED else 0)
