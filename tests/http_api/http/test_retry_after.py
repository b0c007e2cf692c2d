"""How long an upstream asks to wait is what the caller is told, however often it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.http_api.http.error_table import RETRY_AFTER_MAX_S
from tests.fakes.upstream_outcomes import Refused
from tests.http_api.face_rig import ASK, open_face


@pytest.mark.parametrize("seconds", [2, 90, 600, 601, 86_400])
async def test_the_caller_is_asked_to_wait_as_long(tmp_path: Path, seconds: int) -> None:
    """In the sentence, and in a header that no agent sleeps by for hours; nobody waits here."""
    async with open_face(tmp_path) as rig:
        rig.upstream.usually = Refused(status=429, retry_after_s=seconds)
        for _ in range(2):
            reply = await rig.ask(ASK)
            assert reply.status == 503
            soon = seconds <= RETRY_AFTER_MAX_S
            assert reply.header("retry-after") == (str(seconds) if soon else None)
            assert reply.header("x-should-retry") == (None if soon else "false")
            assert reply.error["message"].endswith(f"ask again in {seconds} s")
        assert rig.upstream.posts == 1


async def test_a_refusal_that_asks_for_nothing_has_the_usual_wait(tmp_path: Path) -> None:
    """Five seconds, and a sentence without a figure."""
    async with open_face(tmp_path) as rig:
        rig.upstream.usually = Refused(status=429)
        reply = await rig.ask(ASK)
        assert reply.header("retry-after") == "5"
        assert "ask again in" not in reply.error["message"]
