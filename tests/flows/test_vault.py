"""Sealed bodies and derived secrets: each under its own label, each the same again."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.errors import SealBroken
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.flows.vault import completion_label, request_label
from tests.fakes.books import FakeBooks
from tests.flows.rigs.stories import Stage
from tests.flows.sale.test_crash_points import staged

DAY = "2026-11-28"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A started process over empty books."""
    async with staged(tmp_path / "node") as begun:
        yield begun


def keep(books: FakeBooks, bodies: StoredBodies) -> None:
    """The books have these bodies of one escrow from now on."""
    books.rows = replace(books.rows, bodies={"esc_1": bodies})


async def test_what_is_sealed_is_opened_under_its_own_label(stage: Stage) -> None:
    """Request and completion of one escrow share a key, and neither passes for the other."""
    books = FakeBooks()
    vault = stage.process.vault_on(books=books)
    key, request = await vault.seal_request("esc_1", b"asked", day=DAY)
    completion = await vault.seal_completion("esc_1", b"answered", wrapped_key=key)
    keep(books, StoredBodies(wrapped_key=key, request=request, completion=completion))
    assert await vault.open_request("esc_1") == (key, b"asked")
    assert await vault.open_completion("esc_1") == b"answered"
    keep(books, StoredBodies(wrapped_key=key, request=completion, completion=request))
    for opening in (vault.open_request, vault.open_completion):
        with pytest.raises(SealBroken):
            await opening("esc_1")
    assert request_label("esc_1") != completion_label("esc_1")


@pytest.mark.parametrize(
    "kept", [None, StoredBodies(wrapped_key=b"key"), StoredBodies(request=b"1", completion=b"2")]
)
async def test_a_body_that_is_not_there_is_no_empty_body(
    stage: Stage, kept: StoredBodies | None
) -> None:
    """Without the row, the body or its key nothing is opened, and it says which one was wanted."""
    books = FakeBooks()
    vault = stage.process.vault_on(books=books)
    if kept is not None:
        keep(books, kept)
    with pytest.raises(SealBroken, match="the request of esc_1 is not stored"):
        await vault.open_request("esc_1")
    with pytest.raises(SealBroken, match="the completion of esc_1 is not stored"):
        await vault.open_completion("esc_1")


async def test_a_payment_hash_is_that_of_the_attempts_own_preimage(stage: Stage) -> None:
    """The same whenever asked, and another one for every attempt and every subject."""
    vault = stage.process.vault
    preimage = vault.preimage("esc_1", 0)
    assert vault.payment_hash("esc_1", 0) == hashlib.sha256(preimage).hexdigest()
    assert vault.payment_hash("esc_1", 0) == vault.payment_hash("esc_1", 0)
    several = {
        vault.payment_hash(name, attempt) for name in ("esc_1", "esc_2") for attempt in (0, 1)
    }
    assert len(several) == 4
