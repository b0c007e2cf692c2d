"""A short part of the search, always the same, and that the search can find something."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fuzz_upstream.fuzz import fuzz
from tests.fuzz_upstream.inputs import Inputs

INPUTS = 150
PATIENCE_S = 3_600


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_that_upstreams_send_is_too_much(tmp_path: Path, seed: int) -> None:
    """No fault but those of the taxonomy, an open gate, and books that are right afterwards."""
    until_s = time.monotonic() + PATIENCE_S
    report = await fuzz(tmp_path, seed=seed, inputs_max=INPUTS, until_s=until_s)
    assert report.wrong == []
    assert report.sent == INPUTS
    assert report.outcomes["completion"] > 0
    assert report.outcomes["outcome_unknown"] > 0


async def test_a_tool_that_finds_nothing_would_say_so(tmp_path: Path) -> None:
    """A fault of ours, put in on purpose, is a finding that names its input."""
    until_s = time.monotonic() + PATIENCE_S

    async def broken(_number: int) -> None:
        raise ZeroDivisionError

    report = await fuzz(tmp_path, seed=1, inputs_max=3, until_s=until_s, before_each=broken)
    assert "input 1 of this seed" in report.wrong[0]
    assert "ZeroDivisionError" in report.wrong[0]


def test_the_same_seed_is_the_same_search() -> None:
    """So that a finding can be made again."""
    told = [[Inputs(seed).run() for _ in range(30)] for seed in (7, 7, 8)]
    one, again, other = ([reply.pieces for reply in replies] for replies in told)
    assert one == again
    assert one != other
