"""What a model does not take is refused by its name where it matters, and else passed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream_outcomes import PRICED_MODEL
from tests.http_api.face_rig import ASK, FaceRig, open_face

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}


async def lists(rig: FaceRig, *parameters: str) -> None:
    """The model takes these and no others."""
    taken = frozenset(parameters) or None
    rig.upstream.offered = (replace(PRICED_MODEL, parameters=taken),)
    await rig.service.flows.catalogue.refresh()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
async def test_a_demand_that_the_model_does_not_take(
    tmp_path: Path, fields: dict[str, Any], param: str
) -> None:
    """400 that names it before anything is reserved; no list refuses nothing."""
    async with open_face(tmp_path) as rig:
        await lists(rig, "max_tokens", "temperature")
        reply = await rig.ask({**ASK, **fields})
        assert (reply.status, reply.error["param"]) == (400, param)
        assert f"does not take {param}" in reply.error["message"]
        assert rig.escrows == []
        await lists(rig, "max_tokens", "tools", "logprobs", "structured_outputs")
        assert (await rig.ask({**ASK, **fields})).status == 402
        await lists(rig)
        assert (await rig.ask({**ASK, **fields, "seed": 1})).status == 402


async def test_a_wish_is_passed_over(tmp_path: Path) -> None:
    """As OpenRouter does it: the answer is an answer without it."""
    async with open_face(tmp_path) as rig:
        await lists(rig, "max_tokens")
        assert (await rig.ask({**ASK, "min_p": 0.1, "seed": 3})).status == 402
