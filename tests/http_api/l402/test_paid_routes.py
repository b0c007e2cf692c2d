"""One door to the upstream: whatever path or method is tried, what runs has an escrow."""

from __future__ import annotations

from pathlib import Path

import orjson

from cobot_meter.domain.escrow.states import Progress
from tests.http_api.face_rig import CHAT, ask_of, open_face

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Where other gateways serve a model too.
KINDS = (
    "/v1/responses",
    "/v1/messages",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/moderations",
    "/api/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1//chat/completions",
    "/V1/chat/completions",
    "/chat/completions",
)


async def test_only_one_path_runs_anything(tmp_path: Path) -> None:
    """Every path of the description and of other gateways: only one runs, and with a ceiling."""
    async with open_face(tmp_path) as rig:
        described = (await rig.get("/openapi.json")).json()["paths"]
        assert CHAT in described
        ran = []
        for number, path in enumerate((*described, *KINDS)):
            target = path.replace("{author}/{slug}", "acme/none").replace("{escrow_id}", "none")
            for method in METHODS:
                before = rig.upstream.posts
                body = orjson.dumps(ask_of(f"{method} {number}", max_tokens=5))
                await rig.caller.send(method, target, body=body)
                if rig.upstream.posts > before:
                    ran.append((method, path))
        assert ran == [("POST", CHAT)]
        assert rig.upstream.posts == len(rig.escrows) == 1
        assert rig.last.progress is Progress.INVOICED
        assert 0 < rig.last.price_msat <= rig.last.quote.ceiling_msat
