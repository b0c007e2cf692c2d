"""Who reads a live answer a byte at a time holds up nobody for long, and loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.escrow.states import Progress
from tests.fakes.servers.serving import serving
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.face_rig import ask_of, open_face
from tests.http_api.http.test_streams import BUFFERED_BYTES_MAX, post, reader_of
from tests.http_api.keys.test_keys import bearer
from tests.http_api.keys.test_live_answers import DONE, chunks_of, standing, text_of

SAT = 5_000
# More than the sockets of both sides take: the rest waits for the reader, or for the service.
ANSWER = ("word" * 1_000 + " ") * (2 * BUFFERED_BYTES_MAX // 4_000)


@pytest.mark.slow
async def test_a_byte_a_minute_keeps_the_run_only_so_long(tmp_path: Path) -> None:
    """The run ends and is paid for; others are served meanwhile; asked again it is all there."""
    slow = ask_of("slowly", stream=True)
    async with open_face(tmp_path) as rig, serving(rig.app) as url:
        key, proof = await rig.key(SAT)
        rig.upstream.then(Completes(answer=ANSWER))
        worn = f"authorization: {bearer(key)}".encode()
        async with reader_of(url, post(orjson.dumps(slow), worn)) as reader:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1)
            assert rig.last.progress is Progress.REQUESTED
            assert (await rig.ask(ask_of("quickly"), token=bearer(key))).status == 200
            sale = rig.escrows[0]
            async with asyncio.timeout(30):
                while rig.escrow(sale.escrow_id).progress is not Progress.RELEASED:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert await reader.readexactly(1)
        paid_msat = sum(one.price_msat for one in rig.escrows)
        assert (await standing(rig, proof))["available_msat"] == SAT * 1_000 - paid_msat
        again = await rig.ask(slow, token=bearer(key))
        assert again.body.endswith(DONE)
        assert text_of(chunks_of(again)) == ANSWER
        assert (await standing(rig, proof))["available_msat"] == SAT * 1_000 - paid_msat
        assert len(rig.upstream.runs) == 2
