"""For every search here. Must not know: what is searched."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """A million values without a cycle: collecting would only look at them again and again."""
    gc.disable()
    yield
    gc.enable()
