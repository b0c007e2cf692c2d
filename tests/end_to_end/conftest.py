"""What the end-to-end tests share: a pair of real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.live import Live


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A running service with its simulator; both are gone after the test."""
    pair = Live(tmp_path)
    try:
        await pair.start()
        yield pair
    finally:
        await pair.aclose()
