"""A key whose first model fails: the next attempt is the same key's, while that may spend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.pricing.prices import ModelPrice
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Unknown, fake_model
from tests.http_api.face_rig import MODEL, FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import KEYS, bearer

OTHER = fake_model("meta/other", price=ModelPrice(prompt_pusd=90_000, completion_pusd=90_000))
CHAIN = ask_of("Which of you answers?", models=[OTHER.model_id])


@asynccontextmanager
async def failing_first(folder: Path, gate: asyncio.Event) -> AsyncIterator[FaceRig]:
    """The first model fails when the gate opens, the second one answers."""
    async with open_face(folder) as rig:
        rig.upstream.offered = (PRICED_MODEL, OTHER)
        await rig.service.flows.catalogue.refresh()
        rig.upstream.by_model = {MODEL: Unknown(gate=gate), OTHER.model_id: Completes()}
        yield rig


async def test_the_next_attempt_is_the_same_keys(tmp_path: Path) -> None:
    """The sale goes on with another run, and the key spends the price of the one that answered."""
    gate = asyncio.Event()
    gate.set()
    async with failing_first(tmp_path, gate) as rig:
        key, proof = await rig.key(5_000)
        assert (await rig.ask(CHAIN, token=bearer(key))).status == 200
        (escrow,) = rig.escrows
        assert (escrow.progress, escrow.model) == (Progress.RELEASED, OTHER.model_id)
        (listed,) = (await rig.get(KEYS, token=proof)).json()["data"]
        assert (listed["spent_msat"], listed["reserved_msat"]) == (rig.last.price_msat, 0)


async def test_a_key_that_was_revoked_meanwhile_begins_no_other_attempt(tmp_path: Path) -> None:
    """The failure stands, and nothing is reserved any more."""
    gate = asyncio.Event()
    async with failing_first(tmp_path, gate) as rig:
        key, proof = await rig.key(5_000)
        asked = asyncio.create_task(rig.ask(CHAIN, token=bearer(key)))
        await rig.until(Progress.REQUESTED)
        key_id = rig.last.key_id
        await rig.send("DELETE", f"{KEYS}/{key_id}", token=proof)
        gate.set()
        assert (await asked).status == 502
        assert [one.progress for one in rig.escrows] == [Progress.FAILED]
        (listed,) = (await rig.get(KEYS, token=proof)).json()["data"]
        assert (listed["spent_msat"], listed["reserved_msat"]) == (0, 0)
