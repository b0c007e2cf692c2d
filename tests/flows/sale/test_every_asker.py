"""Whoever asks the same body, whatever became of it before: an answer of the table, no loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import COUNTED
from tests.flows.rigs.every_asker import ASKERS, FATES, NEW, Asker, Scene, due
from tests.flows.rigs.shop import Shop, Tally
from tests.flows.rigs.twin_books import TwinShop

Record = Callable[[str, object], None]
Past = tuple[tuple[str, str], ...]
# What credit buys is never invoiced, so most fates are one and the same to it.
OF_CREDIT = ("released", "gone", "failed", "running")
SINGLE = tuple(
    (asker, fate) for asker in ASKERS for fate in (OF_CREDIT if asker == "rich" else FATES)
)

FEW = tuple(
    (asker, fate)
    for asker in ("nameless", "poor", "rich")
    for fate in ("pending", "settled", "released", "expired")
    if asker != "rich" or fate in OF_CREDIT
)
FEWEST = (
    ("nameless", "pending"),
    ("nameless", "released"),
    ("poor", "pending"),
    ("poor", "settled"),
    ("rich", "released"),
    ("rich", "gone"),
)


def finals(scene: Scene) -> Iterator[tuple[str, Asker]]:
    """Everybody who may ask next: the askers, a key nobody used, and whoever holds a paid pair."""
    yield from ASKERS.items()
    yield "another key", Asker(key="another")
    yield "poor with another key", Asker(caller_id="c_poor", key="another")
    for escrow_id in list(scene.tokens):
        for key in (None, "k", "another"):
            owner = scene.owner_of(escrow_id, key=key)
            if owner is not None:
                yield f"the pair of {escrow_id} with {key}", owner


def check(scene: Scene, name: str, asker: Asker, past: object) -> None:
    """One ask: an answer of the table, and a run only where the table says a new one."""
    allowed, known = due(scene, asker), {row.escrow_id for row in scene.rows}
    got = scene.got(asker)
    opened = {row.escrow_id for row in scene.rows} - known
    if allowed == {NEW}:
        status, _, escrow_id = got.partition(" ")
        assert status in {"200", "402"}, (past, name, got)
        assert opened == {escrow_id}, (past, name, got, opened)
    else:
        assert got in allowed, (past, name, got, allowed)
        assert not opened, (past, name, got, opened)


def play(shop: Shop, past: Past) -> int:
    """Live through the past, then let everybody ask twice, in both orders of the askers."""
    scene = Scene(shop)
    for who, fate in past:
        FATES[fate](scene, ASKERS[who])
    count = 0
    for name, asker in list(finals(scene)):
        for _ in range(2):
            check(scene, name, asker, past)
            count += 1
    for name, asker in reversed(list(finals(scene))):
        check(scene, name, asker, past)
        count += 1
    scene.end()
    return count


def search(record_property: Record, pasts: Iterator[Past], shop: type[Shop] = Shop) -> None:
    """Every one of these pasts, each in a shop of its own."""
    played = asks = 0
    for past in pasts:
        stage = shop(Tally())
        try:
            asks += play(stage, past)
        finally:
            stage.close()
        played += 1
    record_property(COUNTED, f"{played:,} pasts, {asks:,} asks")
    print(f"{played:,} pasts, {asks:,} asks")
    assert played


def test_after_any_one_escrow(record_property: Record) -> None:
    """Every asker with every fate of what it asked for, and everybody asks after it."""
    search(record_property, ((one,) for one in SINGLE))


def test_after_any_one_escrow_on_a_real_database(record_property: Record) -> None:
    """The same with SQLite beside the books in memory: they agree on every read and write."""
    search(record_property, ((one,) for one in SINGLE), TwinShop)


def test_after_any_two_escrows_that_differ_most(record_property: Record) -> None:
    """Pairs of the fates that leave the ask occupied, over or free, of each kind of asker."""
    search(record_property, itertools.product(FEW, repeat=2))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_after_any_two_escrows(record_property: Record) -> None:
    """Every asker with every fate, before and after each of those that differ most."""
    both = itertools.chain(itertools.product(SINGLE, FEW), itertools.product(FEW, SINGLE))
    search(record_property, iter(dict.fromkeys(both)))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_after_three_escrows_on_a_real_database(record_property: Record) -> None:
    """Three in a row, where a named caller, one with credit and a nameless one meet."""
    search(record_property, itertools.product(FEWEST, repeat=3), TwinShop)
