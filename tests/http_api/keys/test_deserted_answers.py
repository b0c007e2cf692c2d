"""Who hangs up on a live answer ends it upstream where that ends its bill, and pays for a part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.money import usd_text
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import FaceRig, open_face
from tests.http_api.keys.test_growing_answers import (
    SAT_OF_ONE_USD,
    SMALL,
    WORD,
    cost_of,
    offer,
    said,
)
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import DONE, begun, chunks_of, standing, text_of

S = Progress
WORDS = 400


def slowly(gate: asyncio.Event, *, stops: bool = True) -> Completes:
    """An answer that goes on a second after its first words, cut or whole."""
    return Completes(
        answer=(WORD * WORDS).strip(),
        cost=usd_text(cost_of(900)),
        cut_cost=usd_text(cost_of(40)),
        stops=stops,
        held=gate,
    )


@asynccontextmanager
async def left(
    path: Path, *, stops: bool = True, sat: int = SAT_OF_ONE_USD
) -> AsyncIterator[tuple[FaceRig, str, str, asyncio.Event]]:
    """A key whose owner has hung up after the first words; the gate lets the upstream go on."""
    async with open_face(path) as rig:
        key, proof = await rig.key(sat)
        gate = asyncio.Event()
        await offer(rig, slowly(gate, stops=stops), said(3, tokens=5))
        asking = await begun(rig, key, SMALL, word=WORD.strip().encode(), heard=[])
        rig.caller.hang_up()
        await asking
        yield rig, key, proof, gate


@pytest.mark.parametrize("sat", [SAT_OF_ONE_USD, 50_000])
async def test_what_nobody_reads_is_ended_and_its_part_is_paid_for(
    tmp_path: Path, sat: int
) -> None:
    """Whether its reservation grows or not: what was generated is captured, and nothing more."""
    async with left(tmp_path, sat=sat) as (rig, _, proof, gate):
        await asyncio.sleep(2.1)
        gate.set()
        escrow = await rig.until(S.RELEASED)
        assert rig.upstream.left == 1
        assert escrow.mode is Mode.CREDIT
        assert escrow.price_msat == escrow.price_of(cost_of(40)).price_msat
        now = await standing(rig, proof)
        assert (now["available_msat"], now["reserved_msat"]) == (
            sat * 1_000 - escrow.price_msat,
            0,
        )


async def test_who_asks_again_afterwards_gets_a_whole_answer(tmp_path: Path) -> None:
    """The part is nobody's to read again: another run answers, and is paid for by itself."""
    async with left(tmp_path) as (rig, key, _, gate):
        await asyncio.sleep(2.1)
        gate.set()
        await rig.until(S.RELEASED)
        again = await rig.ask(SMALL, token=bearer(key))
        assert text_of(chunks_of(again)) == (WORD * 3).strip()
        assert len(rig.upstream.runs) == 2


async def test_who_comes_back_at_once_reads_all_of_it(tmp_path: Path) -> None:
    """As agents do after a break: one run, one price, and the answer from its start."""
    async with left(tmp_path) as (rig, key, _, gate):
        again = asyncio.create_task(rig.ask(SMALL, token=bearer(key)))
        for _ in range(100):
            await asyncio.sleep(0)
        gate.set()
        reply = await again
        assert text_of(chunks_of(reply)) == (WORD * WORDS).strip()
        assert reply.body.endswith(DONE)
        assert len(rig.upstream.runs) == 1
        assert rig.upstream.left == 0


async def test_whoever_charges_on_is_read_to_the_end(tmp_path: Path) -> None:
    """Nothing would be saved: the whole answer is there for whoever asks again."""
    async with left(tmp_path, stops=False, sat=50_000) as (rig, key, _, gate):
        await asyncio.sleep(2.1)
        gate.set()
        escrow = await rig.until(S.RELEASED)
        assert rig.upstream.left == 0
        assert escrow.price_msat == escrow.price_of(cost_of(900)).price_msat
        again = await rig.ask(SMALL, token=bearer(key))
        assert text_of(chunks_of(again)) == (WORD * WORDS).strip()


async def test_what_somebody_will_fetch_is_not_ended_by_a_reader_who_leaves(tmp_path: Path) -> None:
    """Asked for later, and read along by another for a word: the whole of it is there to fetch."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT_OF_ONE_USD)
        gate = asyncio.Event()
        await offer(rig, slowly(gate))
        later = {"Prefer": "respond-async"}
        assert (await rig.ask(SMALL, token=bearer(key), headers=later)).status == 202
        asking = await begun(rig, key, SMALL, word=WORD.strip().encode(), heard=[])
        rig.caller.hang_up()
        await asking
        await asyncio.sleep(2.1)
        gate.set()
        sold = await rig.until(S.RELEASED)
        assert rig.upstream.left == 0
        assert sold.price_msat == sold.price_of(cost_of(900)).price_msat


async def test_what_is_fetched_later_waits_for_no_reader(tmp_path: Path) -> None:
    """A long stream whose caller has its 202 and reads nothing: the run is not held up by it."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT_OF_ONE_USD)
        await offer(rig, Completes(answer=WORD * 20_000, cost=usd_text(cost_of(900)), stops=True))
        later = {"Prefer": "respond-async"}
        assert (await rig.ask(SMALL, token=bearer(key), headers=later)).status == 202
        async with asyncio.timeout(8):  # whoever follows and does not read is waited for ten
            await rig.until(S.RELEASED)
